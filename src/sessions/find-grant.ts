import { leftToExtendMs, wasEmergency, whyNotExtendable } from '../access/extendable.ts'
import type { Active } from '../access/states.ts'
import type { AccessReads } from '../access/store.ts'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/time.ts'
import { isVisible, judge, verdictFault } from '../policy/judge.ts'
import type { Rules } from '../policy/rules.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import type { Ask } from './admission.ts'
import type { Basis } from './basis.ts'
import { chooseGrant, usedUpFault, type Candidate } from './choose-grant.ts'
import { limitsOf } from './grant-limits.ts'

export interface GrantDeps {
  readonly rules: Rules
  readonly access: Pick<AccessReads, 'request'>
  readonly catalogue: Catalogue
  readonly clock: Clock
  readonly askLink: (resource: string, role: string) => URL
}

/**
 * The grant under which this client may open a session now.
 * @param grants the person's for this role, without those that are over.
 * @throws Fault NO_GRANT, GRANT_USED_UP, OUTSIDE_WINDOW, DATABASE_REFUSED, FROM_ELSEWHERE, POLICY_DENIES, …
 */
export async function findGrant(
  deps: GrantDeps,
  ask: Ask,
  person: Person,
  grants: readonly Active[],
): Promise<Candidate> {
  const candidates = await Promise.all(
    grants.map(async (grant) => ({ grant, basis: await basisOf(deps, grant, person) })),
  )
  const usable = candidates.filter((one): one is Candidate => one.basis !== undefined)
  const chosen = chooseGrant(deps.rules, usable, ask, deps.clock.now())
  if (chosen === undefined) throw notGranted(deps, ask, person)
  if (chosen instanceof Fault) throw chosen.code === 'GRANT_USED_UP' ? usedUp(deps, chosen, ask) : chosen
  return chosen
}

/** Undefined when the resource is no more. */
async function basisOf({ access, catalogue }: GrantDeps, grant: Active, person: Person): Promise<Basis | undefined> {
  const { request: id, policy, resource: name, role } = grant
  const [request, resource] = [await access.request(id), catalogue.resource(name)]
  const isEmergency = wasEmergency(request, undefined)
  const limits = limitsOf(grant)
  return resource && { person, policy, request, isEmergency, risk: request?.risk, resource, role, limits }
}

/** Nobody is told to ask for what could not be used now. */
function notGranted(deps: GrantDeps, ask: Ask, person: Person): Fault {
  const resource = deps.catalogue.resource(ask.resource)
  if (resource === undefined) return noGrant(deps, ask)
  const situation = { person, resource, role: ask.role, at: deps.clock.now(), client: { address: ask.client.address } }
  const verdict = judge(deps.rules, situation)
  const isForEmergencies = isVisible(deps.rules, { ...situation, emergency: true })
  const isUnheardOf = verdict.kind === 'deny' && verdict.by === null && verdict.misses !== 'from'
  if (verdict.kind === 'allow' || (isForEmergencies && isUnheardOf)) return noGrant(deps, ask)
  return verdictFault(verdict, situation)
}

function noGrant({ askLink }: GrantDeps, { resource, role }: Ask): Fault {
  return new Fault('NO_GRANT', `You have no access to ${resource} as ${role} now.`, {
    hint: `Ask for it: ${askLink(resource, role)}`,
  })
}

function usedUp({ askLink }: GrantDeps, { code, message }: Fault, { resource, role }: Ask): Fault {
  return new Fault(code, message, { hint: `Ask again: ${askLink(resource, role)}` })
}

/** Of a grant that was there a moment ago: somebody ended it; or, where it is for one session, another was quicker. */
export function lostGrant(deps: GrantDeps, ask: Ask, grant: Active): Fault {
  return grant.uses === 'once' ? usedUp(deps, usedUpFault(grant), ask) : noGrant(deps, ask)
}

/** More time may be asked for it. */
export function isExtendable({ policies }: Rules, grant: Active, { isEmergency }: Pick<Basis, 'isEmergency'>): boolean {
  const policy = policies.find(({ name }) => name === grant.policy)
  const why = whyNotExtendable(grant, isEmergency || wasEmergency(undefined, policy))
  return why === undefined && leftToExtendMs(grant, policy ?? {}) > 0
}
