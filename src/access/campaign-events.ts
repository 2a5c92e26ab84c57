import { auditEvent, theGateway, type Actor, type AuditEvent } from '../audit/event.ts'
import type { Person } from '../identity/person.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { entryStates, type Campaign, type Entry } from './campaign.ts'
import { actor } from './events.ts'

/** The audit events of campaigns. */
export const campaignEvents = {
  started: (
    { id, name, startedAt, dueAt, grantMs, tokenMs, reviewers }: Campaign,
    entries: number,
    by: Person,
  ): AuditEvent =>
    auditEvent('campaign.started', startedAt, actor(by), {
      ...{ campaign: id, name, dueAt: isoTime(dueAt), grantMs, tokenMs, reviewers, entries },
    }),
  confirmed: (entry: Entry, by: Person, at: Instant): AuditEvent =>
    auditEvent('campaign.entry-confirmed', at, actor(by), entryData(entry)),
  /** A policy that was to end stands until its operator changes the file. */
  ended: (entry: Entry, by: Actor, at: Instant): AuditEvent =>
    auditEvent('campaign.entry-ended', at, by, {
      ...entryData(entry),
      bySilence: entry.state === 'silent',
      stands: entry.kind === 'policy',
    }),
  finished: ({ id, name }: Campaign, entries: readonly Entry[], at: Instant): AuditEvent =>
    auditEvent('campaign.finished', at, theGateway, { campaign: id, name, ...countsOf(entries) }),
}

function entryData({ campaign, id, kind, subject, holder, title, comment }: Entry) {
  return { campaign, entry: id, kind, subject, holder, title, comment }
}

function countsOf(entries: readonly Entry[]): Record<string, number> {
  const counted = entryStates.filter((state) => state !== 'waiting')
  return Object.fromEntries(counted.map((state) => [state, entries.filter((entry) => entry.state === state).length]))
}
