/** What pgbench does not measure: bulk data, added latency, opening a session, and the memory of an idle one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs, initialise, openWays, type Way } from './pgbench.ts'
import { openClient, openSocket, RawClient } from './postgres-client.ts'
import { median, quantile, rounded } from './statistics.ts'
import { startStack, type GatewayProcess } from './stack.ts'
import { openSessionOn, type WireSession } from './wire-client.ts'

export interface PostgresOptions {
  readonly pairs: number
  readonly megabytes: number
  readonly roundTrips: number
  readonly opens: number
  /** Idle sessions for the memory of one. */
  readonly idle: number
  readonly only?: string
}

/** One number, or several, of one way in one round. */
type Measure<Figures> = (way: Way) => Promise<Figures>

const rowBytes = 1000
const openAtOnceMax = 16

export async function* benchPostgres(options: PostgresOptions): AsyncGenerator<object> {
  const { pairs, megabytes, roundTrips, opens, idle, only = '' } = options
  const wants = (name: string) => name.includes(only)
  await using stack = await startStack(Math.max(200, idle))
  await using ways = await openWays(stack)
  const through = ways.list.find(({ name }) => name === 'gateway')!
  await stack.gateway.ask({ kind: 'remember', address: '127.0.0.1' }, 'remembered')
  const remembered: Way = { ...through, name: 'gateway-remembered', user: 'bench', password: '' }
  await initialise(ways.list[0]!)
  const rows = Math.round((megabytes * 1_000_000) / rowBytes)
  const series = `select repeat('x', ${rowBytes}) from generate_series(1, ${rows})`
  for (const [name, sql] of Object.entries({ select: series, 'copy out': `copy (${series}) to stdout` })) {
    if (wants(name)) yield* bulk(name, await inTurns(ways.list, pairs, (way) => transfer(way, sql)))
  }
  if (wants('latency')) yield* latency(await inTurns(ways.list, pairs, (way) => roundTripsUs(way, roundTrips)))
  if (wants('open')) {
    yield* opening(await inTurns([...ways.list, remembered], pairs, (way) => openMs(way, opens)))
  }
  for (const tls of [false, true]) {
    if (wants('memory')) yield await memory(stack.gateway, through, idle, tls)
  }
}

/** As pgbench: every other round backwards; one more round at the beginning that does not count. */
async function inTurns<Figures>(
  ways: readonly Way[],
  pairs: number,
  measure: Measure<Figures>,
): Promise<Map<Way['name'], Figures[]>> {
  const rounds = new Map<Way['name'], Figures[]>(ways.map(({ name }) => [name, []]))
  for (let round = 0; round <= pairs; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const figures = await measure(way)
      if (round > 0) rounds.get(way.name)!.push(figures)
    }
  }
  return rounds
}

interface Transfer {
  readonly megabytesPerSecond: number
  /** Of the process in the middle, for a gigabyte. */
  readonly cpuMs: number | null
}

async function transfer(way: Way, sql: string): Promise<Transfer> {
  await using client = await RawClient.open(way)
  const before = await cpuMs(way.processId)
  const startedMs = performance.now()
  const megabytes = (await client.query(sql)) / 1_000_000
  const seconds = (performance.now() - startedMs) / 1000
  const after = await cpuMs(way.processId)
  const cpu = before === null || after === null ? null : ((after - before) / megabytes) * 1000
  return { megabytesPerSecond: megabytes / seconds, cpuMs: cpu }
}

function* bulk(name: string, rounds: Map<Way['name'], Transfer[]>): Generator<object> {
  for (const [way, list] of rounds) {
    const cpu = list.flatMap((one) => one.cpuMs ?? [])
    yield {
      bench: 'postgres',
      case: name,
      way,
      megabytesPerSecond: rounded(median(list.map((one) => one.megabytesPerSecond)), 0),
      ofDirect: ratio(list, rounds.get('direct')),
      ofPgbouncer: ratio(list, rounds.get('pgbouncer')),
      cpuSecondsPerGigabyte: cpu.length === 0 ? null : rounded(median(cpu) / 1000),
    }
  }
}

function ratio(list: readonly Transfer[], others: readonly Transfer[] | undefined): number | null {
  if (others === undefined) return null
  return rounded(median(list.map((one, round) => one.megabytesPerSecond / others[round]!.megabytesPerSecond)))
}

async function roundTripsUs(way: Way, count: number): Promise<{ readonly p50: number; readonly p99: number }> {
  await using client = await RawClient.open(way)
  const samples: number[] = []
  for (let trip = 0; trip < count; trip++) {
    const sql = `select abalance from pgbench_accounts where aid = ${1 + ((trip * 7919) % 1_000_000)}`
    const startedMs = performance.now()
    await client.query(sql)
    samples.push((performance.now() - startedMs) * 1000)
  }
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) }
}

function* latency(rounds: Map<Way['name'], { p50: number; p99: number }[]>): Generator<object> {
  const direct = rounds.get('direct')!
  for (const [way, list] of rounds) {
    const added = (figure: 'p50' | 'p99') =>
      rounded(median(list.map((one, round) => one[figure] - direct[round]![figure])), 0)
    const own = (figure: 'p50' | 'p99') => rounded(median(list.map((one) => one[figure])), 0)
    const figures = { p50Us: own('p50'), p99Us: own('p99'), addedP50Us: added('p50'), addedP99Us: added('p99') }
    yield { bench: 'postgres', case: 'latency', way, ...figures }
  }
}

/** From connecting to ready for queries, one after the other; p50. */
async function openMs(way: Way, count: number): Promise<number> {
  const samples: number[] = []
  for (let opened = 0; opened < count; opened++) {
    const startedMs = performance.now()
    const client = await openClient(way)
    samples.push(performance.now() - startedMs)
    await client.end()
  }
  return quantile(samples, 0.5)
}

function* opening(rounds: Map<Way['name'], number[]>): Generator<object> {
  const direct = rounds.get('direct')!
  for (const [way, list] of rounds) {
    const addedMs = rounded(median(list.map((one, round) => one - direct[round]!)))
    yield { bench: 'postgres', case: 'open', way, ms: rounded(median(list)), addedMs }
  }
}

/** Opened once to warm up, and once to be measured; garbage is collected before each look. */
async function memory(gateway: GatewayProcess, through: Way, count: number, tls: boolean): Promise<object> {
  await close(gateway, await openIdle(through, count, tls))
  const before = await usage(gateway)
  const sessions = await openIdle(through, count, tls)
  const after = await usage(gateway)
  if (after.live - before.live !== count) throw new Error(`${after.live - before.live} sessions live, not ${count}`)
  await close(gateway, sessions)
  const kib = (figure: 'rssBytes' | 'heapBytes' | 'externalBytes') =>
    rounded((after[figure] - before[figure]) / count / 1024, 1)
  return {
    bench: 'postgres',
    case: 'memory',
    tls,
    sessions: count,
    kibPerSession: kib('rssBytes'),
    heapKib: kib('heapBytes'),
    buffersKib: kib('externalBytes'),
  }
}

async function usage(gateway: GatewayProcess) {
  await sleep(1500) // what was recorded is on the disk, and its buffers are given back
  return await gateway.ask({ kind: 'usage', collect: true }, 'usage')
}

async function openIdle({ port, user, database, password }: Way, count: number, tls: boolean): Promise<WireSession[]> {
  const sessions: WireSession[] = []
  let next = 0
  const opener = async () => {
    while (next++ < count) {
      const socket = await openSocket(port, tls)
      sessions.push(await openSessionOn(socket, user, database, password))
    }
  }
  await Promise.all(Array.from({ length: openAtOnceMax }, opener))
  return sessions
}

async function close(gateway: GatewayProcess, sessions: readonly WireSession[]): Promise<void> {
  for (const { socket } of sessions) socket.destroy()
  while ((await gateway.ask({ kind: 'usage' }, 'usage')).live > 0) await sleep(100)
}
