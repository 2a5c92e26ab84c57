import type { Socket } from 'node:net'
import type { Keepalives } from '../kernel/transport.ts'

/** @param keepalives null: none, so that a connection may be silent for ever. */
export function keepAlive(socket: Socket, keepalives: Keepalives | null): void {
  if (keepalives === null) return
  const { idleMs, intervalMs, count } = keepalives
  socket.setKeepAlive(true, idleMs, intervalMs, count)
}
