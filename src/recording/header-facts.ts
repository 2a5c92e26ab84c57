/** What a recording's header line tells; null where it does not, or not in the expected shape. */
export interface HeaderFacts {
  readonly protocol: 'postgres' | 'ssh' | 'http' | null
  readonly session: string | null
  readonly personName: string | null
  readonly resource: string | null
  readonly role: string | null
  /** ISO 8601, UTC. */
  readonly startedAt: string | null
  readonly clientAddress: string | null
  readonly application: string | null
}

export function headerFacts(header: Readonly<Record<string, unknown>>): HeaderFacts {
  const client = header['client']
  const of = typeof client === 'object' && client !== null ? (client as Record<string, unknown>) : {}
  return {
    protocol: protocols.find((protocol) => protocol === of['protocol']) ?? null,
    session: text(header['session']),
    personName: text(header['personName']),
    resource: text(header['resource']),
    role: text(header['role']),
    startedAt: text(header['startedAt']),
    clientAddress: text(of['address']),
    application: text(of['application']),
  }
}

const protocols = ['postgres', 'ssh', 'http'] as const

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
