import { theGateway } from '../audit/event.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { judge } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
import { agreementOn } from './agree.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { accessEvents } from './events.ts'
import type { Approved, Request } from './states.ts'
import type { AccessTx } from './store.ts'
import { expectLiving, extend, grantFrom } from './transitions.ts'

/** What follows an approval, in the same transaction: a grant, or more time for one. */
export async function fulfil(deps: AccessDeps, tx: AccessTx, request: Approved, now: Instant): Promise<void> {
  await (request.extends === null ? giveGrant(deps, tx, request, now) : extendGrant(deps, tx, request, now))
  deps.metrics.add('curfew_requests_total', { state: 'approved' })
}

async function giveGrant(deps: AccessDeps, tx: AccessTx, request: Approved, now: Instant): Promise<void> {
  const { databases, networks, ...agreed } = await agreementOn(deps, request, await tx.decisionsOn(request.id))
  const given = { ...request, ...agreed }
  const life = grantFrom(given, deps.random.id('grant'), now, await policyOf(deps, given))
  const grant = { ...life, databases, networks }
  await tx.insertGrant(grant)
  await tx.record(accessEvents.started(grant, now))
  await tx.announce({ kind: 'request-closed', request: request.id, state: 'approved' })
  if (grant.state === 'active') {
    const { id, person, resource, role } = grant
    await tx.announce({ kind: 'grant-started', grant: id, person, resource, role })
  }
}

/** The policy that let it be asked; if the file has none of that name any more, whichever decides now. */
export async function policyOf(deps: AccessDeps, { policy: name, ...asked }: Request): Promise<Policy | undefined> {
  const [named, resource] = [
    deps.rules.policies.find((one) => one.name === name),
    deps.catalogue.resource(asked.resource),
  ]
  if (named !== undefined || resource === undefined) return named
  const person = await knownPerson(deps, asked.person)
  return judge(deps.rules, { person, resource, role: asked.role, request: asked }).policy ?? undefined
}

/** Counts from the grant's end as it is now. @throws Fault GRANT_IN_WRONG_STATE when it has ended meanwhile */
async function extendGrant(deps: AccessDeps, tx: AccessTx, request: Approved, now: Instant): Promise<void> {
  const stored = request.extends === null ? undefined : await tx.grant(request.extends)
  if (stored === undefined) throw new Fault('GRANT_UNKNOWN', 'There is no such grant.')
  const { lengthMs } = await agreementOn(deps, request, await tx.decisionsOn(request.id))
  const extended = extend(expectLiving(stored, now), lengthMs)
  // As the store has it: that it begins is told by the sweep.
  await tx.updateGrant({ ...extended, state: stored.state === 'scheduled' ? 'scheduled' : 'active' })
  await tx.record(accessEvents.extended(extended, request, lengthMs, theGateway, now))
  await tx.announce({ kind: 'request-closed', request: request.id, state: 'approved' })
  await tx.announce({ kind: 'grant-moved', grant: extended.id, expiresAt: extended.expiresAt })
}
