import { auditEvent } from '../audit/event.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { actorOf } from './endings.ts'
import type { Person } from './person.ts'
import { sameForPolicies, sameGroups } from './profile.ts'
import type { Profile } from './profile.ts'
import type { IdentityTx } from './store.ts'

/** Somebody seen for the first time. */
export function newPerson(
  id: PersonId,
  of: { issuer: string; subject: string },
  profile: Profile,
  at: Instant,
): Person {
  return { id, issuer: of.issuer, subject: of.subject, ...profile, seenAt: at }
}

/** Writes down what the provider says now; whatever policies look at is told to every node when it has changed. */
export async function updatePerson(tx: IdentityTx, known: Person, profile: Profile, at: Instant): Promise<Person> {
  const person = { ...known, ...profile, seenAt: at }
  await tx.savePerson(person)
  if (sameForPolicies(known, person)) return person
  if (!sameGroups(known.groups, person.groups)) {
    const change = { before: known.groups, after: person.groups }
    await tx.record(auditEvent('person.groups-changed', at, actorOf(person), change))
  }
  await tx.announce({ kind: 'person-changed', person: person.id })
  return person
}
