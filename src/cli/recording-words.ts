import { terminalLine } from './terminal-text.ts'

/** `alice@example.com as readonly on prod-db (database app), 2026-11-22 14:20:24 UTC`, as far as the header tells. */
export function describeSession(header: Readonly<Record<string, unknown>>): string {
  const { personName, role, resource, database, startedAt, session } = header as Record<string, unknown>
  const who = typeof personName === 'string' ? personName : String(session)
  const what = typeof role === 'string' && typeof resource === 'string' ? ` as ${role} on ${resource}` : ''
  const where = typeof database === 'string' ? ` (database ${database})` : ''
  const when = typeof startedAt === 'string' ? `, ${startedAt.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')}` : ''
  return terminalLine(`${who}${what}${where}${when}`)
}

/** `0:02:05.120`: hours, minutes, seconds since the start. */
export function offsetTime(seconds: number): string {
  const totalMs = Math.floor(seconds * 1000)
  const parts = [Math.floor(totalMs / 60_000) % 60, Math.floor(totalMs / 1000) % 60]
  const [minutes, rest] = parts.map((part) => String(part).padStart(2, '0'))
  return `${Math.floor(totalMs / 3_600_000)}:${minutes}:${rest}.${String(totalMs % 1000).padStart(3, '0')}`
}

/** `812 bytes`, `45.2 KiB`, `1.5 GiB`. */
export function sizeInWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} byte${bytes === 1 ? '' : 's'}`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes / 1024
  while (value >= 1024 && units.length > 1) {
    value /= 1024
    units.shift()
  }
  return `${value.toFixed(1)} ${units[0]}`
}
