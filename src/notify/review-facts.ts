import type { Review, ReviewVerdict } from '../access/review.ts'
import type { NoticeType } from '../access/outbox.ts'
import type { AccessReads } from '../access/store.ts'
import type { Grant, Request } from '../access/states.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { GrantId, PersonId, RequestId, ReviewId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { approversWords } from '../policy/approval.ts'
import type { PersonFacts } from './facts.ts'

/** An emergency, and whether somebody has looked at it. */
export interface ReviewFacts {
  readonly id: ReviewId
  readonly link: string
  readonly state: Review['state']
  readonly request: RequestId
  readonly grant: GrantId
  readonly grantState: Grant['state']
  readonly resource: string
  readonly role: string
  readonly person: PersonFacts
  /** Null when the operator keeps people's words out of messages; comments, too. */
  readonly reason: string | null
  readonly ticket: string | null
  readonly policy: string
  readonly origin: string
  readonly startedAt: string
  readonly expiresAt: string
  readonly endedAt: string | null
  /** Such as `security or leads`. */
  readonly reviewers: string
  /** How often it was said that it waits. */
  readonly reminders: number
  readonly verdict: ReviewVerdict | null
  readonly comment: string | null
  readonly closedBy: PersonFacts | null
  readonly closedAt: string | null
}

export interface ReviewFactsDeps {
  readonly reads: Pick<AccessReads, 'request' | 'review' | 'grantOf'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly publicUrl: URL
  readonly includeReason: boolean
}

/** What is read of an emergency for a notice. */
export interface ReviewRead {
  readonly at: Instant
  readonly facts: ReviewFacts
  readonly review: Review
  readonly request: Request
  readonly requester: Person
}

export async function readReview(
  { reads, person, publicUrl, includeReason }: ReviewFactsDeps,
  type: NoticeType,
  id: ReviewId,
): Promise<ReviewRead | undefined> {
  const review = await reads.review(id)
  const request = review && (await reads.request(review.request))
  const grant = review && (await reads.grantOf(review.request))
  const requester = review && (await person(review.person))
  if (review === undefined || request === undefined || grant === undefined || requester === undefined) return undefined
  const words = (text: string | null) => (includeReason && text !== '' ? text : null)
  const closed = review.state === 'closed' ? review : null
  const closer = closed === null ? undefined : await person(closed.closedBy)
  const facts: ReviewFacts = {
    ...{ id, link: new URL(`reviews/${encodeURIComponent(id)}`, publicUrl).href, state: review.state },
    ...{ request: request.id, grant: grant.id, grantState: grant.state },
    ...{ resource: grant.resource, role: grant.role, person: namesOf(requester) },
    ...{ reason: words(request.reason), ticket: words(request.ticket), policy: request.policy, origin: request.origin },
    ...{ startedAt: isoTime(grant.startsAt), expiresAt: isoTime(grant.expiresAt) },
    endedAt: 'endedAt' in grant ? isoTime(grant.endedAt) : null,
    ...{ reviewers: approversWords(review.reviewers), reminders: review.reminders },
    ...{ verdict: closed?.verdict ?? null, comment: words(closed?.comment ?? null) },
    closedBy: closer === undefined ? null : namesOf(closer),
    closedAt: closed === null ? null : isoTime(closed.closedAt),
  }
  const at = type === 'break-glass.used' ? review.openedAt : (closed?.closedAt ?? review.openedAt)
  return { at, facts, review, request, requester }
}

function namesOf(person: Person): PersonFacts {
  return { id: person.id, name: displayName(person), email: person.email }
}
