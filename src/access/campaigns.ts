import { isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { CampaignId, EntryId } from '../kernel/ids.ts'
import { later } from '../kernel/time.ts'
import { sameHuman } from '../policy/subject.ts'
import { isFor } from '../policy/weigh.ts'
import { expectWaiting, settleEntry, type Campaign, type Entry } from './campaign.ts'
import { endSubject, finishIfDone, tellEntryEnded } from './campaign-ends.ts'
import { campaignEvents } from './campaign-events.ts'
import { entriesMax, policyOfSubject, takeSnapshot } from './campaign-snapshot.ts'
import { isStaff, knownPerson, type AccessDeps } from './deps.ts'
import { recordRefusal } from './events.ts'
import { once } from './once.ts'
import { refuseLockedReviewer } from './reviews.ts'
import type { AccessReads, AccessTx } from './store.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
export const campaignLengthMsMax: number = 90 * dayMs
export const standingMs: number = 7 * dayMs
const runningMax = 20
const reviewersMax = 20
const commentLengthMax = 1000
const nameLengthMax = 80

export interface CampaignWish {
  readonly name: string
  /** From now until the due date. */
  readonly lengthMs: number
  /** Grants, and tokens, that last at least so long; absent: 7 days. */
  readonly grantMs?: number | undefined
  readonly tokenMs?: number | undefined
  /** Groups whose word counts; absent: the reviewers of the gateway. */
  readonly reviewers?: readonly string[] | undefined
  /** The same key within 24 hours is the same campaign. */
  readonly key?: string | undefined
}

export interface EntryView {
  readonly entry: Entry
  readonly holder: Person | null
  readonly decidedBy: Person | null
  /** Whether this person's word is waited for. */
  readonly mayDecide: boolean
}

export interface CampaignView {
  readonly campaign: Campaign
  readonly startedBy: Person
  readonly entries: readonly EntryView[]
}

/** A campaign in a list. */
export interface CampaignCount {
  readonly campaign: Campaign
  readonly entries: number
  readonly waiting: number
}

/** Reviews of standing access. The staff starts and sees them; those in their groups see them and decide. */
export interface Campaigns {
  mayStart(person: Person): boolean
  /** @throws Fault NOT_ALLOWED, INPUT_INVALID (also where nothing stands), RATE_LIMITED */
  start(person: Person, wish: CampaignWish): Promise<CampaignView>
  /** How many running campaigns wait for this person's word; null: for theirs none ever does. */
  waiting(person: Person): Promise<number | null>
  /** The last that began first. @throws Fault NOT_ALLOWED for whoever reviews nothing. */
  list(person: Person): Promise<readonly CampaignCount[]>
  /** @throws Fault NOT_FOUND for what is not there, and for what they may not see. */
  view(person: Person, id: CampaignId): Promise<CampaignView>
  /**
   * `confirm` needs a word on why. `end` revokes a grant or a token at once; a policy is the operator's to change.
   * @throws Fault NOT_FOUND, NOT_ALLOWED, SELF_APPROVAL, LOCKED, REVIEW_CLOSED (decided, or due), INPUT_INVALID
   */
  decide(person: Person, entry: EntryId, word: 'confirm' | 'end', comment: string): Promise<CampaignView>
}

export function createCampaigns(deps: AccessDeps): Campaigns {
  return {
    mayStart: (person) => mayStart(deps, person),
    start: (person, wish) => start(deps, person, wish),
    waiting: (person) => waiting(deps, person),
    list: (person) => list(deps, person),
    view: (person, id) => viewCampaign(deps, person, id),
    decide: (person, entry, word, comment) => decide(deps, person, entry, word, comment),
  }
}

function mayStart({ staff }: AccessDeps, person: Person): boolean {
  return isStaff(person, [...staff.reviewers, ...staff.operators])
}

async function start(deps: AccessDeps, person: Person, wish: CampaignWish): Promise<CampaignView> {
  if (!mayStart(deps, person)) throw new Fault('NOT_ALLOWED', 'Operators and reviewers start campaigns.')
  const { name, lengthMs, grantMs = standingMs, tokenMs = standingMs, reviewers = deps.staff.reviewers } = wish
  checkWish({ name, lengthMs, grantMs, tokenMs, reviewers })
  const now = deps.clock.now()
  const campaign: Campaign = {
    ...{ id: deps.random.id('campaign'), name: name.trim(), startedBy: person.id, startedAt: now },
    ...{ dueAt: later(now, lengthMs), grantMs, tokenMs, reviewers: [...new Set(reviewers)] },
    ...{ remindedAt: null, finishedAt: null },
  }
  const wanted = { name: campaign.name, lengthMs, grantMs, tokenMs, reviewers: campaign.reviewers }
  const id = await deps.store.transact((tx) =>
    once(tx, { person, kind: 'campaign', key: wish.key, wish: wanted }, now, () => begin(deps, tx, campaign, person)),
  )
  return viewCampaign(deps, person, id)
}

async function begin(deps: AccessDeps, tx: AccessTx, campaign: Campaign, person: Person): Promise<CampaignId> {
  if ((await tx.runningCampaigns()).length >= runningMax) {
    throw new Fault('RATE_LIMITED', `${runningMax} campaigns are running already.`)
  }
  const entries = await takeSnapshot(deps, tx, campaign)
  await tx.insertCampaign(campaign)
  for (const [position, entry] of entries.entries()) await tx.insertEntry(entry, position)
  await tx.record(campaignEvents.started(campaign, entries.length, person))
  await tx.announce({ kind: 'campaign-moved', campaign: campaign.id, to: 'started' })
  return campaign.id
}

function checkWish({ name, lengthMs, grantMs, tokenMs, reviewers }: Required<Omit<CampaignWish, 'key'>>): void {
  if (name.trim() === '' || name.length > nameLengthMax) throw invalid('A campaign has a name of 1 to 80 characters.')
  if (!Number.isSafeInteger(lengthMs) || lengthMs < minuteMs || lengthMs > campaignLengthMsMax) {
    throw invalid('A campaign lasts from a minute to 90 days.')
  }
  const lengths = [grantMs ?? 0, tokenMs ?? 0]
  if (lengths.some((one) => !Number.isSafeInteger(one) || one < 0)) throw invalid('Give lengths of time.')
  const groups = reviewers ?? []
  if (groups.length === 0 || groups.length > reviewersMax || groups.some((one) => one === '' || one.length > 200)) {
    throw invalid('Name 1 to 20 groups whose word counts.')
  }
}

function invalid(message: string): Fault {
  return new Fault('INPUT_INVALID', message)
}

async function list(deps: AccessDeps, person: Person): Promise<readonly CampaignCount[]> {
  const seen = (await deps.store.campaigns(100)).filter((campaign) => maySee(deps, person, campaign))
  if (seen.length === 0 && !mayStart(deps, person)) {
    throw new Fault('NOT_ALLOWED', 'Campaigns are for operators and reviewers.')
  }
  return Promise.all(
    seen.map(async (campaign) => {
      const entries = await deps.store.entriesOf(campaign.id)
      return { campaign, entries: entries.length, waiting: entries.filter(({ state }) => state === 'waiting').length }
    }),
  )
}

async function waiting(deps: AccessDeps, person: Person): Promise<number | null> {
  const running = await deps.store.runningCampaigns()
  const theirs = running.filter(({ reviewers }) => isStaff(person, reviewers))
  if (theirs.length === 0) return mayStart(deps, person) ? 0 : null
  const waits = await Promise.all(theirs.map((campaign) => waitsFor(deps, person, campaign)))
  return waits.filter(Boolean).length
}

/** One entry is enough: pages ask this each time. */
async function waitsFor(deps: AccessDeps, person: Person, campaign: Campaign): Promise<boolean> {
  if (deps.clock.now() >= campaign.dueAt) return false
  const [known, accounts] = [rememberPeople(deps), await accountsOf(deps, person)]
  for (const entry of await deps.store.waitingEntries(campaign.id, entriesMax)) {
    const owners = await ownersOf(deps.store, entry, await known(entry.holder), known)
    if (whyNot(deps, accounts, campaign, entry, owners) === null) return true
  }
  return false
}

function maySee(deps: AccessDeps, person: Person, { reviewers }: Campaign): boolean {
  return mayStart(deps, person) || isStaff(person, reviewers)
}

async function viewCampaign(deps: AccessDeps, person: Person, id: CampaignId): Promise<CampaignView> {
  const campaign = await deps.store.campaign(id)
  if (campaign === undefined || !maySee(deps, person, campaign)) {
    throw new Fault('NOT_FOUND', 'There is no such campaign that you may see.')
  }
  const [known, accounts] = [rememberPeople(deps), await accountsOf(deps, person)]
  const entries = await deps.store.entriesOf(id)
  return {
    campaign,
    startedBy: await knownPerson(deps, campaign.startedBy),
    entries: await Promise.all(
      entries.map(async (entry) => {
        const [holder, decidedBy] = await Promise.all([known(entry.holder), known(entry.decidedBy)])
        const isOpen = entry.state === 'waiting' && deps.clock.now() < campaign.dueAt
        const owners = isOpen ? await ownersOf(deps.store, entry, holder, known) : []
        return {
          entry,
          holder,
          decidedBy,
          mayDecide: isOpen && whyNot(deps, accounts, campaign, entry, owners) === null,
        }
      }),
    ),
  }
}

type Known = (id: Entry['holder']) => Promise<Person | null>

/** Whose it is: the holder; of a machine's grant also who asked for it. */
async function ownersOf(
  reads: Pick<AccessReads, 'grant' | 'request'>,
  entry: Entry,
  holder: Person | null,
  known: Known,
): Promise<readonly Person[]> {
  if (holder === null) return []
  if (entry.kind !== 'grant' || !isMachinePerson(holder)) return [holder]
  const grant = await reads.grant(entry.subject)
  const request = grant && (await reads.request(grant.request))
  const asker = await known(request?.askedBy ?? null)
  return asker === null ? [holder] : [holder, asker]
}

/** One look at each, however many entries they have. */
function rememberPeople(deps: AccessDeps): Known {
  const known = new Map<string, Promise<Person>>()
  return async (id) => {
    if (id === null) return null
    const person = known.get(id) ?? knownPerson(deps, id)
    known.set(id, person)
    return person
  }
}

/** The one that they come with first; a policy may be for them by another. */
async function accountsOf(deps: AccessDeps, person: Person): Promise<readonly [Person, ...Person[]]> {
  const all = person.email === null ? [] : await deps.peopleByEmail(person.email)
  return [person, ...all.filter((other) => other.id !== person.id && sameHuman(other, person))]
}

/** Why their word does not count; null: it does. */
function whyNot(
  deps: AccessDeps,
  accounts: readonly [Person, ...Person[]],
  campaign: Campaign,
  entry: Entry,
  owners: readonly Person[],
): Fault | null {
  const [person] = accounts
  if (!isStaff(person, campaign.reviewers)) {
    return new Fault('NOT_ALLOWED', 'You are not among those who decide in this campaign.')
  }
  const policy = entry.kind === 'policy' ? policyOfSubject(deps, entry.subject) : undefined
  const isOwn =
    owners.some((owner) => sameHuman(owner, person)) ||
    (policy !== undefined && accounts.some((account) => isFor(policy.who, account, 'is for them')))
  return isOwn ? new Fault('SELF_APPROVAL', 'Nobody decides on their own access.') : null
}

async function decide(
  deps: AccessDeps,
  person: Person,
  id: EntryId,
  word: 'confirm' | 'end',
  comment: string,
): Promise<CampaignView> {
  if (comment.length > commentLengthMax) throw invalid(`The comment is longer than ${commentLengthMax} characters.`)
  if (word === 'confirm' && comment.trim() === '') {
    throw new Fault('INPUT_INVALID', 'Say why it is still needed.', {
      hint: 'A sentence that a later reader understands.',
    })
  }
  try {
    const campaign = await decideIn(deps, person, id, word, comment.trim())
    return await viewCampaign(deps, person, campaign)
  } catch (error) {
    await recordRefusal(deps, 'review.refused', person, error, { entry: id.slice(0, 80) })
    throw error
  }
}

async function decideIn(
  deps: AccessDeps,
  person: Person,
  id: EntryId,
  word: 'confirm' | 'end',
  comment: string,
): Promise<CampaignId> {
  const accounts = await accountsOf(deps, person)
  return deps.store.transact(async (tx) => {
    const entry = await tx.entry(id)
    const campaign = entry && (await tx.campaign(entry.campaign))
    if (entry === undefined || campaign === undefined || isMachinePerson(person) || !maySee(deps, person, campaign)) {
      throw new Fault('NOT_FOUND', 'There is no such entry that you may see.')
    }
    const holder = entry.holder === null ? null : await knownPerson(deps, entry.holder)
    const owners = await ownersOf(tx, entry, holder, rememberPeople(deps))
    const refusal = whyNot(deps, accounts, campaign, entry, owners)
    if (refusal !== null) throw refusal
    const now = deps.clock.now()
    const grant = entry.kind === 'grant' ? await tx.grant(entry.subject) : undefined
    await refuseLockedReviewer(tx, person, grant ?? { resource: '', role: '' }, now)
    expectWaiting(campaign, entry, now)
    const by = { by: person.id, comment }
    if (word === 'confirm') {
      const confirmed = settleEntry(entry, 'confirmed', now, by)
      await tx.updateEntry(confirmed)
      await tx.record(campaignEvents.confirmed(confirmed, person, now))
    } else {
      const ended = await endSubject(tx, campaign, entry, now, { person, comment })
      const settled = ended === 'gone' ? settleEntry(entry, 'gone', now) : settleEntry(entry, 'ended', now, by)
      await tx.updateEntry(settled)
      await tellEntryEnded(tx, settled, person, now)
    }
    await finishIfDone(tx, campaign, now)
    return campaign.id
  })
}
