import { asFault, Fault } from '../../kernel/fault.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Catalogue, PostgresRole } from '../../resources/catalogue.ts'
import type { Admission } from '../../sessions/admission.ts'
import type { Session } from '../../sessions/session.ts'
import { eitherAborts } from '../either-aborts.ts'
import type { CancelKeys } from './cancel-keys.ts'
import { cancelTarget } from './cancel-target.ts'
import type { Client } from './client.ts'
import { dismissTarget } from './dismiss.ts'
import { guardFor, type GuardSources } from './guard/guard-for.ts'
import { checkStartRole } from './guard/start-role.ts'
import { fatal, backendKeyData, parameterStatus, readyForQuery } from './messages.ts'
import { record } from './recording.ts'
import { Relay, type RelayEnd } from './relay.ts'
import type { SaltedPasswords } from './salted-passwords.ts'
import type { Scratch } from './scratch.ts'
import { version32, type Startup } from './startup.ts'
import type { Target, TargetWish } from './target.ts'
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
 * From an admission to its end: connects to the target, relays, and gives the admission back exactly once.
 * Resolves when nothing of it goes on at the target.
 */
export async function runSession(client: Client, admission: Admission, deps: SessionDeps): Promise<void> {
  const log = deps.log.child({ session: admission.session.id, resource: admission.session.resource })
  const within = { ...deps, log }
  const opened = await open(client, admission, within)
  if ('end' in opened) {
    await admission.end(opened.end)
    return
  }
  const dismissals: Promise<void>[] = []
  let end: RelayEnd = { by: 'gate', ...nothingPassed }
  try {
    end = await relay(client, admission, opened, dismissals, within)
    if (end.error !== undefined && asFault(end.error) === undefined) log.error({ error: end.error }, 'a session failed')
  } finally {
    await admission.end(end)
    if (dismissals.length === 0) opened.target.socket.destroy()
    await Promise.all(dismissals)
    opened.user?.giveBack()
  }
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
  log.warn({ code: fault.code, error }, 'the target could not be used')
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

async function relay(
  client: Client,
  admission: Admission,
  { wish, target }: Connected,
  dismissals: Promise<void>[],
  deps: SessionDeps,
): Promise<RelayEnd> {
  const secret = deps.random.bytes(client.startup.version >= version32 ? 32 : 4)
  let started: Relay | undefined
  using _key = deps.cancelKeys.add({
    processId: target.processId,
    secret,
    cancel: (address) => passCancelOn(address, admission, target, started, deps),
  })
  client.authenticated()
  client.write(Buffer.concat(openingMessages(target, secret)))
  const { socket, unread } = client.release()
  const dismiss: ConstructorParameters<typeof Relay>[0]['dismiss'] = (state) => {
    dismissals.push(dismissTarget(target, wish, state, deps))
  }
  const { idleMs, recordRows } = wish.role
  const { clock } = deps
  const { json } = deps.scratch
  const guard = wish.role.guard === null ? null : guardFor(wish.role.guard, admission.session, deps)
  const parts = {
    client: socket,
    clientUnread: unread,
    target,
    admission,
    idleMs,
    recordRows,
    guard,
    clock,
    json,
    dismiss,
  }
  started = new Relay(parts)
  return await started.run()
}

/** The target's process id, because clients ask the server about it; the secret is ours. */
function openingMessages(target: Target, secret: Uint8Array): Buffer[] {
  return [
    ...target.notices,
    ...target.parameters.map(([name, value]) => parameterStatus(name, value)),
    backendKeyData(target.processId, secret),
    readyForQuery(target.status),
  ]
}

async function passCancelOn(
  address: string,
  { recorder }: Admission,
  target: Target,
  relay: Relay | undefined,
  deps: SessionDeps,
): Promise<void> {
  if (recorder.active) record(recorder, 'k', { address })
  // What waits for somebody's word is not at the target yet.
  if (relay?.giveUp() === true) return
  await cancelTarget(target, deps.clock).catch((error: unknown) => {
    deps.log.warn({ error }, 'a cancel request did not get through')
  })
}
