import { z } from 'zod'
import { filesMax, isName } from './tar.ts'

/** The `typ` of a bundle's JWS, so that no other signature of the same key can pass for one. */
export const bundleType = 'curfew-evidence'

/** The last two files of every bundle: the list of all others, and the signature under it. */
export const manifestName = 'manifest.json'
export const signatureName = 'manifest.jws'

/** Bytes of `manifest.json`. */
export const manifestBytesMax: number = 32 * 1024 * 1024

const count = z.int().min(0)
const person = z.object({ id: z.string(), displayName: z.string() })

const listed = z.object({
  name: z.string().refine(isName),
  bytes: count,
  /** Hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

const manifestShape = z.object({
  format: z.literal(1),
  gateway: z.string(),
  madeAt: z.iso.datetime(),
  madeBy: person,
  subject: z.object({ kind: z.enum(['request', 'grant']), id: z.string() }),
  request: z.string(),
  grant: z.string().nullable(),
  /** When it was made, more could still come. */
  living: z.boolean(),
  sessions: count,
  /** Whether recordings are in it as a whole, or by chain and signature only. */
  recordings: z.enum(['signatures', 'whole']),
  files: z.array(listed).max(filesMax),
})

/** What is signed. */
export type BundleManifest = z.output<typeof manifestShape>
export type ListedFile = BundleManifest['files'][number]

/** @returns undefined for anything that is not a manifest of this format. */
export function parseManifest(bytes: Uint8Array): BundleManifest | undefined {
  try {
    return manifestShape.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8'))).data
  } catch {
    return undefined // not JSON
  }
}
