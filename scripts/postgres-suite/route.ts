/** One fresh server, and one way to it: straight, or through the gateway. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres, type TestPostgres } from '../../test/servers/postgres.ts'
import { startTestGateway, type ConfigInput, type TestGateway } from '../../test/servers/gateway.ts'
import { Visitor } from '../../test/clients/visitor.ts'
import { readRecordings, type Recorded } from './recordings.ts'

const login = 'postgres'

export interface Route extends AsyncDisposable {
  readonly database: string
  /** What libpq is told. */
  readonly environment: Readonly<Record<string, string>>
  /** The database, as it was before anything ran. */
  renew(): Promise<void>
  /** Undefined on the straight way. */
  recorded(): Promise<Recorded | undefined>
}

/** What pg_regress sets for a database that it makes itself. */
const settings = {
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  bytea_output: 'hex',
  timezone_abbreviations: 'Default',
}

/** `guarded`: through the gateway, which reads every statement, lets it pass, and keeps the rows of its answer. */
export type Way = 'straight' | 'gateway' | 'guarded'

/**
 * Resource and database have the same name, role and login too: so nothing that a client sees of itself differs.
 * @param database its name stands in some of the suites' files.
 */
export async function openRoute(way: Way, database: string): Promise<Route> {
  await using stack = new AsyncDisposableStack()
  const serverSettings = { max_connections: 100, max_prepared_transactions: 10, max_wal_size: '1GB' }
  const server = stack.use(await startPostgres({ debian: true, settings: serverSettings }))
  const gateway = way === 'straight' ? undefined : stack.use(await openGateway(server, database, way === 'guarded'))
  const environment = gateway === undefined ? await straight(server) : throughGateway(gateway)
  const all = stack.move()
  return {
    database,
    environment: { PGUSER: login, PGHOST: 'localhost', PGSSLMODE: 'verify-full', ...environment },
    renew: () => renew(server, database),
    recorded: async () => (gateway === undefined ? undefined : await readRecordings(gateway)),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

async function renew(server: TestPostgres, database: string): Promise<void> {
  await server.query(`drop database if exists ${database} with (force)`)
  await server.query(`create database ${database} template template0`)
  for (const [name, value] of Object.entries(settings)) {
    await server.query(`alter database ${database} set ${name} to '${value}'`)
  }
}

async function straight(server: TestPostgres): Promise<Record<string, string>> {
  const caFile = join(server.folder, 'ca.pem')
  await writeFile(caFile, server.ca)
  return { PGPORT: String(server.port), PGPASSWORD: server.superuserPassword, PGSSLROOTCERT: caFile }
}

function throughGateway(gateway: TestGateway): Record<string, string> {
  return { PGPORT: String(gateway.postgresPort), PGSSLROOTCERT: gateway.caFile }
}

async function openGateway(server: TestPostgres, database: string, isGuarded: boolean): Promise<TestGateway> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(
    await startTestGateway({
      postgres: server,
      configure: (config) => configure(config, server, database, isGuarded),
      beforeLoad: (folder) => writeFile(join(folder, 'secrets/superuser'), server.superuserPassword, { mode: 0o600 }),
    }),
  )
  const asker = await gateway.person('alice')
  const wish = { resource: database, role: login, lengthMs: 3 * 3_600_000, reason: '', ticket: null, startsAt: null }
  await gateway.gateway.access.ask(asker, { ...wish, origin: 'test' })
  await rememberAddress(gateway, database)
  stack.move()
  return gateway
}

const guarded = {
  // oxlint-disable-next-line unicorn/no-thenable -- a word of the file; nobody awaits it
  guard: { rules: [{ name: 'whatever', when: { kinds: ['unparsable' as const] }, then: 'allow' as const }] },
  recordRows: { rows: 10_000, size: '1MiB' },
}

function configure(config: ConfigInput, server: TestPostgres, database: string, isGuarded: boolean): void {
  config.resources[database] = {
    kind: 'postgres',
    host: server.host,
    port: server.port,
    tls: { mode: 'verify-full', ca: 'target-ca.pem' },
    roles: { [login]: { ...(isGuarded && guarded), login, password: 'file:secrets/superuser', databases: [database] } },
  }
  const who = { groups: ['engineering'] }
  config.policies.push({ name: 'suite', who, what: { resources: [database] }, reason: 'optional', approval: 'none' })
}

/** Alice signs in, and this address needs no other proof from then on: so there is no password to send. */
async function rememberAddress(gateway: TestGateway, database: string): Promise<void> {
  await using browser = new Visitor(gateway.ca)
  await browser.open(new URL('/sign-in', gateway.url), 'alice')
  const { identity, state } = gateway.gateway
  const person = await gateway.person('alice')
  const [browserSession] = await state.identity.browserSessionsOf(person.id)
  if (browserSession === undefined) throw new Error('alice has signed in and has no session')
  const asks = { purpose: 'postgres', application: 'psql', resource: database, role: login } as const
  for (const address of ['127.0.0.1', '::1']) {
    const signIn = await identity.inBand.begin({ ...asks, address, secretHash: null })
    await identity.inBand.confirm(signIn, { person, browserSession }, { address }, true)
  }
}
