import { z } from 'zod'

/** Entries in a manifest's index; beyond it, every second one is dropped. */
export const indexEntriesMax = 4096

/** The `typ` of a manifest's JWS, so that no other signature of the same key can pass for one. */
export const manifestType = 'curfew-recording'

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

type Entry = [sequence: number, offset: number, firstUs: number]

/** Remembers where segments begin, in bounded space: when it is full, it keeps every second entry. */
export class SparseIndex {
  #every = 1
  #entries: Entry[] = []

  add(sequence: number, offset: number, firstUs: number): void {
    if ((sequence - 1) % this.#every !== 0) return
    const entry: Entry = [sequence, offset, firstUs]
    // Most sessions have one; a list that is pushed to has room for more than a dozen.
    if (this.#entries.length === 0) this.#entries = [entry]
    else this.#entries.push(entry)
    if (this.#entries.length < indexEntriesMax) return
    this.#every *= 2
    this.#entries = this.#entries.filter(([kept]) => (kept - 1) % this.#every === 0)
  }

  get entries(): Manifest['index'] {
    return this.#entries
  }
}
