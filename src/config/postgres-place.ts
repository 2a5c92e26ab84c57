import { isIP } from 'node:net'
import type { PostgresPlace } from '../resources/catalogue.ts'

/**
 * `db.internal`, `db.internal:5433`, `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]:5433`, `/var/run/postgresql`,
 * `/var/run/postgresql:5433`.
 * @returns undefined when it is none of these
 */
export function readPostgresPlace(text: string, usualPort: number): PostgresPlace | undefined {
  if (isIP(text) !== 0) return { host: text, port: usualPort }
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text)
  if (bracketed !== null)
    return isIP(bracketed[1]!) === 6 ? withPort(bracketed[1]!, bracketed[2], usualPort) : undefined
  const parts = /^(\/[^:]{0,90}|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}))(?::(\d+))?$/.exec(text)
  return parts === null ? undefined : withPort(parts[1]!, parts[2], usualPort)
}

function withPort(host: string, written: string | undefined, usualPort: number): PostgresPlace | undefined {
  const port = written === undefined ? usualPort : Number(written)
  return port >= 1 && port <= 65535 ? { host, port } : undefined
}
