import type { Catalogue } from '../resources/catalogue.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Ask } from './admission.ts'
import type { LiveRegistry } from './live-registry.ts'

/** Whom and what somebody asks for, while it is being checked. */
export interface Asking {
  readonly person: PersonId
  readonly resource: string
  readonly role: string
}

export interface CountDeps {
  readonly live: Pick<LiveRegistry, 'countOf' | 'countIn'>
  readonly catalogue: Catalogue
  readonly sessionsPerPersonMax: number
}

/**
 * @param asking all that are being checked now, this one among them: two at one instant are not both the last.
 * @throws Fault TOO_MANY_CONNECTIONS
 */
export function checkCounts(ask: Ask, asking: readonly Asking[], deps: CountDeps): void {
  const own = asking.filter(({ person }) => person === ask.identified.person)
  checkPerson(ask.identified.person, own.length, deps)
  checkRole(ask, own.filter(({ resource, role }) => resource === ask.resource && role === ask.role).length, deps)
}

function checkPerson(person: PersonId, asking: number, { live, sessionsPerPersonMax }: CountDeps): void {
  if (live.countOf(person) + asking <= sessionsPerPersonMax) return
  throw new Fault('TOO_MANY_CONNECTIONS', `You have ${sessionsPerPersonMax} sessions already.`, {
    hint: 'End some of them, for example on the page "Sessions".',
  })
}

function checkRole({ identified, resource, role }: Ask, asking: number, { live, catalogue }: CountDeps): void {
  const known = catalogue.role(resource, role)
  if (known?.kind !== 'postgres' || known.sessionsMax === null) return
  if (live.countIn({ person: identified.person, resource, role }) + asking <= known.sessionsMax) return
  throw new Fault(
    'TOO_MANY_CONNECTIONS',
    `As ${role} you may have ${known.sessionsMax} sessions at ${resource} at once.`,
    {
      hint: 'End one of them, for example on the page "Sessions".',
    },
  )
}
