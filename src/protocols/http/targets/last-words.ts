import type { Socket } from 'node:net'

/**
 * A target that answers before it has read a whole request, and hangs up, resets the connection, as nothing else tells its sender
 * to stop. Node then gives the connection up at the next write, with the answer unread. Here it is read first.
 */
export function hearLastWords(socket: Socket): void {
  const destroy = socket.destroy.bind(socket)
  let failed: Error | null = null
  socket.destroy = (error?: Error) => {
    if (failed !== null || !isOfWriting(error)) return destroy(error && (failed ?? error))
    failed = error
    // Otherwise nothing that is read would be told any more.
    ;(socket as unknown as { readonly _readableState: { errored: Error | null } })._readableState.errored = null
    // Behind the second one the system was asked once more what there is to read.
    setImmediate(() => setImmediate(() => destroy(error)))
    return socket
  }
}

function isOfWriting(error: NodeJS.ErrnoException | undefined): error is NodeJS.ErrnoException {
  return error?.syscall === 'write' && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}
