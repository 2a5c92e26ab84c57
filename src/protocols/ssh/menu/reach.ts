import { approvalWords } from '../../../policy/approval.ts'
import type { Access, Offer } from '../../../access/access.ts'
import { waitsForUse } from '../../../access/grant-life.ts'
import type { Grant, Request } from '../../../access/states.ts'
import type { Identity } from '../../../identity/identity.ts'
import type { Person } from '../../../identity/person.ts'
import { formatDuration } from '../../../kernel/durations.ts'
import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import { connectCommands, type ConnectPlace } from '../../../resources/connect.ts'
import type { Identified } from '../../../sessions/session.ts'

export interface ReachDeps {
  readonly access: Pick<Access, 'offers' | 'usable' | 'livingGrants' | 'requestsOf'>
  readonly identity: Pick<Identity, 'person' | 'stands'>
  readonly clock: Clock
  /** The host and port that clients are told to connect to. */
  readonly clientHost: string
  readonly port: () => number
  /** The same for every protocol; without it, only SSH's commands are known. */
  readonly connect?: ConnectPlace
}

/** One role that a person may have or ask for, and how it stands. */
export interface Reachable {
  readonly resource: string
  readonly role: string
  readonly kind: Offer['resource']['kind']
  /** `active, 43 min left`, `asked for`, `needs one of approvers`, `needs nobody`. */
  readonly state: string
  readonly description: string
  /** Whether a terminal is of use there. */
  readonly hasShell: boolean
  /** What to type to get there without the menu, the most usual first; empty where that is not known. */
  readonly commands: readonly string[]
}

const requestsMax = 50

/** @throws Fault SIGNED_OUT when the sign-in has ended, NOT_ALLOWED when nobody is known by it. */
export async function knownPerson(identified: Identified, { identity }: Pick<ReachDeps, 'identity'>): Promise<Person> {
  if (!(await identity.stands(identified))) throw new Fault('SIGNED_OUT', 'Your sign-in has ended.')
  const person = await identity.person(identified.person)
  if (person === undefined) throw new Fault('NOT_ALLOWED', 'Nobody is known by this sign-in.')
  return person
}

/** What this person may reach now or ask for, by every protocol, in the file's order. @throws as `knownPerson` */
export async function reachOf(identified: Identified, deps: ReachDeps): Promise<readonly Reachable[]> {
  const person = await knownPerson(identified, deps)
  const [grants, requests, offers] = await Promise.all([
    deps.access.livingGrants(person.id),
    deps.access.requestsOf(person, requestsMax),
    deps.access.usable(person),
  ])
  const ssh = { clientHost: deps.clientHost, sshPort: deps.port, postgresPort: () => undefined }
  return offers.map((offer) => ({
    resource: offer.resource.name,
    role: offer.role.name,
    kind: offer.resource.kind,
    state: stateOf(offer, grants, requests, deps.clock),
    description: offer.role.description || offer.resource.description,
    hasShell: offer.role.kind === 'ssh' && offer.role.allow.includes('shell'),
    commands: connectCommands(deps.connect ?? ssh, offer.resource.name, offer.role),
  }))
}

function stateOf(offer: Offer, grants: readonly Grant[], requests: readonly Request[], clock: Clock): string {
  const now = clock.now()
  const same = (one: { readonly resource: string; readonly role: string }) =>
    one.resource === offer.resource.name && one.role === offer.role.name
  const grant = grants.find((one) => one.state === 'active' && same(one))
  if (grant !== undefined && waitsForUse(grant))
    return `active for ${formatDuration(grant.lengthMs)} from its first use`
  if (grant !== undefined) return `active, ${formatDuration(grant.expiresAt - now)} left`
  const isAsked = requests.some((one) => one.state === 'requested' && now < one.lapsesAt && same(one))
  if (isAsked) return 'asked for'
  const { approval } = offer.policy
  return `needs ${approvalWords(approval)}`
}
