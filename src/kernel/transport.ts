/** The oldest version of TLS that is spoken, as PostgreSQL and OpenSSL name it. */
export const tlsVersions = ['TLSv1.2', 'TLSv1.3'] as const
export type TlsVersion = (typeof tlsVersions)[number]

/** How a peer is found out that is gone without a word: by TCP keepalive. */
export interface Keepalives {
  /** The first question goes out after so long without a byte. */
  readonly idleMs: number
  readonly intervalMs: number
  /** So many without an answer end the connection. */
  readonly count: number
}
