import { asFault, Fault } from '../../kernel/fault.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Catalogue, PostgresRole } from '../../resources/catalogue.ts'
import type { Admission } from '../../sessions/admission.ts'
import type { Session } from '../../sessions/session.ts'
import { eitherAborts } from '../either-aborts.ts'
import type { CancelKeys } from './cancel-keys.ts'
import type { Client } from './client.ts'
import type { GuardSources } from './guard/guard-for.ts'
import { checkStartRole } from './guard/start-role.ts'
import { fatal } from './messages.ts'
import type { RelayEnd } from './relay.ts'
import { cancelKeyBytes, RunningSession } from './running-session.ts'
import type { SaltedPasswords } from './salted-passwords.ts'
import type { Scratch } from './scratch.ts'
import type { Startup } from './startup.ts'
import type { TargetWish } from './target.ts'
import { connectAs, type Connected } from './users/connect-as.ts'
import type { DatabaseUsers } from './users/database-users.ts'

export interface SessionDeps extends GuardSources {
  readonly catalogue: Catalogue
  readonly cancelKeys: CancelKeys
  readonly databaseUsers: DatabaseUsers
  readonly metrics: Metrics
  readonly scratch: Scratch
  readonly salted: SaltedPasswords
}

const nothingPassed = { bytesFromClient: 0, bytesFromTarget: 0 } as const

/**
 * From an admission to "ready for queries", and from there on by itself. The admission is given back exactly once.
 * @param gone called when the session is over: the client's socket is closed, and nothing goes on at the target.
 * @returns false when it came to nothing: the client has been told, and `gone` is not called.
 */
export async function startSession(
  client: Client,
  admission: Admission,
  deps: SessionDeps,
  gone: () => void,
): Promise<boolean> {
  const opened = await open(client, admission, deps)
  if ('end' in opened) {
    await admission.end(opened.end)
    return false
  }
  const session = new RunningSession(admission, opened, cancelKeyBytes(client.startup.version), deps, gone)
  await session.start(client, opened.target)
  return true
}

/** The upstream; or how the session ended without one, with the client told. */
async function open(client: Client, admission: Admission, deps: SessionDeps): Promise<Connected | { end: RelayEnd }> {
  using either = eitherAborts(admission.cutOff, client.gone)
  try {
    const wish = wishOf(client, admission, deps.catalogue)
    if (wish.role.guard !== null) await deps.statements.ready()
    return await connectAs(wish, admission, either.signal, deps)
  } catch (error) {
    return { end: failed(client, admission, error, deps) }
  }
}

function failed(client: Client, admission: Admission, error: unknown, { log, metrics }: SessionDeps): RelayEnd {
  const { cutOff, session } = admission
  if (cutOff.aborted) {
    const fault = asFault(cutOff.reason) ?? new Fault('KILLED', 'The session was ended.')
    client.write(fatal(fault))
    admission.told()
    return { by: 'gate', error: fault, ...nothingPassed }
  }
  if (client.gone.aborted) return { by: 'client', error, ...nothingPassed }
  const fault = asFault(error) ?? new Fault('UPSTREAM_UNREACHABLE', `${session.resource} cannot be used now.`)
  const facts = { session: session.id, resource: session.resource, code: fault.code, error }
  log.warn(facts, 'the target could not be used')
  metrics.add('curfew_upstream_failures_total', { resource: session.resource, code: fault.code })
  client.write(fatal(fault))
  return { by: 'target', error: fault, ...nothingPassed }
}

function wishOf(client: Client, { session }: Admission, catalogue: Catalogue): TargetWish {
  const resource = catalogue.resource(session.resource)
  const role = catalogue.role(session.resource, session.role)
  if (resource?.kind !== 'postgres' || role?.kind !== 'postgres') {
    throw new Fault('RESOURCE_UNKNOWN', 'What this session is for does not exist any more.')
  }
  const database = session.database ?? role.databases[0]
  if (!role.databases.includes(database)) {
    throw new Fault('DATABASE_REFUSED', 'The role may not open this database.')
  }
  checkReplication(client.startup, role)
  if (role.guard !== null) checkStartRole(client.startup.parameters, role.guard)
  return { resource, role, database, parameters: parametersFor(client.startup, role, session) }
}

function checkReplication({ replication }: Startup, role: PostgresRole): void {
  if (replication === null || role.replication) return
  throw new Fault('PROTOCOL_UNSUPPORTED', `Replication connections may not pass as ${role.name}.`, {
    hint: 'Connect without the parameter "replication", or as a role that allows it.',
  })
}

/** NAMEDATALEN - 1: longer names are cut off by the server. */
const applicationBytesMax = 63

/** The client's own, and what the role says of every session. The server takes the last of a name. */
function parametersFor(
  { parameters, replication }: Startup,
  role: PostgresRole,
  { id, personName }: Session,
): TargetWish['parameters'] {
  const application = parameters.findLast(([name]) => name === 'application_name')?.[1] ?? ''
  const shown = `${id} ${personName} ${application}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, applicationBytesMax)
  const ours = [
    ...(role.applicationName === 'session' ? [['application_name', shown.trim()] as const] : []),
    ...Object.entries(role.parameters),
    ...(replication === null ? [] : [['replication', replication] as const]),
  ]
  const names = new Set(ours.map(([name]) => name.toLowerCase()))
  return [...parameters.filter(([name]) => !names.has(name.toLowerCase())), ...ours]
}
