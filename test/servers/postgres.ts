/** A real PostgreSQL with the shop's data for tests: TLS and SCRAM, in a temporary folder, on a free port. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type pg from 'pg'
import { issue, makeAuthority, type Authority } from '../../scripts/certificates.ts'
import { startPostgres as startServer, type RunningPostgres } from '../../scripts/demo/postgres.ts'
import { findBinaries, findDebianBinaries, type Binaries } from '../../scripts/demo/postgres-binaries.ts'
import { makeShop, type ShopPasswords } from '../../scripts/demo/shop.ts'

export interface TestPostgres extends AsyncDisposable {
  /** `localhost` */
  readonly host: string
  readonly port: number
  /** Who signed the server's certificate, PEM. */
  readonly ca: string
  readonly folder: string
  readonly logFile: string
  readonly superuserPassword: string
  /** Logins of the database `shop`: `shop_readonly`, `shop_reporting`, `shop_admin` (its owner). */
  readonly passwords: ShopPasswords
  /** As the superuser, in the database `postgres`. */
  query(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult>
  /** A connected superuser client; the caller ends it. */
  connect(database?: string): Promise<pg.Client>
  /** Waits until exactly `count` sessions run a statement that contains `text`. */
  untilRunning(text: string, count: number): Promise<void>
  /**
   * Waits until exactly `count` client sessions match all of `filter`.
   * @param filter columns of pg_stat_activity, such as `{ usename: 'shop_admin', state: 'idle in transaction' }`.
   */
  untilSessions(filter: Readonly<Record<string, string>>, count: number): Promise<void>
}

export interface TestPostgresOptions {
  /** Whose certificate it shows; a fresh authority when absent. */
  readonly authority?: Authority
  /** Names in its certificate. Default: `localhost` and both loopback addresses. */
  readonly names?: readonly [string, ...string[]]
  readonly settings?: Readonly<Record<string, string | number>>
  /** A hot standby that waits for a primary that never comes: it reads, and writes nothing. */
  readonly standby?: boolean
  /** Debian's server, of the same version as its pg_dump (which refuses newer ones), instead of the package's. */
  readonly debian?: boolean
}

const waitMsMax = 20_000
const pollMs = 10
const loopback = ['localhost', '127.0.0.1', '::1'] as const

// Nothing in a test survives a power failure, so nothing has to.
const fast = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', autovacuum: 'off' }

/** @returns when it answers. Disposing stops it and removes its folder. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const binaries = options.debian === true ? await findDebianBinaries() : await findBinaries()
  const template = await findTemplate(binaries)
  const folder = await mkdtemp(join(tmpdir(), 'curfew-postgres-'))
  try {
    // With its owner: PostgreSQL insists on owning its files.
    await promisify(execFile)('cp', ['-a', join(template.cluster, 'data'), folder])
    if (options.standby === true) await writeAsOwner(join(folder, 'data'), 'standby.signal')
    const authority = options.authority ?? (await makeAuthority('Curfew test authority'))
    const tls = { ...(await issue(authority, { names: options.names ?? loopback })), ca: authority.certificate }
    const settings = { ...fastWith(binaries), ...options.settings }
    const { superuserPassword } = template.secrets
    const server = await startServer({ folder, tls, superuserPassword, settings, binaries })
    const superuser = await server.connect()
    return testPostgres(folder, server, superuser, template.secrets)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** PostgreSQL insists on owning its files. */
async function writeAsOwner(data: string, name: string): Promise<void> {
  const { uid, gid } = await lstat(data)
  await writeFile(join(data, name), '')
  await chown(join(data, name), uid, gid)
}

interface Secrets {
  readonly superuserPassword: string
  readonly passwords: ShopPasswords
}

function fastWith({ version }: Binaries): Readonly<Record<string, string>> {
  return Number.parseInt(version, 10) < 18 ? fast : { ...fast, io_method: 'sync' }
}

/** Made once per user and machine and then copied, which is some times as fast. */
async function findTemplate(binaries: Binaries): Promise<{ cluster: string; secrets: Secrets }> {
  const folder = join(tmpdir(), `curfew-postgres-template-${process.getuid?.() ?? 0}-${await recipe(binaries)}`)
  const made = (await isOurs(folder)) ? folder : await makeTemplate(folder, binaries)
  const secrets = JSON.parse(await readFile(join(made, 'secrets.json'), 'utf8')) as Secrets
  return { cluster: join(made, 'cluster'), secrets }
}

/** Changes when what the template is made of changes. */
async function recipe(binaries: Binaries): Promise<string> {
  const hash = createHash('sha256').update(binaries.version).update(binaries.postgres)
  for (const part of ['shop.sql', 'shop.ts', 'postgres.ts']) {
    hash.update(await readFile(new URL(`../../scripts/demo/${part}`, import.meta.url)))
  }
  return hash.digest('hex').slice(0, 12)
}

/** The folder for temporary files is everybody's. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found !== undefined && found.uid !== process.getuid?.()) throw new Error(`${folder} belongs to somebody else`)
  return found !== undefined
}

async function makeTemplate(folder: string, binaries: Binaries): Promise<string> {
  const half = await mkdtemp(join(tmpdir(), 'curfew-postgres-making-'))
  try {
    // The user that runs PostgreSQL for root has to get in; what is secret is in files that it may not read.
    await chmod(half, 0o755)
    await fillTemplate(half, binaries)
    await rename(half, folder)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    // Somebody else may have finished first; theirs is as good.
    if (!(await isOurs(folder))) throw error
  }
  return folder
}

async function fillTemplate(folder: string, binaries: Binaries): Promise<void> {
  const password = () => randomBytes(16).toString('base64url')
  const passwords = { shop_readonly: password(), shop_reporting: password(), shop_admin: password() }
  const secrets: Secrets = { superuserPassword: password(), passwords }
  await writeFile(join(folder, 'secrets.json'), JSON.stringify(secrets), { mode: 0o600 })
  const authority = await makeAuthority('Curfew test authority')
  const tls = { ...(await issue(authority, { names: loopback })), ca: authority.certificate }
  const { superuserPassword } = secrets
  await using server = await startServer({
    folder: join(folder, 'cluster'),
    tls,
    superuserPassword,
    settings: fastWith(binaries),
    binaries,
  })
  await makeShop(server, passwords)
}

function testPostgres(folder: string, server: RunningPostgres, superuser: pg.Client, secrets: Secrets): TestPostgres {
  // The server may be stopped first; nobody waits for this connection then.
  superuser.on('error', () => undefined)
  let turn: Promise<unknown> = Promise.resolve()
  // One connection takes one question at a time.
  const query = (sql: string, values: readonly unknown[] = []) => {
    const answer = turn.then(() => superuser.query(sql, [...values]))
    turn = answer.catch(() => undefined)
    return answer
  }
  const until = (facts: string, values: readonly unknown[], count: number) =>
    untilCount(query, `select count(*)::int as found from pg_stat_activity where ${facts}`, values, count)
  return {
    ...secrets,
    folder,
    host: server.host,
    port: server.port,
    ca: server.ca,
    logFile: server.logFile,
    query,
    connect: (database) => server.connect(database),
    untilRunning: (text, count) =>
      until(`pid <> pg_backend_pid() and state = 'active' and strpos(query, $1) > 0`, [text], count),
    untilSessions: (filter, count) =>
      until(
        ["backend_type = 'client backend'", 'pid <> pg_backend_pid()']
          .concat(Object.keys(filter).map((column, index) => `${column}::text = $${index + 1}`))
          .join(' and '),
        Object.values(filter),
        count,
      ),
    async [Symbol.asyncDispose]() {
      await superuser.end()
      await server[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function untilCount(
  query: TestPostgres['query'],
  sql: string,
  values: readonly unknown[],
  count: number,
): Promise<void> {
  const deadline = performance.now() + waitMsMax
  for (;;) {
    const { rows } = await query(sql, values)
    const found = (rows as { found: number }[])[0]?.found
    if (found === count) return
    if (performance.now() > deadline) throw new Error(`expected ${count}, still ${found}: ${sql} ${values.join()}`)
    await sleep(pollMs)
  }
}
