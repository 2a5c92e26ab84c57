import { once } from 'node:events'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import { cancelRequest } from './startup.ts'
import type { TargetConnection } from './target.ts'
import { openTargetSocket } from './target-socket.ts'

const cancelMsMax = 5_000

/**
 * Asks the server to cancel what that connection runs, with the server's own key, over TLS where the connection has it.
 * Resolves when the target closed the connection, which is after it passed the signal on.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS
 */
export async function cancelTarget(
  { address, encryption, processId, secret }: Omit<TargetConnection, 'socket'>,
  clock: Clock,
): Promise<void> {
  const late = new AbortController()
  const timer = clock.after(cancelMsMax, () => {
    late.abort(new Fault('UPSTREAM_UNREACHABLE', `${address.name} did not take the cancel request in time.`))
  })
  try {
    const socket = await openTargetSocket(address, encryption, late.signal)
    try {
      socket.on('error', () => undefined) // it is closed either way, and close is what counts
      socket.resume().write(cancelRequest(processId, secret))
      if (!socket.destroyed) await once(socket, 'close', { signal: late.signal })
    } finally {
      socket.destroy()
    }
  } finally {
    timer.cancel()
  }
}
