/** The pages over real rooms: state on disk, the identity provider, access, gate and recordings. Only psql is absent. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import { freePort } from '../../scripts/ports.ts'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { createAccess } from '../../src/access/create-access.ts'
import type { Access } from '../../src/access/access.ts'
import { createReports } from '../../src/access/reports.ts'
import { openAssertionKeys } from '../../src/identity/assertion-keys.ts'
import type { Assertions } from '../../src/identity/assertion.ts'
import { createAssertions } from '../../src/identity/create-assertions.ts'
import { createIdentity } from '../../src/identity/create-identity.ts'
import type { Identity } from '../../src/identity/identity.ts'
import { openSshKeys, sshPublicLine } from '../../src/identity/ssh/keys.ts'
import { openClientAuthority } from '../../src/identity/x509/authority.ts'
import { displayName, type Person } from '../../src/identity/person.ts'
import type { PersonId, TokenId } from '../../src/kernel/ids.ts'
import type { Log } from '../../src/kernel/log.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { riskDefaults } from '../../src/policy/risk.ts'
import type { Bundle } from '../../src/policy/bundle.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { startCheckpoints } from '../../src/audit/checkpoints.ts'
import { createEvidence } from '../../src/evidence/evidence.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { openRecordings } from '../../src/recording/recordings.ts'
import {
  createCatalogue,
  type PostgresResource,
  type PostgresRole,
  type Resource,
} from '../../src/resources/catalogue.ts'
import { createHosts, originOf } from '../../src/resources/hosts.ts'
import type { Admission } from '../../src/sessions/admission.ts'
import { SessionGate } from '../../src/sessions/gate.ts'
import { createLiveSessions } from '../../src/sessions/live.ts'
import { openDataKey } from '../../src/store/data-key.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import type { State } from '../../src/store/state.ts'
import type { Clock } from '../../src/kernel/time.ts'
import { systemClock, systemRandom } from '../../src/system.ts'
import { createWebApp } from '../../src/web/app.ts'
import { createPages } from '../../src/web/create-pages.ts'
import { listenFront } from '../../src/protocols/http/front.ts'
import { Browser, client, startProviderFor, type OidcPerson } from '../servers/oidc.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { plainRole } from '../postgres-role.ts'

const hourMs = 3_600_000

export interface Pages extends AsyncDisposable {
  readonly url: URL
  readonly certificate: string
  readonly ca: string
  readonly state: State
  readonly access: Access
  readonly identity: Identity
  readonly assertions: Assertions
  readonly folder: string
  readonly logLines: readonly string[]
  /** Every route, by method and pattern. */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
  /** A client that holds no cookie. */
  stranger(): Client
  /** Signed in at the real provider. */
  signIn(login: 'erin' | 'ada' | 'sam' | 'olga'): Promise<SignedIn>
  /** A session under a living grant, as a protocol would open it. */
  openSession(person: Person, resource: string, role: string): Promise<Admission>
}

export interface SignedIn extends Client {
  readonly person: Person
  readonly cookie: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Where a redirect leads, below the public address. */
  readonly location: string | null
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests state what they expect of an answer
type Json = any

export interface Client {
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  /** As a form of our own pages sends it, unless `headers` say otherwise. */
  post(path: string, form?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  json(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer & { body: Json }>
}

/** Stand beside the usual ones. */
export interface More {
  readonly resources?: readonly Resource[]
  readonly policies?: readonly Policy[]
  /** Come before the usual ones, and so decide first. */
  readonly before?: readonly Policy[]
  readonly bundles?: readonly Bundle[]
  /** In place of the usual ones; they sign in by their subject. */
  readonly people?: readonly OidcPerson[]
  /** Of the identity room alone; the system's where it is left out. */
  readonly identityClock?: Clock
}

export async function startPages(more: More = {}): Promise<Pages> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-web-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const url = new URL(`https://localhost:${port}`)
  const provider = stack.use(await startProviderFor(url, { ...(more.people && { people: more.people }) }))
  const authority = await makeAuthority('Curfew web test')
  const issued = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  const logLines: string[] = []
  const rooms = await openRooms(stack, folder, url, provider.issuer, collect(logLines), more)
  const listener = {
    ...{ address: '127.0.0.1', port, certificates: [], keepalives: null },
    tls: { certificate: issued.certificate, key: new Secret(issued.key) },
  }
  const limits = { webConnectionsPerAddressMax: 512, webConnectionsMax: 8192 }
  const { log } = rooms.deps
  stack.use(await listenFront(listener, { pages: createPages(rooms.deps), applications: null, limits, log }))
  const agent = new Agent({ connect: { ca: authority.certificate }, keepAliveTimeout: 1000 })
  stack.defer(() => agent.destroy())
  const all = stack.move()
  const { state, access, identity, assertions, gate } = rooms
  return {
    url,
    certificate: issued.certificate,
    ca: authority.certificate,
    state,
    access,
    identity,
    assertions,
    folder,
    logLines,
    routes: createWebApp(rooms.deps, AbortSignal.abort()).routes,
    stranger: () => clientWith(url, agent, ''),
    signIn: (login) => signInAs(url, agent, identity, login),
    openSession: async (person, resource, role) => {
      const wish = { label: 'a program', kind: 'access', lengthMs: hourMs } as const
      const { token } = await identity.tokens.make(person, wish)
      const kind = [...resources, ...(more.resources ?? [])].find(({ name }) => name === resource)?.kind ?? 'postgres'
      return gate.admit(askOf(person, token.id, { resource, role, client: clients[kind] }))
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

function askOf(
  person: Person,
  credential: TokenId,
  { resource, role, client: program }: { resource: string; role: string; client: (typeof clients)[Resource['kind']] },
) {
  return {
    identified: {
      person: person.id,
      personName: displayName(person),
      credential,
      browserSession: null,
    },
    resource,
    role,
    database: null,
    client: { ...program, address: '203.0.113.9', port: 50_001 },
  }
}

const clients = {
  postgres: { protocol: 'postgres', application: 'psql', tls: true },
  ssh: { protocol: 'ssh', application: 'OpenSSH_9.2p1 Debian-2+deb12u7', tls: false },
  http: { protocol: 'http', application: 'Firefox 144', tls: true },
} as const

async function openRooms(
  stack: AsyncDisposableStack,
  folder: string,
  publicUrl: URL,
  issuer: URL,
  log: Log,
  more: More,
) {
  const common = { clock: systemClock, random: systemRandom, metrics: createMetrics(), log }
  const state = stack.use(await openSqliteState({ folder, clock: systemClock, log }))
  const key = await openSigningKey(join(folder, 'keys'))
  const checkpoints = stack.use(startCheckpoints({ audit: state.audit, key, clock: systemClock, log }))
  const sshKeys = await openSshKeys(folder)
  const recordingsFolder = join(folder, 'recordings')
  const settings = { unsavedBytesMax: 1 << 20, unsavedMsMax: 250, freeBytesMin: 1 }
  const recordings = stack.use(await openRecordings({ folder: recordingsFolder, key, settings, ...common }))
  const catalogue = createCatalogue([...resources, ...(more.resources ?? [])])
  const hosts = createHosts(catalogue, 'localhost')
  const keys = await openAssertionKeys(folder)
  const assertions = createAssertions({ keys, issuer: publicUrl.origin, clock: systemClock, lengthMs: 300_000 })
  const identity = stack.use(
    await createIdentity({
      ...common,
      clock: more.identityClock ?? systemClock,
      settings: identitySettings(issuer),
      publicUrl,
      store: state.identity,
      changes: state.changes,
      dataKey: await openDataKey(folder),
      sshPeopleAuthority: sshKeys.peopleAuthority,
      clientAuthority: await openClientAuthority(folder, publicUrl.host, systemClock.now()),
    }),
  )
  const shared = {
    ...common,
    changes: state.changes,
    catalogue,
    rules: { policies: [...(more.before ?? []), ...policies, ...(more.policies ?? [])] },
    person: (id: PersonId) => identity.person(id),
    peopleByEmail: (email: string) => identity.peopleByEmail(email),
  }
  const access = createAccess({
    ...shared,
    store: state.access,
    bundles: () => more.bundles ?? [],
    history: state.history,
    risk: riskDefaults,
    staff: { reviewers: ['security'], operators: ['operations'] },
    settings: { requestMs: hourMs },
    publicUrl,
  })
  const gate = stack.use(
    new SessionGate({
      ...shared,
      node: 'gw-1',
      connectCommand: () => undefined,
      operators: ['operations'],
      access: state.access,
      sessions: state.sessions,
      recordings,
      stands: (identified) => identity.stands(identified),
      askLink: (name, role) => access.askLink(name, role),
      extendLink: (id) => access.extendLink(id),
      warnBeforeMs: [],
      sessionsPerPersonMax: 100,
      soon: setImmediate,
    }),
  )
  const deps = {
    ...common,
    publicUrl,
    clientHost: 'localhost',
    postgresPort: () => 6432,
    sshPort: () => 2222,
    sshKeys: {
      hostKey: sshPublicLine(sshKeys.hostKey, ''),
      targetAuthority: sshPublicLine(sshKeys.targetAuthority, ''),
    },
    caHint: '/etc/curfew/ca.pem',
    identity,
    access,
    notifications: null,
    reports: createReports({
      ...{
        reads: state.reports,
        audit: state.audit,
        rules: shared.rules,
        catalogue,
        clock: systemClock,
        soon: setImmediate,
      },
      staff: { reviewers: ['security'], operators: ['operations'] },
      teams: null,
      person: shared.person,
    }),
    evidence: createEvidence({
      ...{ staff: access, access: state.access, reads: state.evidence, audit: state.audit, checkpoints, key },
      ...{ clock: systemClock, recordingsFolder, gateway: 'gw-1', person: shared.person },
    }),
    live: createLiveSessions(gate, state.sessions, state.access),
    sessions: state.sessions,
    audit: state.audit,
    recordingsFolder,
    publicKeys: () => key.publicKeys(),
    identityKeys: () => assertions.publicKeys(),
    catalogue,
    hosts,
    appOrigin: (name: string) => originOf(hosts, catalogue.resource(name), publicUrl),
    settings: { gateway: 'gw-1', cliSessionMs: 12 * hourMs },
    changes: state.changes,
  }
  return { state, identity, assertions, access, gate, deps }
}

function identitySettings(issuer: URL) {
  return {
    oidc: {
      issuer,
      clientId: client.clientId,
      clientSecret: new Secret(client.clientSecret),
      ca: null,
      scopes: ['openid', 'email', 'profile', 'groups'],
      groupsClaim: 'groups',
    },
    sessionMs: 12 * hourMs,
    rememberMs: 8 * hourMs,
    signInMs: 5 * 60_000,
    sameAddress: false,
    refreshMs: hourMs,
    tokenMsMax: 30 * 24 * hourMs,
  }
}

const role = (name: string, description: string, databases: [string, ...string[]] = ['shop']): PostgresRole => ({
  kind: 'postgres',
  ...plainRole,
  name,
  description,
  login: `shop_${name}`,
  password: null,
  databases,
  recording: 'strict',
})

const resource = (name: string, description: string, roles: readonly PostgresRole[]): PostgresResource => ({
  kind: 'postgres',
  name,
  description,
  labels: {},
  host: '127.0.0.1',
  port: 5432,
  others: [],
  targetSession: 'any',
  connectMs: 15_000,
  minTlsVersion: 'TLSv1.2',
  keepalives: null,
  logins: ['scram-sha-256', 'md5', 'none'],
  tls: { mode: 'disable', ca: null, serverName: null, identity: null },
  roles: Object.fromEntries(roles.map((one) => [one.name, one])),
})

const resources = [
  resource('prod-db', 'Customers and invoices of the shop', [
    role('readonly', 'Read everything', ['shop', 'reporting']),
    role('admin', 'Read and write'),
  ]),
  resource('staging', 'A copy without personal data', [role('readonly', 'Read everything')]),
  {
    kind: 'ssh',
    name: 'web-1',
    description: 'The web server of the shop',
    labels: {},
    host: '127.0.0.1',
    port: 22,
    hostKeys: { fingerprints: [], knownHosts: null, authorities: [] },
    keepalives: null,
    roles: {
      ops: {
        kind: 'ssh',
        name: 'ops',
        description: 'Look after the server',
        login: 'ops',
        key: null,
        allow: ['shell', 'exec', 'sftp', 'forward-local'],
        recordInput: false,
        recording: 'strict',
      },
    },
  },
] satisfies readonly Resource[]

const policies: readonly Policy[] = [
  {
    name: 'production takes an approver',
    who: { groups: ['engineering'] },
    what: { resources: ['prod-db'], labels: {}, roles: null },
    length: { defaultMs: hourMs, mostMs: 8 * hourMs },
    reason: 'required',
    ticket: { pattern: /^(?:INC-[0-9]+)$/, link: 'https://tickets.example.com/{ticket}', required: false },
    approval: { kind: 'people', steps: [stepOf(1, ['approvers', 'security'])] },
  },
  {
    name: 'staging is self-service',
    who: { groups: ['engineering'] },
    what: { resources: ['staging', 'web-1'], labels: {}, roles: null },
    length: { defaultMs: hourMs, mostMs: 8 * hourMs },
    reason: 'optional',
    ticket: null,
    approval: { kind: 'none' },
  },
]

async function signInAs(url: URL, agent: Agent, identity: Identity, login: string): Promise<SignedIn> {
  const started = await clientWith(url, agent, '').get('/sign-in')
  const flow = cookiesOf(started)
  const back = await new Browser().signIn(new URL(started.headers.get('location')!), login)
  const done = await clientWith(url, agent, flow).get(`${back.pathname}${back.search}`)
  const cookie = cookiesOf(done)
  const value = /__Host-curfew=([^;]+)/.exec(cookie)?.[1]
  const visitor = await identity.browser.visitor(value)
  if (visitor === undefined) throw new Error(`${login} did not get in: ${done.status} ${done.text}`)
  return { ...clientWith(url, agent, cookie), person: visitor.person, cookie }
}

function cookiesOf(answer: Answer): string {
  return answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0]!)
    .join('; ')
}

function clientWith(url: URL, agent: Agent, cookie: string): Client {
  const call = async (path: string, init: { method?: string; body?: string; headers?: Record<string, string> }) => {
    const headers = { ...(cookie !== '' && { cookie }), accept: 'text/html', ...init.headers }
    const response = await fetch(new URL(path, url), { ...init, headers, redirect: 'manual', dispatcher: agent })
    const text = await response.text()
    const location = response.headers.get('location')
    return { status: response.status, headers: response.headers, text, location }
  }
  return {
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, form = {}, headers = { origin: url.origin }) => {
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      return call(path, {
        method: 'POST',
        body: new URLSearchParams(form).toString(),
        headers: { ...type, ...headers },
      })
    },
    json: async (method, path, body, headers = {}) => {
      const type = body === undefined ? {} : { 'content-type': 'application/json' }
      const init = { method, headers: { accept: 'application/json', ...type, ...headers } }
      const answer = await call(path, { ...init, ...(body !== undefined && { body: JSON.stringify(body) }) })
      return { ...answer, body: answer.text === '' ? undefined : JSON.parse(answer.text) }
    },
  }
}

function collect(lines: string[]): Log {
  const write = (fields: unknown, message: string) => void lines.push(`${message} ${JSON.stringify(fields, errors)}`)
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log }
  return log
}

function errors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack}` : value
}
