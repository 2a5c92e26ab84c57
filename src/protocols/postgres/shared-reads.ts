import type { OnReadOpts, Socket } from 'node:net'

/** A read of so much is one of many: the next goes into a buffer of its own, which is passed on without a copy. */
const ownBytesMin = 32 * 1024

/**
 * Reads a socket into memory that all sessions share, and copies out what came: short answers then cost no buffer of
 * 64 KiB each. Large ones are read into fresh buffers, as a socket does by itself.
 * @param socket the one that these options are for; what comes is emitted as its `data`.
 */
export function sharedReads(shared: Buffer, socket: () => Socket): OnReadOpts {
  let next = shared
  return {
    buffer: () => next,
    callback(bytes, buffer) {
      const chunk = buffer === shared ? copyOf(shared, bytes) : next.subarray(0, bytes)
      next = bytes < ownBytesMin ? shared : Buffer.allocUnsafeSlow(shared.length)
      socket().emit('data', chunk)
      return true
    },
  }
}

function copyOf(buffer: Buffer, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes)
  buffer.copy(copy, 0, 0, bytes)
  return copy
}
