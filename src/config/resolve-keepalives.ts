import type { Keepalives } from '../kernel/transport.ts'
import type { KeepalivesInFile } from './schema-fields.ts'

export function resolveKeepalives({ idle, interval, count }: KeepalivesInFile): Keepalives | null {
  return idle === 0 ? null : { idleMs: idle, intervalMs: interval, count }
}
