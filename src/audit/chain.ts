import type { AuditEvent } from './event.ts'

export const chainStart: string = '0'.repeat(64)

/**
 * The bytes that are hashed for an event: JSON with keys in code-unit order at every depth, no spaces, UTF-8
 * (RFC 8785 for the values that events hold).
 */
export function canonicalJson(event: AuditEvent): string {
  return canonical(event)
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

/** What SHA-256 is taken over to chain an event: `previous`, a newline, `sequence`, a newline, the canonical JSON. */
export function chainInput(previous: string, sequence: number, json: string): string {
  return `${previous}\n${sequence}\n${json}`
}
