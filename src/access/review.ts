import { Fault } from '../kernel/fault.ts'
import type { PersonId, RequestId, ReviewId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import type { Approvers } from '../policy/approval.ts'
import type { Requested } from './states.ts'

// ---- review of an emergency: open -> closed

export const reviewVerdicts = ['justified', 'not-justified'] as const
export type ReviewVerdict = (typeof reviewVerdicts)[number]

interface Opened {
  readonly id: ReviewId
  /** Of kind `break-glass`; each has one. */
  readonly request: RequestId
  /** Whose emergency it was. */
  readonly person: PersonId
  /** Whose word counts, as the policy was then. */
  readonly reviewers: Approvers
  readonly openedAt: Instant
  /** How often it was said that it waits. */
  readonly reminders: number
  /** When it is said next; after the end of the access in any case. */
  readonly remindAt: Instant
}
export interface OpenReview extends Opened {
  readonly state: 'open'
}
export interface ClosedReview extends Opened {
  readonly state: 'closed'
  readonly verdict: ReviewVerdict
  readonly comment: string
  readonly closedBy: PersonId
  readonly closedAt: Instant
}
export type Review = OpenReview | ClosedReview

const dayMs = 86_400_000
/** So often it is daily, then weekly, until somebody closes it. */
const dailyReminders = 14

/** It waits from the moment at which somebody takes access as an emergency. */
export function openReview(
  { id: request, person, lengthMs }: Requested,
  id: ReviewId,
  reviewers: Approvers,
  at: Instant,
): OpenReview {
  return {
    ...{ state: 'open', id, request, person, reviewers },
    ...{ openedAt: at, reminders: 0, remindAt: later(at, lengthMs) },
  }
}

/** It was said once more that it waits. */
export function remind(review: OpenReview, at: Instant): OpenReview {
  const reminders = review.reminders + 1
  return { ...review, reminders, remindAt: later(at, reminders < dailyReminders ? dayMs : 7 * dayMs) }
}

export function closeReview(
  review: OpenReview,
  by: PersonId,
  verdict: ReviewVerdict,
  comment: string,
  at: Instant,
): ClosedReview {
  return { ...review, state: 'closed', verdict, comment, closedBy: by, closedAt: at }
}

/** The one door to a review that can still be closed. */
export function expectOpenReview(review: Review): OpenReview {
  if (review.state === 'open') return review
  throw new Fault('REVIEW_CLOSED', 'Somebody closed this review already.')
}
