import type { LinePart } from './line-parts.ts'

/** Segments are hardly ever larger. */
const keptBytesMax = 1024 * 1024

/**
 * Puts parts behind each other, in memory that is used again: of half a megabyte anew for each segment, V8 would mark its
 * whole heap every other second.
 */
export class JoinedParts {
  #bytes: Buffer = Buffer.alloc(0)

  /** @returns what is there until the next call. */
  join(parts: readonly LinePart[]): readonly Uint8Array[] {
    if (parts.length < 2) return parts
    const lengthBytes = parts.reduce((sum, { length }) => sum + length, 0)
    if (lengthBytes > keptBytesMax) return parts
    if (this.#bytes.length < lengthBytes) this.#bytes = Buffer.allocUnsafeSlow(lengthBytes + lengthBytes / 4)
    let at = 0
    for (const part of parts) {
      this.#bytes.set(part, at)
      at += part.length
    }
    return [this.#bytes.subarray(0, at)]
  }
}
