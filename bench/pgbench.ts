/** pgbench straight, through pgbouncer and through the gateway with recording on and off, in interleaved rounds. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, untilListening } from '../scripts/ports.ts'
import { median, rounded } from './statistics.ts'
import { startStack, type Stack } from './stack.ts'

const run = promisify(execFile)

export interface Way {
  readonly name: 'direct' | 'pgbouncer' | 'gateway' | 'gateway-unrecorded' | 'gateway-guarded' | 'gateway-remembered'
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string
  /** Whose CPU time counts; null for direct. */
  readonly processId: number | null
}

export interface Run {
  readonly tps: number
  readonly latencyMs: number
  readonly cpuMsPerTransaction: number | null
}

export interface PgbenchOptions {
  readonly clients: readonly number[]
  readonly seconds: number
  readonly pairs: number
  /** Cases whose `script mode` holds this. */
  readonly only?: string
}

export const scripts = { 'select-only': ['-S'], 'simple-update': ['-N'] } as const
export const modes = ['simple', 'prepared'] as const

export async function* benchPgbench({ clients, seconds, pairs, only = '' }: PgbenchOptions): AsyncGenerator<object> {
  await using stack = await startStack(200)
  await using ways = await openWays(stack)
  await initialise(ways.list[0]!)
  for (const script of Object.keys(scripts) as (keyof typeof scripts)[]) {
    for (const mode of modes) {
      if (!`${script} ${mode}`.includes(only)) continue
      for (const count of clients) {
        const runs = await interleaved(ways.list, { script, mode, clients: count, seconds, pairs })
        yield* summaries(runs, { script, mode, clients: count })
      }
    }
  }
}

export interface Case {
  readonly script: keyof typeof scripts
  readonly mode: (typeof modes)[number]
  readonly clients: number
}

export async function interleaved(ways: readonly Way[], wanted: Case & PgbenchRounds): Promise<Map<Way, Run[]>> {
  const runs = new Map<Way, Run[]>(ways.map((way) => [way, []]))
  // The first round warms up and does not count: a gateway runs for weeks.
  for (let round = 0; round <= wanted.pairs; round++) {
    // Every other round runs backwards, so that drift of the machine falls on all alike.
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const figures = await pgbench(way, wanted)
      if (round > 0) runs.get(way)!.push(figures)
    }
  }
  return runs
}

export interface PgbenchRounds {
  readonly seconds: number
  readonly pairs: number
}

function* summaries(runs: Map<Way, Run[]>, of: Case): Generator<object> {
  const byName = new Map([...runs].map(([way, list]) => [way.name, list]))
  for (const [name, list] of byName) {
    const ratio = (other: Way['name']) => {
      const base = byName.get(other)
      return base === undefined ? null : rounded(median(list.map((one, index) => one.tps / base[index]!.tps)))
    }
    const cpu = list.flatMap(({ cpuMsPerTransaction }) => cpuMsPerTransaction ?? [])
    const bouncer = byName.get('pgbouncer')?.flatMap(({ cpuMsPerTransaction }) => cpuMsPerTransaction ?? []) ?? []
    yield {
      bench: 'pgbench',
      way: name,
      ...of,
      tps: rounded(median(list.map(({ tps }) => tps)), 0),
      latencyMs: rounded(median(list.map(({ latencyMs }) => latencyMs)), 3),
      ofDirect: ratio('direct'),
      ofPgbouncer: ratio('pgbouncer'),
      cpuUsPerTransaction: cpu.length === 0 ? null : rounded(median(cpu) * 1000, 1),
      cpuOfPgbouncer:
        cpu.length === 0 || bouncer.length === 0
          ? null
          : rounded(median(cpu.map((one, round) => one / bouncer[round]!))),
    }
  }
}

async function pgbench(way: Way, { script, mode, clients, seconds }: Case & PgbenchRounds): Promise<Run> {
  const before = await cpuMs(way.processId)
  const threads = String(Math.min(2, clients))
  const args = ['-n', ...scripts[script], '-M', mode, '-c', String(clients), '-j', threads, '-T', String(seconds)]
  const { stdout } = await run(
    'pgbench',
    [...args, '-h', '127.0.0.1', '-p', String(way.port), '-U', way.user, way.database],
    {
      env: { ...process.env, PGPASSWORD: way.password, PGSSLMODE: 'disable' },
    },
  )
  const read = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1])
  const transactions = read(/number of transactions actually processed: (\d+)/)
  if (!/number of failed transactions: 0/.test(stdout))
    throw new Error(`pgbench through ${way.name} failed:\n${stdout}`)
  const after = await cpuMs(way.processId)
  return {
    tps: read(/tps = ([\d.]+)/),
    latencyMs: read(/latency average = ([\d.]+)/),
    cpuMsPerTransaction: before === null || after === null ? null : (after - before) / transactions,
  }
}

/** User and system time of a process with its threads. @see proc(5), /proc/pid/stat, fields 14 and 15; 100 ticks a second */
export async function cpuMs(processId: number | null): Promise<number | null> {
  if (processId === null) return null
  const fields = (await readFile(`/proc/${processId}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

export async function initialise(direct: Way): Promise<void> {
  const env = { ...process.env, PGPASSWORD: direct.password, PGSSLMODE: 'disable' }
  const where = ['-h', '127.0.0.1', '-p', String(direct.port), '-U', direct.user, direct.database]
  await run('pgbench', ['-i', '-q', '-s', '10', ...where], { env })
}

export async function openWays(stack: Stack): Promise<{ list: Way[] } & AsyncDisposable> {
  const { target, login, gateway } = stack
  await gateway.ask({ kind: 'grant', resource: 'bench-db', role: 'bench', lengthMs: 8 * 3_600_000 }, 'grant')
  await gateway.ask({ kind: 'grant', resource: 'bench-db', role: 'unrecorded', lengthMs: 8 * 3_600_000 }, 'grant')
  const { text } = await gateway.ask({ kind: 'token' }, 'token')
  const through = { port: gateway.postgresPort, database: 'bench-db', password: text, processId: gateway.processId }
  const direct: Way = { name: 'direct', port: target.port, ...login, processId: null }
  const list: Way[] = [
    direct,
    { name: 'gateway', user: 'bench.token', ...through },
    { name: 'gateway-unrecorded', user: 'unrecorded.token', ...through },
  ]
  const bouncer = await startPgbouncer(stack)
  if (bouncer === undefined) return { list, [Symbol.asyncDispose]: () => Promise.resolve() }
  list.splice(1, 0, { name: 'pgbouncer', port: bouncer.port, ...login, processId: bouncer.processId })
  return { list, [Symbol.asyncDispose]: bouncer.stop }
}

/** pgbouncer in session mode, as close to what the gateway does as it can be. */
async function startPgbouncer({ target, login }: Stack) {
  if (!existsSync('/usr/sbin/pgbouncer')) return undefined
  const place = await mkdtemp(join(tmpdir(), 'curfew-pgbouncer-'))
  const port = await freePort()
  const userList = join(place, 'users')
  await writeFile(userList, `"${login.user}" "${login.password}"\n`)
  const settings = [
    '[databases]',
    `${login.database} = host=127.0.0.1 port=${target.port}`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1`,
    `listen_port = ${port}`,
    'auth_type = scram-sha-256',
    `auth_file = ${userList}`,
    'pool_mode = session',
    'default_pool_size = 100',
    'max_client_conn = 200',
    'unix_socket_dir =',
    'logfile = /dev/null',
  ]
  const configFile = join(place, 'pgbouncer.ini')
  await writeFile(configFile, `${settings.join('\n')}\n`)
  // It refuses to run as root.
  const root = process.getuid?.() === 0
  if (root) for (const path of [place, configFile, userList]) await chown(path, 65_534, 65_534)
  const child = spawn('/usr/sbin/pgbouncer', ['-q', configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
    ...(root ? { uid: 65_534, gid: 65_534 } : {}),
  })
  await untilListening(port, child)
  const stop = async () => {
    const exited = once(child, 'exit')
    child.kill('SIGQUIT')
    await exited
    await rm(place, { recursive: true })
  }
  return { port, processId: child.pid!, stop }
}
