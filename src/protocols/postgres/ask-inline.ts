import type { Access } from '../../access/access.ts'
import type { Request } from '../../access/states.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Person } from '../../identity/person.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Ask } from '../../sessions/admission.ts'
import type { InlineWish } from './own-settings.ts'

export interface AskInlineDeps {
  readonly access: Pick<Access, 'offer' | 'ask' | 'askLink' | 'requestsOf'>
  readonly identity: Pick<Identity, 'person'>
  readonly clock: Clock
}

const ownRequestsMax = 50
/** A program that connects again and again must not ask again and again what somebody has just refused. */
const refusedForMs = 10 * 60_000

/**
 * Files what a client asks for with its connection, or finds what was filed before: any open request of theirs for the
 * same.
 * @throws Fault whatever asking throws; REQUEST_DENIED when the same was refused lately
 */
export async function askInline(wish: InlineWish, ask: Ask, deps: AskInlineDeps): Promise<Request> {
  const { resource, role, client } = ask
  const person = await deps.identity.person(ask.identified.person)
  if (person === undefined) throw new Fault('NOT_ALLOWED', 'Nobody is known by this sign-in.')
  const offer = deps.access.offer(person, resource, role, client)
  const filed = await filedBefore(wish, ask, person, deps)
  if (filed !== undefined) return filed
  const { reason, ticket, lengthMs } = wish
  return deps.access.ask(person, {
    ...{ resource, role, reason, ticket, lengthMs: lengthMs ?? offer.policy.length.defaultMs, startsAt: null },
    origin: `${client.application === '' ? 'PostgreSQL client' : client.application} at ${client.address}`,
    asker: client,
  })
}

async function filedBefore(
  { reason }: InlineWish,
  { resource, role }: Ask,
  person: Person,
  { access, clock }: AskInlineDeps,
): Promise<Request | undefined> {
  const now = clock.now()
  const own = (await access.requestsOf(person, ownRequestsMax)).filter(
    (request) => request.resource === resource && request.role === role,
  )
  const refused = own.find(
    (request) => request.state === 'denied' && request.reason === reason && now - request.closedAt < refusedForMs,
  )
  if (refused !== undefined) {
    throw new Fault('REQUEST_DENIED', 'This was refused a short while ago.', {
      hint: `Give another reason, or ask again: ${access.askLink(resource, role)}`,
    })
  }
  return own.find(({ state, lapsesAt }) => state === 'requested' && now < lapsesAt)
}
