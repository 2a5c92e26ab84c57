import type { Access } from './access/access.ts'
import { Sweeper } from './access/sweeper.ts'
import { auditEvent, theGateway } from './audit/event.ts'
import type { Config } from './config/config.ts'
import type { Listening } from './kernel/listening.ts'
import type { Log } from './kernel/log.ts'
import type { Clock } from './kernel/time.ts'
import type { Recordings } from './recording/recorder.ts'
import type { SessionGate } from './sessions/gate.ts'
import type { State } from './store/state.ts'

/** What a gateway does from its start to its stop, whoever comes: it is put together in gateway.ts. */

/** How often time alone is written down, and the second line looks for what the first missed. */
const sweepMs = 1000

/** New connections are refused at once; live sessions may go on for a while, then end. */
export async function drain(listeners: readonly Listening[], gate: SessionGate, drainMs: number): Promise<void> {
  await Promise.all([gate.drain(drainMs), ...listeners.map((listener) => listener[Symbol.asyncDispose]())])
}

/** The first and the last event that a run writes. */
export async function noteStartAndStop(
  { audit }: State,
  { gateway }: Config,
  clock: Clock,
  stack: AsyncDisposableStack,
): Promise<void> {
  const note = (type: 'gateway.started' | 'gateway.stopped') =>
    audit.append([auditEvent(type, clock.now(), theGateway, { node: gateway.name })])
  await note('gateway.started')
  stack.defer(() => note('gateway.stopped'))
}

/** Writes down what time alone decides, and looks for what should have ended. */
export function startSweeping(gate: SessionGate, access: Access, log: Log): Disposable {
  const sweeper = new Sweeper(() => access.sweep(), log)
  const timer = setInterval(() => {
    gate.sweep()
    void sweeper.look()
  }, sweepMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** What `/readyz` says. */
export async function readiness(
  state: State,
  recordings: Pick<Recordings, 'problem'>,
  gate: SessionGate,
): Promise<{ ok: boolean; problems: string[] }> {
  const recording = await recordings.problem()
  const problems = [
    ...((await state.healthy()) ? [] : ['the state cannot be read and written']),
    ...(recording === null ? [] : [recording.message]),
    ...(gate.draining ? ['the gateway is shutting down'] : []),
  ]
  return { ok: problems.length === 0, problems }
}
