import * as z from 'zod'

const name = z.string().regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/)
const instant = z.iso.datetime()
// What is written into files that libpq and shells read must not be able to begin another line.
const lineOfText = z.string().regex(/^[^\p{Cc}]{1,1024}$/u)

/** What a person has of a PostgreSQL role, or may ask for. Both instants are of the grant. */
export const postgresRole = z.object({
  name,
  description: z.string(),
  state: z.enum(['active', 'scheduled', 'requested', 'available']),
  startsAt: instant.nullable(),
  until: instant.nullable(),
  /** That it may open; the first where none is named. */
  databases: z.array(lineOfText).min(1),
})
/** What libpq needs to reach the gateway, and what it leads to. */
export const postgresDirectory = z.object({
  /** A name or an address, an IPv6 one without brackets. */
  host: z.string().regex(/^(?!-)[A-Za-z0-9._:-]{1,253}$/),
  port: z.int().min(1).max(65_535),
  /** What clients are told as `sslrootcert`: a path on their machines, or `system`; null: nothing in particular. */
  rootCertificate: lineOfText.nullable(),
  resources: z.array(z.object({ name, description: z.string(), roles: z.array(postgresRole).min(1) })),
})
/** SubjectPublicKeyInfo of curve P-256, DER in base64. */
export const clientCertificateAsk = z.strictObject({ publicKey: z.string().regex(/^[A-Za-z0-9+/]{4,400}={0,2}$/) })
/** PEM, one certificate. */
export const clientCertificate = z.object({
  certificate: z
    .string()
    .regex(/^-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n){1,200}-----END CERTIFICATE-----\n?$/),
  expiresAt: instant,
})
