import type { Access } from './access.ts'
import { ask, cancelRequest } from './ask.ts'
import { emergencyLink, isAllowed, offerFor, offersFor, usableOffers } from './offers.ts'
import { askBundle, bundleFor, bundlesFor } from './ask-bundle.ts'
import { decide } from './decide.ts'
import { isOperator, isStaff, type AccessDeps } from './deps.ts'
import { settleRefusals } from './events.ts'
import { extendGrant, extensionFor } from './extend.ts'
import { endOfTime } from './grant-life.ts'
import { handBackGrant, revokeGrant, sweep } from './end.ts'
import { lockStands } from './locks.ts'
import { pastUses } from './past-use.ts'
import { decidesOn, hasDecided, isWaitedFor } from './place.ts'
import { holderFor, machinesFor } from './on-behalf.ts'
import { liftLock, placeLock } from './place-lock.ts'
import { createCampaigns } from './campaigns.ts'
import { lapseQuestions } from './put-question.ts'
import { createStatementQuestions } from './statement-questions.ts'
import { settleCampaigns } from './campaign-ends.ts'
import { Refusals } from './refusals.ts'
import { createReviews, remindOfReviews } from './reviews.ts'
import { decided, toDecide, viewRequest } from './views.ts'
import { waitingFor } from './waiting-list.ts'
import { waitForGrant, WaitingPeople } from './wait-for-grant.ts'

/** Puts the use cases together over their store. */
export function createAccess(given: Omit<AccessDeps, 'refusals'>): Access {
  const deps: AccessDeps = { ...given, refusals: new Refusals(given.clock) }
  const { store, clock, changes, publicUrl } = deps
  const waiting = new WaitingPeople()
  return {
    offers: (person, asker, resource) => offersFor(deps, person, asker, false, resource),
    usable: (person, asker) => usableOffers(deps, person, asker),
    emergencies: (person, asker, resource) => offersFor(deps, person, asker, true, resource),
    emergency: (person, resource, role, asker) => offerFor(deps, person, resource, role, asker, true),
    reviews: createReviews(deps),
    campaigns: createCampaigns(deps),
    questions: createStatementQuestions(deps),
    offer: (person, resource, role, asker) => offerFor(deps, person, resource, role, asker),
    ask: (person, wish) => ask(deps, person, wish),
    bundles: (person, asker) => bundlesFor(deps, person, asker),
    bundle: (person, name, asker) => bundleFor(deps, person, name, asker),
    askBundle: (person, wish) => askBundle(deps, person, wish),
    extend: (person, grant, wish) => extendGrant(deps, person, grant, wish),
    extension: (person, grant) => extensionFor(deps, person, grant),
    extendLink: (grant) => new URL(`/grants/${grant}/extend`, publicUrl),
    cancel: (person, request) => cancelRequest(deps, person, request),
    decide: (person, request, verdict, comment, asker, terms = null) =>
      decide(deps, { person, id: request, verdict, comment, asker, terms }),
    revoke: (person, grant, comment) => revokeGrant(deps, person, grant, comment),
    handBack: (person, grant) => handBackGrant(deps, person, grant),
    placeLock: (person, scope, reason, lengthMs = null, key) => placeLock(deps, person, scope, reason, lengthMs, key),
    liftLock: (person, lock) => liftLock(deps, person, lock),
    locks: async () => (await store.standingLocks()).filter((lock) => lockStands(lock, clock.now())),
    pastLocks: (limit) => store.pastLocks(limit),
    mayDecide: (person, { request, requesters, decisions }) =>
      isWaitedFor(request, person, requesters) && !hasDecided(person, decisions),
    decidesOn: (person, { request, requesters }) => decidesOn(request, person, requesters),
    isOperator: (person) => isOperator(deps, person),
    isReviewer: (person) => isStaff(person, deps.staff.reviewers),
    view: (person, request) => viewRequest(deps, person, request),
    pastUses: (view) => pastUses(deps, view),
    waitingFor: (person) => waitingFor(deps, person),
    toDecide: (person) => toDecide(deps, person),
    decided: (person, limit) => decided(deps, person, limit),
    requestsOf: (person, limit) => store.requestsOf(person.id, limit),
    requestsAskedBy: (person, limit) => store.requestsAskedBy(person.id, limit),
    machinesFor: (person) => machinesFor(deps, person),
    holder: (person, onBehalfOf) => holderFor(deps, person, { onBehalfOf }),
    livingGrants: async (person) =>
      (await store.livingGrants(person)).filter((grant) => clock.now() < endOfTime(grant)),
    askLink: (resource, role) => new URL(`/ask?${new URLSearchParams({ resource, role })}`, publicUrl),
    emergencyLink: (resource, role) => emergencyLink(deps, resource, role),
    requestLink: (request) => new URL(`/requests/${request}`, publicUrl),
    waitForGrant: (identified, resource, role, waitMs, signal) =>
      waiting.of(identified.person, () =>
        waitForGrant(
          { ...identified, resource, role, waitMs, signal },
          {
            ...{ store, changes, clock, person: deps.person, isAllowed: (waiter) => isAllowed(deps, waiter) },
            requestLink: (request) => new URL(`/requests/${request}`, publicUrl),
          },
        ),
      ),
    sweep: async () =>
      (await sweep(deps)) +
      (await remindOfReviews(deps)) +
      (await settleCampaigns(deps)) +
      (await lapseQuestions(deps)) +
      (await settleRefusals(deps)),
  }
}
