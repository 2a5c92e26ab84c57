/** HTTP straight, through nginx, haproxy and the gateway with recording on and a real sign-in, in interleaved rounds. */
import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { cpuMsOf, residentKibOf, startHttpStack, type Door, type HttpStack, type Way } from './http-stack.ts'
import { median, quantile, rounded } from './statistics.ts'
import { closed, openSocket, pingPong } from './web-socket-driver.ts'

const run = promisify(execFile)

export interface HttpOptions {
  readonly seconds: number
  readonly megabytes: number
  readonly pairs: number
  /** Idle WebSockets for the memory of one. */
  readonly idle: number
  /** Part of a case's name; all without it. */
  readonly only?: string
}

/** What one run yields, by name; the first is what ways are compared by. */
type Sample = Readonly<Record<string, number>>

interface Case {
  readonly name: string
  readonly measure: (way: Way) => Promise<Sample>
}

export async function* benchHttp(options: HttpOptions): AsyncGenerator<object> {
  await using stack = await startHttpStack(options.megabytes)
  const isWanted = (name: string) => name.includes(options.only ?? '')
  for (const one of cases(options, stack).filter(({ name }) => isWanted(name))) {
    yield* summaries(one.name, await interleaved(stack.ways, one, options.pairs))
  }
  if (isWanted(idleName)) yield* idleMemory(stack, options.idle)
}

const warmUpSockets = 50
const idleName = 'memory of an idle WebSocket'

function cases(options: HttpOptions, stack: HttpStack): readonly Case[] {
  const { seconds } = options
  const load = (connections: number): Case => ({
    name: `requests, ${connections} connections`,
    measure: (way) => withCpu(way, () => wrk(stack, way.web, connections, seconds)),
  })
  const load2 = (connections: number): Case => ({
    name: `requests, HTTP/2, ${connections} connections of 8 streams`,
    measure: (way) => withCpu(way, () => h2load(stack, way.web, connections, seconds)),
  })
  const sockets = (count: number): Case => ({
    name: `WebSocket round trips, ${count} at once`,
    measure: (way) =>
      withCpu(way, async () => ({ perSecond: (await pingPong(way.socket, count, seconds)) / seconds, seconds })),
  })
  return [
    load(32),
    load(256),
    { name: 'added time, 1 connection', measure: (way) => alone(stack, way.web, seconds) },
    load2(32),
    { name: 'download', measure: ({ web }) => transfer(stack, web, '/files/big', ['-o', '/dev/null']) },
    {
      name: 'download, HTTP/2',
      measure: ({ web }) => transfer(stack, web, '/files/big', ['-o', '/dev/null'], '--http2'),
    },
    { name: 'upload', measure: ({ web }) => transfer(stack, web, '/files/put', ['-T', stack.bigFile]) },
    {
      name: 'upload, HTTP/2',
      measure: ({ web }) => transfer(stack, web, '/files/put', ['-T', stack.bigFile], '--http2'),
    },
    sockets(1),
    sockets(32),
  ]
}

/** Adds what the process in the middle needed for each. */
async function withCpu(
  { processId }: Way,
  work: () => Promise<Sample & Readonly<Record<'perSecond' | 'seconds', number>>>,
) {
  const before = processId === null ? 0 : await cpuMsOf(processId)
  const { seconds, ...sample } = await work()
  if (processId === null) return sample
  const cpuUs = (((await cpuMsOf(processId)) - before) * 1000) / (sample.perSecond * seconds)
  return { ...sample, cpuUs }
}

async function wrk(stack: HttpStack, door: Door, connections: number, seconds: number) {
  const words = ['wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--latency', '--timeout', '10s']
  const headers = [`Host: ${door.host}`, ...door.headers].flatMap((header) => ['-H', header])
  const text = await runElsewhere(stack, [...words, ...headers, `https://127.0.0.1:${door.port}/small`])
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`wrk met failures:\n${text}`)
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1])
  return { perSecond, seconds, p50Ms: wrkMs(text, '50%'), p99Ms: wrkMs(text, '99%') }
}

/** wrk writes `105.00us`, `1.05ms` or `1.05s`. */
function wrkMs(text: string, share: string): number {
  const [, value, unit = 'ms'] = new RegExp(`${share}\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? []
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's']
}

async function alone(stack: HttpStack, door: Door, seconds: number): Promise<Sample> {
  const { perSecond, p50Ms, p99Ms } = await wrk(stack, door, 1, seconds)
  return { p50Ms, p99Ms, perSecond }
}

async function h2load(stack: HttpStack, door: Door, connections: number, seconds: number) {
  const log = join(tmpdir(), `curfew-bench-h2load-${process.pid}`)
  const words = ['h2load', '-t', '1', '-c', String(connections), '-m', '8', '-D', String(seconds), `--log-file=${log}`]
  const headers = door.headers.flatMap((header) => ['-H', header])
  const where = [`--connect-to=127.0.0.1:${door.port}`, `https://${door.host}/small`]
  try {
    const text = await runElsewhere(stack, [...words, ...headers, ...where])
    const lines = (await readFile(log, 'utf8')).trim().split('\n')
    // Start in us, status (-1 when it failed), time in us.
    const requests = lines.map((line) => line.split('\t').map(Number))
    // Those that were under way when the time was over count as failed.
    const good = requests.filter(([, status]) => status === 200)
    if (good.length < requests.length - connections * 8) throw new Error(`h2load met failures:\n${text}`)
    const timesMs = good.map(([, , us]) => us! / 1000)
    return { perSecond: good.length / seconds, seconds, p50Ms: median(timesMs), p99Ms: quantile(timesMs, 0.99) }
  } finally {
    await rm(log, { force: true })
  }
}

async function transfer(
  stack: HttpStack,
  door: Door,
  path: string,
  how: string[],
  version = '--http1.1',
): Promise<Sample> {
  const headers = door.headers.flatMap((header) => ['-H', header])
  const [name = ''] = door.host.split(':')
  const words = [
    'curl',
    '-q',
    '-sS',
    '-k',
    '--fail',
    version,
    '--resolve',
    `${name}:${door.port}:127.0.0.1`,
    ...headers,
  ]
  const report = ['-w', '%{json}\n', ...how, `https://${door.host}${path}`]
  const text = await runElsewhere(stack, [...words, ...report])
  const json = JSON.parse(text.slice(text.indexOf('{'))) as Record<
    'size_download' | 'size_upload' | 'time_total',
    number
  >
  return { megabytesPerSecond: Math.max(json.size_download, json.size_upload) / 1e6 / json.time_total }
}

async function runElsewhere({ elsewhere }: HttpStack, words: readonly string[]): Promise<string> {
  const [program = '', ...args] = [...elsewhere, ...words]
  return (await run(program, args, { maxBuffer: 1 << 24 })).stdout
}

async function interleaved(
  ways: readonly Way[],
  { measure }: Case,
  pairs: number,
): Promise<Map<Way['name'], Sample[]>> {
  const runs = new Map<Way['name'], Sample[]>(ways.map(({ name }) => [name, []]))
  // The first round warms up and does not count.
  for (let round = 0; round <= pairs; round++) {
    // Every other round runs backwards, so that drift of the machine falls on all alike.
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const sample = await measure(way)
      if (round > 0) runs.get(way.name)!.push(sample)
    }
  }
  return runs
}

function* summaries(name: string, runs: Map<Way['name'], Sample[]>): Generator<object> {
  for (const [way, list] of runs) {
    const keys = Object.keys(list[0] ?? {})
    const [main = ''] = keys
    const against = (other: Way['name'], compare: (one: number, reference: number) => number) =>
      rounded(median(list.map((sample, index) => compare(sample[main]!, runs.get(other)![index]![main]!))), 3)
    const ratio = (one: number, reference: number) => one / reference
    yield {
      ...{ bench: 'http', case: name, way },
      ...Object.fromEntries(
        keys.map((key) => [key, rounded(median(list.map((sample) => sample[key]!)), digitsOf(key))]),
      ),
      ...{ ofNginx: against('nginx', ratio), ofStraight: against('straight', ratio) },
      ...(main.endsWith('Ms') && { addedMs: against('straight', (one, reference) => one - reference) }),
      runs: list.map((sample) => rounded(sample[main]!, digitsOf(main))).join(' '),
    }
  }
}

const digitsOf = (key: string): number => (key.endsWith('Ms') ? 3 : 0)

/** One by one, so that handshakes at once do not decide how much memory there is. */
async function openMany(door: Door, count: number): Promise<readonly TLSSocket[]> {
  const open: TLSSocket[] = []
  while (open.length < count) open.push(await openSocket(door))
  return open
}

async function closeAll(sockets: readonly TLSSocket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => closed(socket)))
}

async function* idleMemory({ ways }: HttpStack, count: number): AsyncGenerator<object> {
  for (const { name, socket, processId } of ways) {
    if (processId === null) continue
    await closeAll(await openMany(socket, warmUpSockets))
    const before = await residentKibOf(processId)
    const open = await openMany(socket, count)
    await sleep(2000) // until what the handshakes left behind is collected
    const kib = (await residentKibOf(processId)) - before
    await closeAll(open)
    yield { bench: 'http', case: idleName, way: name, sockets: count, kibPerSocket: rounded(kib / count, 1) }
  }
}
