import { once } from 'node:events'
import type { Random } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { cancelTarget } from './cancel-target.ts'
import { Fields, fromServer, query, terminate } from './messages.ts'
import { Inbox } from './inbox.ts'
import { targetUnreadBytesMax } from './target-socket.ts'
import { connectAgain, type TargetConnection, type TargetWish } from './target.ts'

export interface DismissDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface LeaveState {
  /** It may be working on something. */
  readonly busy: boolean
  /** The last message to it was sent whole, so that a Terminate would be understood. */
  readonly atBoundary: boolean
}

/** When to ask again, counted from one attempt to the next. */
const cancelAgainMs = [50, 100, 250, 600, 1000] as const
/** An idle server hangs up at once; if it does not, our picture of it was wrong. */
const idleGraceMs = 1_000
const lastWaitMs = 5_000
/** When to try again where the second connection came to nothing: the target may be full, or starting. */
const endAgainMs = [1_000, 2_000, 5_000, 10_000, 20_000] as const

/**
 * Ends a connection to a target so that nothing goes on there: cancels what runs (a closed socket alone does not stop
 * a statement), says Terminate, throws away what still comes, and looks until the server has hung up.
 * A cancel that overtakes the statement it is meant for is lost, and a function may catch one: so it is repeated, and
 * at last the server process is ended from a second connection of the same login (pg_terminate_backend); which is tried
 * again for a while, too.
 * @returns when the server is gone; never rejects.
 */
export async function dismissTarget(
  target: TargetConnection,
  wish: TargetWish,
  state: LeaveState,
  deps: DismissDeps,
): Promise<void> {
  const { socket } = target
  if (socket.closed) return
  const closed = new AbortController()
  socket.once('close', () => closed.abort())
  socket.on('error', () => undefined) // gone is gone; `close` follows
  // Not allowed to end by itself when the server says FIN first: then there is nothing left to send anyway.
  socket.resume()
  if (state.atBoundary) socket.end(terminate)
  else socket.end()
  try {
    await insist(target, wish, state.busy, closed.signal, deps)
  } catch (error) {
    deps.log.error({ resource: wish.resource.name, processId: target.processId, error }, 'a target session may go on')
  } finally {
    socket.destroy()
  }
}

async function insist(
  target: TargetConnection,
  wish: TargetWish,
  busy: boolean,
  closed: AbortSignal,
  deps: DismissDeps,
): Promise<void> {
  if (!busy) await pause(idleGraceMs, closed, deps.clock)
  for (const waitMs of cancelAgainMs) {
    if (closed.aborted) return
    await cancelTarget(target, deps.clock).catch((error: unknown) => {
      deps.log.warn({ resource: wish.resource.name, error }, 'a cancel request did not get through')
    })
    await pause(waitMs, closed, deps.clock)
  }
  if (closed.aborted) return
  deps.log.warn({ resource: wish.resource.name, processId: target.processId }, 'a statement resists being cancelled')
  for (const waitMs of endAgainMs) {
    await terminateBackend(target, wish, closed, deps).catch((error: unknown) => {
      const fields = { resource: wish.resource.name, processId: target.processId, error }
      if (!closed.aborted) deps.log.warn(fields, 'a server process could not be ended; it is tried again')
    })
    await pause(waitMs, closed, deps.clock)
    if (closed.aborted) return
  }
  await terminateBackend(target, wish, closed, deps)
  await pause(lastWaitMs, closed, deps.clock)
  if (!closed.aborted) throw new Error('the server process did not end')
}

/** Its connection is still open, so the process number cannot belong to somebody else by now. */
async function terminateBackend(
  target: TargetConnection,
  wish: TargetWish,
  closed: AbortSignal,
  deps: DismissDeps,
): Promise<void> {
  const parameters = [['application_name', 'curfew']] as const
  const second = await connectAgain(target, { ...wish, parameters }, new AbortController().signal, deps)
  const inbox = new Inbox(second.socket, targetUnreadBytesMax)
  second.socket.resume()
  try {
    if (closed.aborted) return
    second.socket.write(query(`select pg_catalog.pg_terminate_backend(${target.processId})`))
    // A target that lets in and then says nothing must not be waited for for ever.
    const late = AbortSignal.timeout(lastWaitMs)
    await untilReady(inbox, late)
    second.socket.end(terminate)
    await once(second.socket, 'close', { signal: late })
  } finally {
    second.socket.destroy()
  }
}

async function untilReady(inbox: Inbox, late: AbortSignal): Promise<void> {
  for (;;) {
    const head = new Fields(await inbox.take(5, late))
    const type = head.uint8()
    await inbox.take(Math.max(0, head.int32() - 4), late)
    if (type === fromServer.readyForQuery) return
  }
}

function pause(delayMs: number, closed: AbortSignal, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (closed.aborted) return Promise.resolve()
  const timer = clock.after(delayMs, resolve)
  closed.addEventListener('abort', () => resolve(), { once: true })
  return promise.finally(() => timer.cancel())
}
