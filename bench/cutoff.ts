/** From the deadline, and from the revoke call, to every client having read the FATAL. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile, rounded } from './statistics.ts'
import { startStack, type GatewayProcess, type Stack } from './stack.ts'
import { openSession, type WireSession } from './wire-client.ts'

export interface CutoffResult {
  readonly bench: 'cutoff'
  readonly cause: 'deadline' | 'revoke'
  readonly sessions: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Until the gateway had handed the FATAL to the system, as its audit log says, at p99. */
  readonly toldP99Ms: number
  /** Below 0 would be an end before the deadline. */
  readonly minMs: number
  /** The budget of the design for this many sessions, at p99; null where it names none. */
  readonly budgetP99Ms: number | null
  readonly withinBudget: boolean | null
  /** Resident memory of the gateway that the sessions added, each. */
  readonly kibPerIdleSession: number | null
  readonly openedPerSecond: number
}

const budgets: Readonly<Record<number, number>> = { 1: 50, 1000: 50, 5000: 100 }
const openAtOnceMax = 32
/** Opening must be over before the deadline; each session takes a connection, a login and a process of PostgreSQL. */
const openMsPerSession = 12
const settleMs = 5000

export async function* benchCutoff(counts: readonly number[], repeats: number): AsyncGenerator<CutoffResult> {
  await using stack = await startStack(Math.max(100, ...counts))
  await measureRevoke(stack, 50) // warm: first use compiles
  for (const count of counts) {
    for (let repeat = 0; repeat < repeats; repeat++) {
      yield await measureDeadline(stack, count)
      yield await measureRevoke(stack, count)
    }
  }
}

async function measureDeadline({ gateway }: Stack, count: number): Promise<CutoffResult> {
  const lengthMs = 2000 + count * openMsPerSession + settleMs
  const { grant, expiresAt } = await gateway.ask(
    { kind: 'grant', resource: 'bench-db', role: 'bench', lengthMs },
    'grant',
  )
  const opened = await openMany(gateway, count)
  const leftMs = expiresAt - Date.now()
  if (leftMs < 1000) throw new Error(`opening ${count} sessions took longer than the grant`)
  await sleep(Math.max(0, leftMs - 500))
  const wall = calibrate()
  await untilAllEnded(opened.sessions)
  const told = await gateway.ask({ kind: 'ends', grant, count }, 'ends')
  return summary('deadline', opened, told.toldMs, (session) => wall(session.fatalAtMs!) - expiresAt)
}

async function measureRevoke({ gateway }: Stack, count: number): Promise<CutoffResult> {
  const { grant } = await gateway.ask(
    { kind: 'grant', resource: 'bench-db', role: 'bench', lengthMs: 3_600_000 },
    'grant',
  )
  const opened = await openMany(gateway, count)
  await sleep(settleMs / 5)
  const wall = calibrate()
  const { startedAt } = await gateway.ask({ kind: 'revoke', grant }, 'revoked')
  await untilAllEnded(opened.sessions)
  const told = await gateway.ask({ kind: 'ends', grant, count }, 'ends')
  return summary('revoke', opened, told.toldMs, (session) => wall(session.fatalAtMs!) - startedAt)
}

interface Opened {
  readonly sessions: readonly WireSession[]
  readonly perSecond: number
  readonly bytesEach: number
}

async function openMany(gateway: GatewayProcess, count: number): Promise<Opened> {
  const { text } = await gateway.ask({ kind: 'token' }, 'token')
  const before = await gateway.ask({ kind: 'usage' }, 'usage')
  const startedMs = performance.now()
  const sessions: WireSession[] = []
  let next = 0
  const opener = async () => {
    while (next++ < count) sessions.push(await openSession(gateway.postgresPort, 'bench.token', 'bench-db', text))
  }
  await Promise.all(Array.from({ length: Math.min(openAtOnceMax, count) }, opener))
  const perSecond = (count / (performance.now() - startedMs)) * 1000
  const after = await gateway.ask({ kind: 'usage' }, 'usage')
  if (after.live !== count) throw new Error(`${after.live} sessions live instead of ${count}`)
  return { sessions, perSecond, bytesEach: (after.rssBytes - before.rssBytes) / count }
}

async function untilAllEnded(sessions: readonly WireSession[]): Promise<void> {
  const untilMs = performance.now() + 60_000
  while (sessions.some(({ fatalAtMs }) => fatalAtMs === undefined)) {
    if (performance.now() > untilMs) throw new Error('sessions live a minute after the cut')
    await sleep(50)
  }
  const wrong = sessions.find(({ sqlState }) => sqlState !== '57P01')
  if (wrong !== undefined) throw new Error(`a session ended with ${wrong.sqlState}`)
  for (const { socket } of sessions) socket.destroy()
}

/** Ties the monotonic clock to the wall clock at the edge of a millisecond, so that both processes mean the same instant. */
function calibrate(): (monotonicMs: number) => number {
  const before = Date.now()
  let now = before
  while (now === before) now = Date.now()
  const offsetMs = now - performance.now()
  return (monotonicMs) => monotonicMs + offsetMs
}

function summary(
  cause: CutoffResult['cause'],
  { sessions, perSecond, bytesEach }: Opened,
  toldMs: readonly number[],
  latencyOf: (session: WireSession) => number,
): CutoffResult {
  const latencies = sessions.map(latencyOf)
  const p99 = quantile(latencies, 0.99)
  const budget = budgets[sessions.length] ?? null
  return {
    bench: 'cutoff',
    cause,
    sessions: sessions.length,
    p50Ms: rounded(quantile(latencies, 0.5)),
    p99Ms: rounded(p99),
    maxMs: rounded(Math.max(...latencies)),
    toldP99Ms: rounded(quantile(toldMs, 0.99)),
    minMs: rounded(Math.min(...latencies)),
    budgetP99Ms: budget,
    withinBudget: budget === null ? null : p99 <= budget,
    kibPerIdleSession: sessions.length < 1000 ? null : rounded(bytesEach / 1024, 1),
    openedPerSecond: rounded(perSecond, 0),
  }
}
