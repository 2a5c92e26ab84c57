import type { Person } from '../identity/person.ts'
import { auditEvent, theGateway } from '../audit/event.ts'
import type { Instant } from '../kernel/time.ts'
import { isDueSoon, settleEntry, type Campaign, type Entry } from './campaign.ts'
import { campaignEvents } from './campaign-events.ts'
import type { AccessDeps } from './deps.ts'
import { writeEnd } from './end.ts'
import { actor } from './events.ts'
import type { Revoked } from './states.ts'
import type { AccessTx } from './store.ts'
import { settleGrant } from './transitions.ts'

/** Small enough for one transaction, whatever ends with each. */
const batchMax = 100

/** By whom, and why; absent: by silence. */
interface Word {
  readonly person: Person
  readonly comment: string
}

/**
 * Ends what an entry is about, with its live sessions.
 * @returns `gone`: it was over already. `kept`: a policy, which only its operator can change.
 */
export async function endSubject(
  tx: AccessTx,
  { name }: Campaign,
  entry: Entry,
  now: Instant,
  word?: Word,
): Promise<'ended' | 'gone' | 'kept'> {
  const said = word?.comment || (word === undefined ? 'nobody confirmed it' : 'it is not needed any more')
  const why = `${said} (access review “${name}”)`
  switch (entry.kind) {
    case 'grant':
      return endGrant(tx, entry, now, why, word?.person ?? null)
    case 'token':
      return endToken(tx, entry, now, why, word?.person ?? null)
    case 'policy':
      return 'kept'
  }
}

async function endGrant(
  tx: AccessTx,
  { subject }: Extract<Entry, { kind: 'grant' }>,
  now: Instant,
  comment: string,
  by: Person | null,
): Promise<'ended' | 'gone'> {
  const grant = await tx.grant(subject)
  if (grant === undefined || (grant.state !== 'scheduled' && grant.state !== 'active')) return 'gone'
  const living = settleGrant(grant, now)
  if (living.state === 'expired') return 'gone'
  const revoked: Revoked = { ...living, state: 'revoked', endedAt: now, endedBy: by?.id ?? null, comment }
  await writeEnd(tx, revoked, by)
  return 'ended'
}

async function endToken(
  tx: AccessTx,
  { subject }: Extract<Entry, { kind: 'token' }>,
  now: Instant,
  cause: string,
  by: Person | null,
): Promise<'ended' | 'gone'> {
  const token = await tx.endLongToken(subject, now)
  if (token === undefined) return 'gone'
  const data = { token: subject, label: token.label, holder: token.person, cause }
  await tx.record(auditEvent('token.revoked', now, by === null ? theGateway : actor(by), data))
  await tx.announce({ kind: 'credential-revoked', person: token.person, credential: subject })
  return 'ended'
}

/** On record, and to whoever had it. */
export async function tellEntryEnded(tx: AccessTx, entry: Entry, by: Person | null, at: Instant): Promise<void> {
  if (entry.state === 'gone') return
  await tx.record(campaignEvents.ended(entry, by === null ? theGateway : actor(by), at))
  await tx.announce({ kind: 'campaign-entry-ended', campaign: entry.campaign, entry: entry.id })
}

export async function finishIfDone(tx: AccessTx, campaign: Campaign, now: Instant): Promise<void> {
  if ((await tx.waitingEntries(campaign.id, 1)).length > 0) return
  await tx.updateCampaign({ ...campaign, finishedAt: now })
  const entries = await tx.entriesOf(campaign.id)
  await tx.record(campaignEvents.finished(campaign, entries, now))
  await tx.announce({ kind: 'campaign-moved', campaign: campaign.id, to: 'finished' })
}

/** What time alone does: says that a campaign is due soon, and lets silence end what it can. */
export async function settleCampaigns(deps: AccessDeps): Promise<number> {
  const running = await deps.store.runningCampaigns()
  let found = 0
  for (const { id } of running.filter((one) => isDueSoon(one, deps.clock.now()))) {
    await deps.store.transact((tx) => remindOf(deps, tx, id))
    found += 1
  }
  for (const { id, dueAt } of running) {
    if (deps.clock.now() < dueAt) continue
    while (await deps.store.transact((tx) => settleSome(deps, tx, id))) found += 1
  }
  return found
}

async function remindOf({ clock }: AccessDeps, tx: AccessTx, id: Campaign['id']): Promise<void> {
  const campaign = await tx.campaign(id)
  const now = clock.now()
  if (campaign === undefined || campaign.finishedAt !== null || !isDueSoon(campaign, now)) return
  await tx.updateCampaign({ ...campaign, remindedAt: now })
  await tx.announce({ kind: 'campaign-moved', campaign: id, to: 'due-soon' })
}

/** @returns whether there may be more. */
async function settleSome({ clock }: AccessDeps, tx: AccessTx, id: Campaign['id']): Promise<boolean> {
  const campaign = await tx.campaign(id)
  const now = clock.now()
  if (campaign === undefined || campaign.finishedAt !== null || now < campaign.dueAt) return false
  for (const entry of await tx.waitingEntries(id, batchMax)) {
    const became = await endSubject(tx, campaign, entry, now)
    const settled = settleEntry(entry, became === 'gone' ? 'gone' : 'silent', now)
    await tx.updateEntry(settled)
    await tellEntryEnded(tx, settled, null, now)
  }
  await finishIfDone(tx, campaign, now)
  return (await tx.waitingEntries(id, 1)).length > 0
}
