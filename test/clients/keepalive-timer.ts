/** The system's own table of connections tells which of them has a keepalive timer, and how far it is. */
import { readFile } from 'node:fs/promises'

/** Minutes until this connection's keepalive timer fires, as the system tells it of its own end; null: it has none. */
export async function keepaliveIn(localPort: number, remotePort: number): Promise<number | null> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8')))
  const rows = tables.flatMap((table) => table.split('\n').map((row) => row.trim().split(/\s+/)))
  const port = (address = '') => Number.parseInt(address.slice(address.lastIndexOf(':') + 1), 16)
  const row = rows.find(([, local, remote]) => port(local) === localPort && port(remote) === remotePort)
  const [kind, hundredths] = (row?.[5] ?? '').split(':')
  return kind === '02' ? Math.round(Number.parseInt(hundredths!, 16) / 6000) : null
}
