import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { Random } from '../kernel/ids.ts'

const ivBytes = 12
const tagBytes = 16

/** Hides a text and shows every change to it: AES-256-GCM, with `context` as associated data. */
export interface Seal {
  /** @returns base64url of iv (12 bytes), tag (16 bytes), ciphertext. */
  close(text: string, context: string): string
  /** Undefined when it was not sealed by this key for this context. */
  open(sealed: string, context: string): string | undefined
}

/** @param purpose separates the keys that are derived from one data key (HKDF, RFC 5869). */
export function createSeal(dataKey: Uint8Array, purpose: string, random: Random): Seal {
  if (dataKey.length !== 32) throw new RangeError(`the data key has ${dataKey.length} bytes, expected 32`)
  const key = Buffer.from(hkdfSync('sha256', dataKey, '', `curfew ${purpose}`, 32))
  return {
    close(text, context) {
      const iv = random.bytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Decoding ignores what is not base64url, and bits after the last byte: only one text is the sealed one.
      if (bytes.length < ivBytes + tagBytes || bytes.toString('base64url') !== sealed) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
      const body = decipher.update(bytes.subarray(ivBytes + tagBytes))
      try {
        return Buffer.concat([body, decipher.final()]).toString('utf8')
      } catch {
        // The only way that GCM says "not authentic".
        return undefined
      }
    },
  }
}
