import type { Person } from '../identity/person.ts'
import type { PersonId, RequestId } from '../kernel/ids.ts'
import { isApprover } from '../policy/approval.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { hasDecided, isWaitedFor, requestersOf, type Given } from './place.ts'
import type { Requested } from './states.ts'

/** Open requests, not lapsed by now, that wait for this person's word; oldest first. Cheap enough for every page. */
export async function waitingFor(deps: AccessDeps, person: Person): Promise<readonly Requested[]> {
  const { store, clock } = deps
  const now = clock.now()
  const open = (await store.openRequests()).filter(
    (request) => now < request.lapsesAt && isApprover(request.approval, person),
  )
  if (open.length === 0) return []
  const people = knownOnce(deps)
  const given = await decisionsByRequest(deps, people)
  const waits = await Promise.all(
    open.map(
      async (request) =>
        !hasDecided(person, given.get(request.id) ?? []) &&
        isWaitedFor(request, person, await requestersOf({ person: people }, request)),
    ),
  )
  return open.filter((_, index) => waits[index])
}

async function decisionsByRequest(
  { store }: AccessDeps,
  person: (id: PersonId) => Promise<Person>,
): Promise<ReadonlyMap<RequestId, readonly Given[]>> {
  const decisions = await store.decisionsOnOpen()
  const given = await Promise.all(
    decisions.map(async (decision) => ({ decision, person: await person(decision.person) })),
  )
  return Map.groupBy(given, ({ decision }) => decision.request)
}

/** Asks for everybody once: many requests come from few people. */
function knownOnce(deps: AccessDeps): (id: PersonId) => Promise<Person> {
  const known = new Map<PersonId, Promise<Person>>()
  return (id) => {
    const found = known.get(id) ?? knownPerson(deps, id)
    known.set(id, found)
    return found
  }
}
