import type { Campaign, Entry, EntryState } from '../access/campaign.ts'
import type { NoticeType } from '../access/outbox.ts'
import type { AccessReads } from '../access/store.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { CampaignId, EntryId, PersonId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { PersonFacts } from './facts.ts'

/** A review of standing access, and how many of its entries are in which state. */
export interface CampaignFacts {
  readonly id: CampaignId
  readonly link: string
  readonly name: string
  readonly startedAt: string
  readonly dueAt: string
  readonly finishedAt: string | null
  /** Groups. */
  readonly reviewers: readonly string[]
  readonly counts: Readonly<Record<EntryState, number>>
}
/** What ended. */
export interface CampaignEntryFacts {
  readonly id: EntryId
  readonly kind: Entry['kind']
  readonly title: string
  readonly holder: PersonFacts | null
  readonly bySilence: boolean
  /** Null when the operator keeps people's words out of messages. */
  readonly comment: string | null
}

export interface CampaignFactsDeps {
  readonly reads: Pick<AccessReads, 'campaign' | 'entriesOf'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly publicUrl: URL
  readonly includeReason: boolean
}

/** What is read of a campaign for a notice. */
export interface CampaignRead {
  readonly at: Instant
  readonly facts: { readonly campaign: CampaignFacts; readonly entry?: CampaignEntryFacts }
  readonly campaign: Campaign
  /** Whose token ended. Whose grant ended hears of that already. */
  readonly holder?: Person
}

export async function readCampaign(
  { reads, person, publicUrl, includeReason }: CampaignFactsDeps,
  type: NoticeType,
  id: CampaignId,
  entryId: EntryId | undefined,
): Promise<CampaignRead | undefined> {
  const campaign = await reads.campaign(id)
  if (campaign === undefined) return undefined
  const entries = await reads.entriesOf(id)
  const entry = entries.find((one) => one.id === entryId)
  const holder = entry === undefined || entry.holder === null ? undefined : await person(entry.holder)
  const facts: CampaignFacts = {
    ...{ id, link: new URL(`reviews/campaigns/${encodeURIComponent(id)}`, publicUrl).href, name: campaign.name },
    ...{ startedAt: isoTime(campaign.startedAt), dueAt: isoTime(campaign.dueAt), reviewers: campaign.reviewers },
    finishedAt: campaign.finishedAt === null ? null : isoTime(campaign.finishedAt),
    counts: countsOf(entries),
  }
  const ended: CampaignEntryFacts | undefined = entry && {
    ...{ id: entry.id, kind: entry.kind, title: entry.title, bySilence: entry.state === 'silent' },
    holder: holder === undefined ? null : { id: holder.id, name: displayName(holder), email: holder.email },
    comment: includeReason && entry.comment !== '' ? entry.comment : null,
  }
  const at =
    entry?.decidedAt ??
    (type === 'campaign.started' ? campaign.startedAt : (campaign.finishedAt ?? campaign.remindedAt))
  return {
    ...{ at: at ?? campaign.startedAt, campaign, facts: { campaign: facts, ...(ended && { entry: ended }) } },
    ...(entry?.kind === 'token' && holder !== undefined && { holder }),
  }
}

function countsOf(entries: readonly Entry[]): CampaignFacts['counts'] {
  const count = (state: EntryState) => entries.filter((entry) => entry.state === state).length
  return {
    ...{ waiting: count('waiting'), confirmed: count('confirmed'), ended: count('ended') },
    ...{ silent: count('silent'), gone: count('gone') },
  }
}
