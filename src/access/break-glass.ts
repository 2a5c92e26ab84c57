import { isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import type { Approvers } from '../policy/approval.ts'
import type { Policy } from '../policy/rules.ts'
import type { Wish } from './access.ts'
import type { AccessDeps } from './deps.ts'
import { accessEvents } from './events.ts'
import { openReview, type OpenReview } from './review.ts'
import type { Approved, Request, Requested } from './states.ts'
import type { AccessReads, AccessTx } from './store.ts'

/** A word such as "test" tells nobody afterwards what went on. */
export const emergencyReasonLengthMin = 10
/** Of one person: more than this is no emergency, and nobody could look at all of them. */
export const openReviewsMax = 20

/** What no policy can allow in an emergency. @throws Fault REASON_REQUIRED, INPUT_INVALID, NOT_ALLOWED */
export function checkEmergency(person: Person, { reason, startsAt, windows }: Wish): void {
  if (isMachinePerson(person)) throw new Fault('NOT_ALLOWED', 'Emergencies are for people.')
  if (startsAt !== null || (windows ?? null) !== null) {
    throw new Fault('INPUT_INVALID', 'An emergency begins at once.', {
      hint: 'Ask for a later start in the usual way.',
    })
  }
  if (reason.length >= emergencyReasonLengthMin) return
  throw new Fault('REASON_REQUIRED', 'In an emergency, say in a sentence what is going on.', {
    hint: `At least ${emergencyReasonLengthMin} characters; those who look at it afterwards read it.`,
  })
}

/**
 * The emergency that was taken already and still lives, so that a second tap is not a second one.
 * @throws Fault RATE_LIMITED when too many wait for their review
 */
export async function livingEmergency(
  tx: Pick<AccessReads, 'openReviews' | 'request' | 'grantOf'>,
  person: Person,
  isSame: (request: Request) => boolean,
  now: Instant,
): Promise<Request | undefined> {
  const own = (await tx.openReviews()).filter(({ review }) => review.person === person.id)
  for (const { review } of own.filter(({ endedAt }) => endedAt === null)) {
    const request = await tx.request(review.request)
    const grant = await tx.grantOf(review.request)
    if (request !== undefined && grant !== undefined && now < grant.expiresAt && isSame(request)) return request
  }
  if (own.length < openReviewsMax) return undefined
  throw new Fault('RATE_LIMITED', `${own.length} emergencies of yours wait for their review.`, {
    hint: 'Talk to those who review them, or ask in the usual way.',
  })
}

/** The review is there before the grant: the database lets no emergency begin without it. */
export async function beginReview(
  { random }: Pick<AccessDeps, 'random'>,
  tx: AccessTx,
  request: Requested,
  { review: reviewers }: NonNullable<Policy['breakGlass']>,
): Promise<OpenReview> {
  const review = openReview(request, random.id('review'), reviewersThen(reviewers), request.askedAt)
  await tx.insertReview(review)
  return review
}

function reviewersThen({ from, allOf, named }: Approvers): Approvers {
  return { from, allOf, named, manager: false }
}

/** Loudly: on record by a name of its own, and to everybody who is told. */
export async function tellOfEmergency(
  tx: AccessTx,
  request: Approved,
  { id: review }: OpenReview,
  person: Person,
): Promise<void> {
  const grant = await tx.grantOf(request.id)
  await tx.record(accessEvents.brokeGlass(request, grant, review, person))
  await tx.announce({ kind: 'glass-broken', review, request: request.id })
}
