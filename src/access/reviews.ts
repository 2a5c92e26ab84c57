import { isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import type { GrantId, RequestId, ReviewId } from '../kernel/ids.ts'
import { isAmong } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { SessionRow } from '../sessions/session.ts'
import { isStaff, knownPerson, type AccessDeps } from './deps.ts'
import { writeEnd } from './end.ts'
import { accessEvents, recordRefusal } from './events.ts'
import { lockedFault, stoppingLock } from './locks.ts'
import { requestersOf } from './place.ts'
import { closeReview, expectOpenReview, remind, type OpenReview, type Review, type ReviewVerdict } from './review.ts'
import type { Grant, Request } from './states.ts'
import type { AccessTx } from './store.ts'
import { revoke, settleGrant } from './transitions.ts'

export const reviewCommentLengthMax = 1000
const sessionsMax = 100

/** An emergency with everything that somebody needs who looks at it afterwards. */
export interface ReviewView {
  readonly review: Review
  readonly request: Request
  readonly person: Person
  readonly grant: Grant
  /** Newest first. */
  readonly sessions: readonly SessionRow[]
  readonly closedBy: Person | null
  /** Whether this person's word closes it. */
  readonly mayClose: boolean
  /** Whether the access still lives: nobody says yet that it was justified. */
  readonly lives: boolean
}

/** What is done with emergencies afterwards. Those who review, and the staff, see them; only those who review close them. */
export interface Reviews {
  /** Open ones that this person may see, oldest first. */
  open(person: Person): Promise<readonly ReviewView[]>
  /** The last that was closed first. */
  closed(person: Person, limit: number): Promise<readonly ReviewView[]>
  /** @throws Fault NOT_FOUND for what is not there, and for what they may not see. */
  view(person: Person, id: ReviewId): Promise<ReviewView>
  /** How many wait for this person's word; null: they never review, and see none. */
  waiting(person: Person): Promise<number | null>
  /**
   * Once, by somebody else. `not-justified` revokes what still lives; `justified` waits until it is over.
   * @throws Fault NOT_FOUND, NOT_ALLOWED, SELF_APPROVAL, REVIEW_CLOSED, GRANT_IN_WRONG_STATE, INPUT_INVALID (without a comment)
   */
  close(person: Person, id: ReviewId, verdict: ReviewVerdict, comment: string): Promise<ReviewView>
  /** Of an emergency; undefined for any other request. */
  ofRequest(request: RequestId): Promise<Review | undefined>
  /** Those of these grants that were given as an emergency. */
  emergencies(among: readonly GrantId[]): Promise<ReadonlySet<GrantId>>
  /** Whether they look at what was done under this grant, as its reviewers. */
  looksAt(person: Person, grant: GrantId): Promise<boolean>
}

export function createReviews(deps: AccessDeps): Reviews {
  const { store } = deps
  return {
    open: async (person) =>
      seen(
        deps,
        person,
        (await store.openReviews()).map(({ review }) => review),
      ),
    closed: async (person, limit) => (await seen(deps, person, await store.closedReviews(limit))).slice(0, limit),
    view: (person, id) => viewReview(deps, person, id),
    waiting: (person) => waiting(deps, person),
    close: (person, id, verdict, comment) => close(deps, person, id, verdict, comment),
    ofRequest: (request) => store.reviewOf(request),
    emergencies: async (among) => new Set(await store.emergencyGrants([...new Set(among)])),
    async looksAt(person, id) {
      const grant = await store.grant(id)
      const review = grant && (await store.reviewOf(grant.request))
      return review !== undefined && reviews(review, person, await knownPerson(deps, review.person))
    },
  }
}

async function seen(deps: AccessDeps, person: Person, all: readonly Review[]): Promise<readonly ReviewView[]> {
  const views = await Promise.all(
    all.map(async (review) => ((await maySee(deps, person, review)) ? expand(deps, person, review) : null)),
  )
  return views.filter((view) => view !== null)
}

async function viewReview(deps: AccessDeps, person: Person, id: ReviewId): Promise<ReviewView> {
  const review = await deps.store.review(id)
  if (review === undefined || !(await maySee(deps, person, review))) throw unknownReview()
  return expand(deps, person, review)
}

function unknownReview(): Fault {
  return new Fault('NOT_FOUND', 'There is no such review that you may see.')
}

/** People see that their own emergency is looked at, on its request; what others say of it, they read there. */
async function maySee(deps: AccessDeps, person: Person, review: Review): Promise<boolean> {
  return isOfStaff(deps, person) || reviews(review, person, await knownPerson(deps, review.person))
}

function isOfStaff({ staff }: AccessDeps, person: Person): boolean {
  return isStaff(person, [...staff.reviewers, ...staff.operators])
}

/** Whether their word counts: never on their own. */
function reviews({ reviewers }: Review, person: Person, asker: Person): boolean {
  return !isMachinePerson(person) && isAmong(reviewers, person) && !sameHuman(person, asker)
}

async function expand(deps: AccessDeps, person: Person, review: Review): Promise<ReviewView> {
  const { store } = deps
  const [asker, request, grant] = await Promise.all([
    knownPerson(deps, review.person),
    store.request(review.request),
    store.grantOf(review.request),
  ])
  if (request === undefined || grant === undefined) {
    throw new Fault('STORE_FAILED', `The state names ${review.request}, which it does not know.`)
  }
  const closedBy = review.state === 'closed' ? await knownPerson(deps, review.closedBy) : null
  const sessions = await store.sessionsUnder(grant.person, [grant.id], grant.startsAt, sessionsMax)
  const mayClose = review.state === 'open' && reviews(review, person, asker)
  const lives = isLiving(grant, deps.clock.now())
  return { review, request, person: asker, grant, sessions, closedBy, mayClose, lives }
}

async function waiting(deps: AccessDeps, person: Person): Promise<number | null> {
  const open = await deps.store.openReviews()
  const own = await Promise.all(
    open.map(async ({ review }) => reviews(review, person, await knownPerson(deps, review.person))),
  )
  const count = own.filter(Boolean).length
  const everReviews = deps.rules.policies.some(({ breakGlass }) => breakGlass && isAmong(breakGlass.review, person))
  return count > 0 || everReviews || isOfStaff(deps, person) ? count : null
}

async function close(
  deps: AccessDeps,
  person: Person,
  id: ReviewId,
  verdict: ReviewVerdict,
  comment: string,
): Promise<ReviewView> {
  checkComment(comment)
  try {
    await deps.store.transact((tx) => closeIn(deps, tx, person, id, verdict, comment.trim()))
  } catch (error) {
    await recordRefusal(deps, 'review.refused', person, error, { review: id.slice(0, 80) })
    throw error
  }
  return viewReview(deps, person, id)
}

function checkComment(comment: string): void {
  if (comment.trim() !== '' && comment.length <= reviewCommentLengthMax) return
  throw new Fault('INPUT_INVALID', 'Say what you found.', {
    hint: `In 1 to ${reviewCommentLengthMax} characters; it stays on record.`,
  })
}

async function closeIn(
  deps: AccessDeps,
  tx: AccessTx,
  person: Person,
  id: ReviewId,
  verdict: ReviewVerdict,
  comment: string,
): Promise<void> {
  const stored = await tx.review(id)
  const request = stored && (await tx.request(stored.request))
  if (stored === undefined || request === undefined) throw unknownReview()
  const askers = await requestersOf(deps, request)
  if (askers.some((asker) => sameHuman(asker, person))) {
    throw new Fault('SELF_APPROVAL', 'Nobody reviews their own emergency.', { hint: 'Somebody else has to.' })
  }
  if (isMachinePerson(person) || !isAmong(stored.reviewers, person)) {
    throw isOfStaff(deps, person)
      ? new Fault('NOT_ALLOWED', 'You are not among those who review this emergency.')
      : unknownReview()
  }
  const now = deps.clock.now()
  await refuseLockedReviewer(tx, person, request, now)
  if (verdict === 'justified') await expectOver(tx, expectOpenReview(stored), now)
  const review = closeReview(expectOpenReview(stored), person.id, verdict, comment, now)
  await tx.updateReview(review)
  await tx.record(accessEvents.reviewed(review, request, person))
  await tx.announce({ kind: 'review-closed', review: id })
  if (verdict === 'not-justified') await endIt(deps, tx, request, person, comment)
}

/** A lock on the resource alone is about who uses it, not about who looks at it afterwards. @throws Fault LOCKED */
export async function refuseLockedReviewer(
  tx: AccessTx,
  person: Person,
  what: Pick<Request, 'resource' | 'role'>,
  now: Instant,
): Promise<void> {
  const target = { person: person.id, groups: person.groups, resource: what.resource, role: what.role, addresses: [] }
  const onPeople = (await tx.standingLocks()).filter(
    ({ scope }) => scope.person !== null || (scope.group ?? null) !== null,
  )
  const lock = stoppingLock(onPeople, target, now)
  if (lock !== undefined) throw lockedFault(lock.reason)
}

/** Nobody can say of what is still to come that it was justified. @throws Fault GRANT_IN_WRONG_STATE */
async function expectOver(tx: AccessTx, { request }: OpenReview, now: Instant): Promise<void> {
  const grant = await tx.grantOf(request)
  if (grant === undefined || !isLiving(grant, now)) return
  throw new Fault('GRANT_IN_WRONG_STATE', 'The access still lives: nobody knows yet what will be done with it.', {
    hint: 'Say so when it is over. "Not justified" ends it now.',
  })
}

/** Whether more may still be done under it. */
function isLiving(grant: Grant, now: Instant): boolean {
  return (grant.state === 'scheduled' || grant.state === 'active') && settleGrant(grant, now).state !== 'expired'
}

async function endIt(deps: AccessDeps, tx: AccessTx, request: Request, by: Person, comment: string): Promise<void> {
  const now = deps.clock.now()
  const grant = await tx.grantOf(request.id)
  if (grant === undefined || (grant.state !== 'scheduled' && grant.state !== 'active')) return
  const living = settleGrant(grant, now)
  if (living.state !== 'expired') await writeEnd(tx, revoke(living, by.id, comment, now), by)
}

/** Says that reviews wait, again and again until somebody closes them, and counts them. */
export async function remindOfReviews(deps: AccessDeps): Promise<number> {
  const open = await deps.store.openReviews()
  const now = deps.clock.now()
  const [oldest] = open
  deps.metrics.set('curfew_open_reviews', {}, open.length)
  deps.metrics.set(
    'curfew_oldest_open_review_seconds',
    {},
    oldest === undefined ? 0 : (now - oldest.review.openedAt) / 1000,
  )
  const due = open.filter(({ review, endedAt }) => isDue(review, endedAt !== null, now))
  if (due.length > 0) await deps.store.transact((tx) => remindIn(deps, tx))
  return due.length
}

/** First when the access is over, however it ended. */
function isDue({ reminders, remindAt }: OpenReview, isOver: boolean, now: number): boolean {
  return isOver && (reminders === 0 || remindAt <= now)
}

async function remindIn({ clock }: AccessDeps, tx: AccessTx): Promise<void> {
  const now = clock.now()
  for (const { review, endedAt } of await tx.openReviews()) {
    if (!isDue(review, endedAt !== null, now)) continue
    const reminded = remind(review, now)
    await tx.updateReview(reminded)
    await tx.announce({ kind: 'review-waiting', review: review.id, reminder: reminded.reminders })
  }
}
