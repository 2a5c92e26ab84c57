import { setTimeout as delay } from 'node:timers/promises'
import { asFault } from '../kernel/fault.ts'
import { Unreachable } from './gateway-client.ts'
import { complain } from './print.ts'

/** So long may the gateway be away: for a restart, while the network changes, after a lid was closed. */
const awayMsMax = 5 * 60_000
const againMs = 1000

/**
 * For questions that may be put twice, of somebody who waits anyway: a gateway that is away for a while ends no wait. Says
 * so once each time.
 * @throws what `ask` throws, and Unreachable when it is away for too long.
 */
export async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  let awaySinceMs: number | undefined
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isAway(error)) throw error
      if (awaySinceMs === undefined) complain(error.message, 'Trying again for 5 min (Ctrl-C to give up) …')
      awaySinceMs ??= performance.now()
      if (performance.now() - awaySinceMs > awayMsMax) throw error
      await delay(againMs)
    }
  }
}

function isAway(error: unknown): error is Error {
  return error instanceof Unreachable || asFault(error)?.code === 'SHUTTING_DOWN'
}
