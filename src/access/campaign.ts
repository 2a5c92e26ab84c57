import { Fault } from '../kernel/fault.ts'
import type { CampaignId, EntryId, GrantId, PersonId, TokenId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'

// ---- campaign: running -> finished; entry: waiting -> confirmed | ended | silent | gone

/** Standing access is looked at, entry by entry, until a date. What nobody has confirmed then, ends. */
export interface Campaign {
  readonly id: CampaignId
  readonly name: string
  readonly startedBy: PersonId
  readonly startedAt: Instant
  /** The first instant at which it is too late to say something. */
  readonly dueAt: Instant
  /** Grants that last at least so long are looked at, and tokens. */
  readonly grantMs: number
  readonly tokenMs: number
  /** Groups whose word counts. */
  readonly reviewers: readonly string[]
  /** When it was said that it is due soon; null: not yet. */
  readonly remindedAt: Instant | null
  readonly finishedAt: Instant | null
}

export const entryStates = ['waiting', 'confirmed', 'ended', 'silent', 'gone'] as const

/**
 * `confirmed`, `ended`: a reviewer said so. `silent`: nobody said anything, so it ended; a policy, which is the
 * operator's, stays and is told of. `gone`: it was over already.
 */
export type EntryState = (typeof entryStates)[number]

/** What it is about: a grant, a token, or the name of a policy and a role. */
export type EntrySubject =
  | { readonly kind: 'grant'; readonly subject: GrantId }
  | { readonly kind: 'token'; readonly subject: TokenId }
  | { readonly kind: 'policy'; readonly subject: string }

/** One piece of standing access, as it was when the campaign began. */
export type Entry = EntrySubject & {
  readonly id: EntryId
  readonly campaign: CampaignId
  /** Whose it is; null for a policy. */
  readonly holder: PersonId | null
  /** `prod-db as admin`, `token “deploy”`, `policy “staging”` */
  readonly title: string
  readonly details: string
  readonly expiresAt: Instant | null
  readonly lastUsedAt: Instant | null
  readonly state: EntryState
  /** Null unless a reviewer said so. */
  readonly decidedBy: PersonId | null
  readonly decidedAt: Instant | null
  readonly comment: string
}

export function settleEntry(
  entry: Entry,
  state: Exclude<EntryState, 'waiting'>,
  at: Instant,
  word?: { readonly by: PersonId; readonly comment: string },
): Entry {
  return { ...entry, state, decidedAt: at, decidedBy: word?.by ?? null, comment: word?.comment ?? '' }
}

/** The one door to an entry that somebody can still decide on. The due instant itself is too late. */
export function expectWaiting(campaign: Campaign, entry: Entry, now: Instant): void {
  if (entry.state !== 'waiting') throw new Fault('REVIEW_CLOSED', 'It was decided already.')
  if (now >= campaign.dueAt) throw new Fault('REVIEW_CLOSED', 'The time of this review is over.')
}

const dayMs = 86_400_000

/** It is said once that it is due soon: a day before, if it lasts that long twice. */
export function isDueSoon({ startedAt, dueAt, remindedAt }: Campaign, now: Instant): boolean {
  return remindedAt === null && dueAt - startedAt > 2 * dayMs && now >= dueAt - dayMs && now < dueAt
}
