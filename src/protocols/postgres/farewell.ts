import type { Socket } from 'node:net'
import type { Clock } from '../../kernel/time.ts'

/** How long a peer may take to read the last words. */
export const goodbyeMs = 1_000

/** Records of TLS may hold a byte each; more of them are thrown away in another turn of the event loop. */
const chunksPerTurnMax = 256

/**
 * Ends a connection politely: what is written goes out, what still comes is thrown away (unread bytes would make the
 * system reset the connection, and the last words be lost), and after `goodbyeMs` it is over in any case.
 * @returns when the socket is closed. Of sockets with TLS that broke while something was written, one in thousands
 *   never says that it is: `goodbyeMs` after it was made to, it counts as closed.
 */
export function farewell(socket: Socket, clock: Clock): Promise<void> {
  if (socket.closed) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  let timer = clock.after(goodbyeMs, () => {
    socket.destroy()
    timer = clock.after(goodbyeMs, resolve)
  })
  socket.once('close', () => {
    timer.cancel()
    resolve()
  })
  socket.on('error', () => undefined) // it is over either way
  if ('encrypted' in socket) throwAwayInTurns(socket)
  if (!socket.destroyed) socket.resume().end()
  return promise
}

function throwAwayInTurns(socket: Socket): void {
  let chunks = 0
  socket.on('data', () => {
    chunks += 1
    if (chunks < chunksPerTurnMax) return
    chunks = 0
    socket.pause()
    setImmediate(() => socket.resume())
  })
}
