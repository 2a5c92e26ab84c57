import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createAccess } from './access/create-access.ts'
import type { Access } from './access/access.ts'
import { createReports } from './access/reports.ts'
import { startCheckpoints } from './audit/checkpoints.ts'
import type { Config, PostgresListener } from './config/config.ts'
import { createEvidence } from './evidence/evidence.ts'
import { openCountriesFile } from './geo/countries-file.ts'
import { openAssertionKeys } from './identity/assertion-keys.ts'
import { createAssertions } from './identity/create-assertions.ts'
import { createIdentity } from './identity/create-identity.ts'
import type { Identity } from './identity/identity.ts'
import { openSshKeys, sshPublicLine } from './identity/ssh/keys.ts'
import { openClientAuthority } from './identity/x509/authority.ts'
import type { Listening, ListeningWithTls } from './kernel/listening.ts'
import type { Log } from './kernel/log.ts'
import type { Random } from './kernel/ids.ts'
import type { Clock } from './kernel/time.ts'
import { startNotifications } from './notify/notifications.ts'
import { createLog } from './observability/log.ts'
import { createMetrics } from './observability/metrics.ts'
import { listenOps } from './observability/ops.ts'
import { createCancelKeys } from './protocols/postgres/cancel-keys.ts'
import { listenFront } from './protocols/http/front.ts'
import { createHttpTargets } from './protocols/http/targets/targets.ts'
import { ApplicationGateway } from './protocols/http/applications.ts'
import { countryFinder } from './policy/countries.ts'
import { createLobby } from './protocols/lobby.ts'
import { createStatementReader } from './protocols/postgres/guard/reader.ts'
import { listenPostgres } from './protocols/postgres/listener.ts'
import { startDatabaseUsers } from './protocols/postgres/users/database-users.ts'
import { listenSsh } from './protocols/ssh/listener.ts'
import { openSigningKey } from './recording/keys.ts'
import { openRecordings } from './recording/recordings.ts'
import { createCatalogue } from './resources/catalogue.ts'
import { connectCommands, type ConnectPlace } from './resources/connect.ts'
import { createHosts, originOf } from './resources/hosts.ts'
import { SessionGate } from './sessions/gate.ts'
import { createLiveSessions } from './sessions/live.ts'
import { lockFolder } from './store/folder-lock.ts'
import { openDataKey } from './store/data-key.ts'
import { createReload, createRules, type Reloaded } from './reload.ts'
import type { State } from './store/state.ts'
import { openSqliteState } from './store/sqlite/open.ts'
import { calmGarbageCollector, systemClock, systemRandom } from './system.ts'
import { drain, noteStartAndStop, readiness, startSweeping } from './upkeep.ts'
import { createPages } from './web/create-pages.ts'

/** Parts that tests put in place of the machine's own. */
export interface Overrides {
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
}

/** A running gateway. Disposing drains it: new sessions are refused, live ones warned, then ended, recordings sealed. */
export interface Gateway extends AsyncDisposable {
  readonly web: Listening
  readonly postgres: readonly Listening[]
  readonly ssh: readonly Listening[]
  readonly ops: Listening
  readonly gate: SessionGate
  readonly access: Access
  readonly identity: Identity
  readonly state: State
  readonly log: Log
  /** Another configuration, for what may change while it runs. Sessions that it does not allow any more end at once. */
  reload(config: Config): Promise<Reloaded>
}

const checkpointMs = 10 * 60_000
/** Short, as an application cannot ask whether it still holds. */
const assertionMs = 5 * 60_000

/**
 * Puts every room together and opens the listeners.
 * @throws Fault for problems that an operator can mend; system errors (EADDRINUSE, EACCES) as they are.
 */
export async function startGateway(config: Config, overrides: Overrides = {}): Promise<Gateway> {
  calmGarbageCollector()
  await using stack = new AsyncDisposableStack()
  const clock = overrides.clock ?? systemClock
  const random = overrides.random ?? systemRandom
  const log = (overrides.log ?? createLog(config.log)).child({ node: config.gateway.name })
  const metrics = createMetrics()
  const { dataFolder } = config.gateway
  await mkdir(dataFolder, { recursive: true, mode: 0o700 })

  stack.use(lockFolder(dataFolder))
  const state = stack.use(await openSqliteState({ folder: dataFolder, clock, log }))
  const key = await openSigningKey(dataFolder)
  const sshKeys = await openSshKeys(dataFolder)
  const recordingsFolder = join(dataFolder, 'recordings')
  const recordings = stack.use(
    await openRecordings({ folder: recordingsFolder, key, settings: config.recording, clock, log, metrics }),
  )
  const checkpoints = stack.use(startCheckpoints({ audit: state.audit, key, clock, log, everyMs: checkpointMs }))
  await noteStartAndStop(state, config, clock, stack)

  const catalogue = createCatalogue(config.resources)
  const geo = config.geo && stack.use(await openCountriesFile({ ...config.geo, clock, log, metrics }))
  const rules = createRules(config, {
    countryOf: geo === null ? undefined : countryFinder(geo.lookup),
    onConditionFailed: (rule, reason) =>
      log.error({ rule, reason }, 'the condition of a policy could not be worked out'),
  })
  const hosts = createHosts(catalogue, config.gateway.domain)
  const assertions = createAssertions({
    keys: await openAssertionKeys(dataFolder),
    issuer: config.gateway.publicUrl.origin,
    clock,
    lengthMs: assertionMs,
  })
  const identity = stack.use(
    await createIdentity({
      settings: config.identity,
      ...(config.machines !== undefined && { machines: config.machines }),
      publicUrl: config.gateway.publicUrl,
      store: state.identity,
      changes: state.changes,
      clock,
      random,
      log,
      metrics,
      dataKey: await openDataKey(dataFolder),
      sshPeopleAuthority: sshKeys.peopleAuthority,
      clientAuthority: await openClientAuthority(dataFolder, config.gateway.publicUrl.host, clock.now()),
    }),
  )
  const access = createAccess({
    store: state.access,
    history: state.history,
    risk: config.risk,
    changes: state.changes,
    catalogue,
    rules,
    bundles: () => rules.bundles,
    staff: config.staff,
    settings: config.access,
    publicUrl: config.gateway.publicUrl,
    person: (id) => identity.person(id),
    peopleByEmail: (email) => identity.peopleByEmail(email),
    machines: identity.machines,
    clock,
    random,
    metrics,
  })
  const notifications = await startNotifications({
    settings: config.notify,
    rules,
    gateway: config.gateway.name,
    publicUrl: config.gateway.publicUrl,
    outbox: state.outbox,
    reads: state.access,
    changes: state.changes,
    person: (id) => identity.person(id),
    isOperator: (person) => access.isOperator(person),
    deciding: {
      decide: (...word) => access.decide(...word),
      peopleByEmail: (email) => identity.peopleByEmail(email),
      isSignedIn: (person) => identity.isSignedIn(person),
      record: (event) => state.audit.append([event]),
    },
    ...{ catalogue, clock, random, log, metrics },
  })
  stack.use(notifications)
  const databaseUsers = stack.use(
    await startDatabaseUsers({
      ...{ node: config.gateway.name, catalogue, store: state.databaseUsers, audit: state.audit },
      ...{ changes: state.changes, clock, random, log, metrics },
    }),
  )
  const postgres: ListeningWithTls<PostgresListener>[] = []
  const ssh: Listening[] = []
  const place: ConnectPlace = {
    clientHost: config.gateway.clientHost,
    caHint: config.gateway.clientRootCertificate,
    postgresPort: () => postgres[0]?.port,
    sshPort: () => ssh[0]?.port,
    oauth: identity.oauth?.client,
    appOrigin: (resource) => originOf(hosts, catalogue.resource(resource), config.gateway.publicUrl),
  }
  const gate = stack.use(
    new SessionGate({
      node: config.gateway.name,
      catalogue,
      rules,
      connectCommand: (resource, role) => connectCommands(place, resource, role)[0],
      operators: config.staff.operators,
      access: state.access,
      sessions: state.sessions,
      recordings,
      changes: state.changes,
      person: (id) => identity.person(id),
      stands: (identified) => identity.stands(identified),
      askLink: (resource, role) => access.askLink(resource, role),
      extendLink: (grant) => access.extendLink(grant),
      warnBeforeMs: config.access.warnBeforeMs,
      sessionsPerPersonMax: config.limits.sessionsPerPersonMax,
      clock,
      random,
      log,
      metrics,
      soon: setImmediate,
    }),
  )
  geo?.onChange(() => gate.judgeAgain())
  const stranded = await gate.closeStranded()
  if (stranded > 0) log.warn({ sessions: stranded }, 'sessions that an earlier stop left open were closed')
  stack.use(startSweeping(gate, access, log))

  const pages = createPages({
    publicUrl: config.gateway.publicUrl,
    ...place,
    sshKeys: {
      hostKey: sshPublicLine(sshKeys.hostKey, ''),
      targetAuthority: sshPublicLine(sshKeys.targetAuthority, ''),
    },
    identity,
    access,
    notifications,
    reports: createReports({
      ...{ reads: state.reports, audit: state.audit, rules, catalogue, staff: config.staff, clock },
      person: (id) => identity.person(id),
      teams: config.reports?.teams ?? null,
      soon: setImmediate,
    }),
    evidence: createEvidence({
      ...{ staff: access, access: state.access, reads: state.evidence, audit: state.audit, checkpoints, key, clock },
      ...{ recordingsFolder, gateway: config.gateway.name, person: (id) => identity.person(id) },
    }),
    live: createLiveSessions(gate, state.sessions, state.access),
    sessions: state.sessions,
    audit: state.audit,
    recordingsFolder,
    publicKeys: () => key.publicKeys(),
    identityKeys: () => assertions.publicKeys(),
    hosts,
    catalogue,
    settings: { gateway: config.gateway.name, cliSessionMs: config.identity.sessionMs },
    clock,
    random,
    log,
    metrics,
    changes: state.changes,
  })
  const targets = stack.use(createHttpTargets({ catalogue, clock, log, metrics }))
  const applications = stack.use(
    new ApplicationGateway({
      ...{ gate, access, identity, assertions, targets, catalogue, hosts, clock, random, log, metrics },
      publicUrl: config.gateway.publicUrl,
      waitMs: config.access.waitMs,
      idleMsMax: config.access.httpIdleMs,
      changes: state.changes,
    }),
  )
  const web = stack.use(await listenFront(config.listen.web, { pages, applications, limits: config.limits, log }))
  const ops = stack.use(
    await listenOps(config.listen.ops, { metrics, log, ready: () => readiness(state, recordings, gate) }),
  )
  const cancelKeys = createCancelKeys({ clock })
  const statements = stack.use(createStatementReader(clock))
  const lobby = createLobby(config.limits, metrics)
  stack.defer(() => {
    applications.endWaits()
    return drain([...postgres, ...ssh], gate, config.gateway.drainMs)
  })
  const entrance = { gate, identity, access, catalogue, settings: config, clock, random, log, metrics, lobby }
  for (const listener of config.listen.postgres) {
    postgres.push(
      await listenPostgres(listener, {
        ...entrance,
        cancelKeys,
        databaseUsers,
        statements,
        questions: access.questions,
      }),
    )
  }
  for (const listener of config.listen.ssh) {
    ssh.push(await listenSsh(listener, { ...entrance, changes: state.changes, keys: sshKeys, connect: place }))
  }
  const ports = (listeners: readonly Listening[]) => listeners.map(({ port }) => port)
  log.info({ web: web.port, postgres: ports(postgres), ssh: ports(ssh), ops: ops.port }, 'gateway started')
  const all = stack.move()
  return {
    web,
    postgres,
    ssh,
    ops,
    gate,
    access,
    identity,
    state,
    log,
    reload: createReload(config, {
      ...{ catalogue, rules, web, postgres, audit: state.audit, clock, log, metrics },
      // Whoever may not go on is told why; then applications make room for others.
      lookAgain: [() => gate.judgeAgain(), () => applications.lookAgain()],
    }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
