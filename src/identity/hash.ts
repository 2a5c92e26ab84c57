import { createHash } from 'node:crypto'

/** SHA-256, base64url. Enough for secrets of 256 random bits; never for passwords that people choose. */
export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
