/** The whole product for tests: the real gateway between a real provider and a real PostgreSQL, on free ports. */
import { appendFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { input } from 'zod'
import { issue, makeAuthority, type Authority } from '../../scripts/certificates.ts'
import type { OidcDeviceClient } from '../../scripts/demo/oidc-devices.ts'
import { startOidcProvider, type OidcProvider } from '../../scripts/demo/oidc-provider.ts'
import { freePort } from '../../scripts/ports.ts'
import type { Grant } from '../../src/access/states.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { configSchema } from '../../src/config/schema.ts'
import { startGateway, type Gateway, type Overrides } from '../../src/gateway.ts'
import { identityPaths } from '../../src/identity/paths.ts'
import type { Person } from '../../src/identity/person.ts'
import { createLog } from '../../src/observability/log.ts'
import type { Program } from '../clients/program.ts'
import { startPsql, type PsqlOptions } from '../clients/psql.ts'
import { Visitor } from '../clients/visitor.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'

/** Two engineers, two approvers, a security reviewer, an operator. The name signs in, without a password. */
export const people = [
  { subject: 'alice', email: 'alice@shop.example', name: 'Alice Chen', groups: ['engineering'] },
  { subject: 'dave', email: 'dave@shop.example', name: 'Dave Ibarra', groups: ['engineering'] },
  { subject: 'bob', email: 'bob@shop.example', name: 'Bob Ortiz', groups: ['approvers'] },
  { subject: 'carol', email: 'carol@shop.example', name: 'Carol Weiss', groups: ['approvers'] },
  { subject: 'sam', email: 'sam@shop.example', name: 'Sam Okoye', groups: ['security'] },
  { subject: 'olga', email: 'olga@shop.example', name: 'Olga Novak', groups: ['operations'] },
] as const
export type Login = (typeof people)[number]['subject']

/** `reporting` needs nobody, `readonly` one approver, `admin` two. */
export type TestRole = 'reporting' | 'readonly' | 'admin'
export type ConfigInput = input<typeof configSchema>

export interface TestGatewayOptions {
  /** Changes the configuration before it is written, such as `(config) => (config.access = { waitFor: '0' })`. */
  readonly configure?: (config: ConfigInput) => void
  /** Writes files that the configuration names, before it is read. */
  readonly beforeLoad?: (folder: string) => Promise<void>
  /** A part in place of the machine's own. Without a log, warnings and errors go to `gateway.log` in the folder. */
  readonly overrides?: Overrides
  /** Stands behind the gateway; without one, one is started and stopped with it. */
  readonly postgres?: TestPostgres
  /** Host of the pages, instead of `localhost`; the clients of the tests find it on this machine. */
  readonly host?: string
  /** A client of the provider that signs in by itself; `identity.oauth` is its. */
  readonly device?: OidcDeviceClient
  /** Further names in the certificate of the pages. */
  readonly certificateNames?: readonly string[]
}

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway
  readonly config: Config
  readonly configFile: string
  readonly postgres: TestPostgres
  readonly provider: OidcProvider
  /** `https://localhost:PORT/`, the pages. */
  readonly url: URL
  readonly postgresPort: number
  readonly opsUrl: URL
  readonly ca: string
  readonly caFile: string
  /** The gateway's own certificate, PEM: what `openBrowser` is told to accept. */
  readonly certificate: string
  readonly folder: string
  readonly logFile: string
  /** Signed in with cookies, by the real way through the provider; the same one each time. */
  visitor(login: Login): Promise<Visitor>
  person(login: Login): Promise<Person>
  /** A password for the user `role.token`. */
  token(login: Login, lengthMs?: number): Promise<string>
  /** Asked for, approved by as many as it takes, active. */
  grant(login: Login, role: TestRole, lengthMs?: number): Promise<Grant>
  /** psql to the database `prod-db` through the gateway. */
  psql(options: Partial<PsqlOptions> & { readonly user: string }): Program
  /** Stops the gateway as SIGTERM would, and starts it again on the same ports and data. */
  restart(): Promise<void>
  /** Stops it alone. @returns what starts it again. */
  away(): Promise<() => Promise<void>>
}

const client = { clientId: 'curfew', clientSecret: 'a-secret-for-tests-only' } as const
const hourMs = 3_600_000

/** The files that a configuration names. */
interface Files {
  readonly folder: string
  readonly authority: Authority
  readonly certificate: string
}

interface Ports {
  readonly web: number
  readonly postgres: number
  readonly ops: number
}

interface Surroundings extends Files {
  readonly postgres: TestPostgres
  readonly provider: OidcProvider
  readonly ports: Ports
}

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  await using stack = new AsyncDisposableStack()
  const surroundings = await startSurroundings(options, stack)
  const configFile = join(surroundings.folder, 'curfew.yaml')
  const input = configInput({ ...surroundings, issuer: surroundings.provider.issuer })
  if (options.host !== undefined) input.gateway.publicUrl = `https://${options.host}:${surroundings.ports.web}`
  if (options.device !== undefined) input.identity.oauth = { ...options.device, scopes: [...options.device.scopes] }
  options.configure?.(input)
  await writeFile(configFile, stringify(input))
  await options.beforeLoad?.(surroundings.folder)
  const config = await loadConfig(configFile, {})
  const logFile = join(surroundings.folder, 'gateway.log')
  const start = () => startGateway(config, { log: fileLog(logFile), ...options.overrides })
  const running = { gateway: await start() }
  stack.defer(() => running.gateway[Symbol.asyncDispose]())
  const crowd = stack.use(new Crowd(config.gateway.publicUrl, surroundings.authority.certificate, running))
  return testGateway({ ...surroundings, config, configFile, logFile, running, crowd, start, stack: stack.move() })
}

interface Parts extends Surroundings {
  readonly config: Config
  readonly configFile: string
  readonly logFile: string
  readonly running: { gateway: Gateway }
  readonly crowd: Crowd
  readonly start: () => Promise<Gateway>
  readonly stack: AsyncDisposableStack
}

function testGateway(parts: Parts): TestGateway {
  const { config, configFile, folder, logFile, postgres, provider, certificate, authority, ports, running, crowd } =
    parts
  const caFile = join(folder, 'ca.pem')
  return {
    ...{ config, configFile, folder, logFile, postgres, provider, certificate, caFile },
    ca: authority.certificate,
    url: config.gateway.publicUrl,
    postgresPort: ports.postgres,
    opsUrl: new URL(`http://127.0.0.1:${ports.ops}`),
    get gateway() {
      return running.gateway
    },
    visitor: (login) => crowd.visitor(login),
    person: (login) => crowd.person(login),
    async token(login, lengthMs = hourMs) {
      const wish = { label: 'test', kind: 'access', lengthMs } as const
      return (await running.gateway.identity.tokens.make(await crowd.person(login), wish)).text
    },
    grant: (login, role, lengthMs = hourMs) => makeGrant(running.gateway, crowd, login, role, lengthMs),
    psql: (psql) => startPsql({ port: ports.postgres, database: 'prod-db', caFile, ...psql }),
    async restart() {
      await running.gateway[Symbol.asyncDispose]()
      running.gateway = await parts.start()
    },
    async away() {
      await running.gateway[Symbol.asyncDispose]()
      return async () => void (running.gateway = await parts.start())
    },
    [Symbol.asyncDispose]: () => parts.stack.disposeAsync(),
  }
}

/** Everybody who has signed in so far, each with a browser of their own. */
class Crowd implements AsyncDisposable {
  readonly #publicUrl: URL
  readonly #ca: string
  readonly #running: { readonly gateway: Gateway }
  readonly #visitors = new Map<Login, Promise<Visitor>>()

  constructor(publicUrl: URL, ca: string, running: { readonly gateway: Gateway }) {
    this.#publicUrl = publicUrl
    this.#ca = ca
    this.#running = running
  }

  visitor(login: Login): Promise<Visitor> {
    const known = this.#visitors.get(login)
    if (known !== undefined) return known
    const signingIn = this.#signIn(login)
    this.#visitors.set(login, signingIn)
    return signingIn
  }

  async person(login: Login): Promise<Person> {
    await this.visitor(login)
    const email = people.find((one) => one.subject === login)!.email
    const [found] = await this.#running.gateway.state.identity.peopleByEmail(email)
    if (found === undefined) throw new Error(`${login} has signed in and is not known`)
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const visitor of await Promise.allSettled(this.#visitors.values())) {
      if (visitor.status === 'fulfilled') await visitor.value[Symbol.asyncDispose]()
    }
  }

  async #signIn(login: Login): Promise<Visitor> {
    const visitor = new Visitor(this.#ca)
    const landed = await visitor.open(new URL('/sign-in', this.#publicUrl), login)
    if (landed.url.origin === this.#publicUrl.origin && landed.status === 200) return visitor
    await visitor[Symbol.asyncDispose]()
    throw new Error(`${login} did not get in: ${landed.status} at ${landed.url.href}\n${landed.body}`)
  }
}

async function startSurroundings(options: TestGatewayOptions, stack: AsyncDisposableStack): Promise<Surroundings> {
  const postgres = options.postgres ?? stack.use(await startPostgres())
  const host = options.host ?? 'localhost'
  const files = await writeFiles(postgres, stack, [host, ...(options.certificateNames ?? [])])
  const ports = await freePorts()
  const publicUrl = new URL(`https://${host}:${ports.web}`)
  const provider = stack.use(await startProvider(publicUrl, files.authority.certificate, options.device))
  return { ...files, postgres, provider, ports }
}

/** Certificates and secrets in a folder of their own, which goes with `stack`. */
export async function writeFiles(
  postgres: TestPostgres,
  stack: AsyncDisposableStack,
  names: readonly string[] = [],
): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-gateway-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const authority = await makeAuthority('Curfew test authority')
  const server = await issue(authority, { names: ['localhost', '127.0.0.1', '::1', ...names] })
  const secrets = { 'server.key': server.key, 'client-secret': client.clientSecret, ...postgres.passwords }
  await mkdir(join(folder, 'secrets'), { mode: 0o700 })
  for (const [name, text] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
  await writeFile(join(folder, 'ca.pem'), authority.certificate)
  await writeFile(join(folder, 'server.pem'), server.certificate)
  await writeFile(join(folder, 'target-ca.pem'), postgres.ca)
  return { folder, authority, certificate: server.certificate }
}

export async function freePorts(): Promise<Ports> {
  return { web: await freePort(), postgres: await freePort(), ops: await freePort() }
}

function startProvider(publicUrl: URL, ca: string, device?: OidcDeviceClient): Promise<OidcProvider> {
  const at = (path: string) => new URL(path, publicUrl).href
  return startOidcProvider({
    people,
    backChannelCa: ca,
    ...(device !== undefined && { device }),
    clients: [
      {
        ...client,
        redirectUris: [at(identityPaths.callback)],
        postLogoutRedirectUris: [at(identityPaths.signedOut)],
        backChannelLogoutUri: at(identityPaths.backChannelLogout),
      },
    ],
  })
}

export function configInput(at: {
  readonly folder: string
  readonly postgres: TestPostgres
  readonly ports: Ports
  readonly issuer: URL
}): ConfigInput {
  const { folder, postgres, ports, issuer } = at
  const tls = { certificate: 'server.pem', key: 'file:secrets/server.key' }
  const role = (login: string) => ({ login, password: `file:secrets/${login}`, databases: ['shop'] })
  const engineers = { groups: ['engineering'] }
  const approved = (people: number) => ({ people, from: ['approvers'] })
  return {
    gateway: {
      name: 'gw-test',
      publicUrl: `https://localhost:${ports.web}`,
      clientRootCertificate: join(folder, 'ca.pem'),
      drainFor: '0',
    },
    listen: {
      web: { port: ports.web, tls },
      postgres: [{ port: ports.postgres, tls }],
      ops: { port: ports.ops },
    },
    identity: {
      issuer: issuer.origin,
      clientId: client.clientId,
      clientSecret: 'file:secrets/client-secret',
      scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
    },
    staff: { reviewers: ['security'], operators: ['operations'] },
    log: { level: 'warn' },
    resources: {
      'prod-db': {
        kind: 'postgres',
        description: 'Customers and invoices of the shop',
        labels: { env: 'production' },
        host: postgres.host,
        port: postgres.port,
        tls: { mode: 'verify-full', ca: 'target-ca.pem' },
        roles: { reporting: role('shop_reporting'), readonly: role('shop_readonly'), admin: role('shop_admin') },
      },
    },
    policies: [
      { name: 'reporting', who: engineers, what: { roles: ['reporting'] }, reason: 'optional', approval: 'none' },
      { name: 'readonly', who: engineers, what: { roles: ['readonly'] }, approval: approved(1) },
      { name: 'admin', who: engineers, what: { roles: ['admin'] }, approval: approved(2) },
    ],
  }
}

function fileLog(file: string): NonNullable<Overrides['log']> {
  return createLog({ level: 'warn', destination: { write: (line) => appendFileSync(file, line) } })
}

async function makeGrant(
  gateway: Gateway,
  crowd: Crowd,
  login: Login,
  role: TestRole,
  lengthMs: number,
): Promise<Grant> {
  const asker = await crowd.person(login)
  const wish = { resource: 'prod-db', role, lengthMs, reason: 'a test', ticket: null, startsAt: null, origin: 'test' }
  const request = await gateway.access.ask(asker, wish)
  const approvers = { reporting: [], readonly: ['bob'], admin: ['bob', 'carol'] } as const
  for (const approver of approvers[role]) {
    await gateway.access.decide(await crowd.person(approver), request.id, 'approve', '')
  }
  const grants = await gateway.access.livingGrants(asker.id)
  const grant = grants.find((one) => one.request === request.id)
  if (grant === undefined) throw new Error(`no grant came of ${request.id}`)
  return grant
}
