import { z } from 'zod'
import { indexEntriesMax } from './sparse-index.ts'

const count = z.int().min(0)

const manifestShape = z.object({
  format: z.literal(1),
  /** The header line, parsed. */
  header: z.record(z.string(), z.unknown()),
  end: z.record(z.string(), z.unknown()),
  segments: count,
  events: count,
  /** Bytes of all lines before compression. */
  rawBytes: count,
  /** Where the manifest record begins: the bytes before it. */
  bytes: count,
  /** Time of the last event. */
  lastUs: count,
  /** The chain hash of the last segment (of the header when there is none), hex. */
  chain: z.string().regex(/^[0-9a-f]{64}$/),
  /** Some segments, ascending: sequence, offset in the file, time of the first event. */
  index: z.array(z.tuple([count, count, count])).max(indexEntriesMax),
  /** Set when recording stopped before the session did (`bestEffort` only). */
  gap: z.object({ fromUs: count, why: z.string() }).optional(),
})

/** What is signed when a recording is sealed. */
export type Manifest = z.output<typeof manifestShape>

/** @returns undefined for anything that is not a manifest of this format. */
export function parseManifest(payload: Uint8Array): Manifest | undefined {
  try {
    return manifestShape.safeParse(JSON.parse(Buffer.from(payload).toString('utf8'))).data
  } catch {
    return undefined // not JSON
  }
}
