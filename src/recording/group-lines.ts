import type { Lines } from './writer-messages.ts'

/** What holds raw bytes, and waited for its file, shares segments up to this many times the usual size: fewer hashes. */
const rawSegments = 4

/** Splits what is pending into segments: each closes when it has reached `segmentBytes`. */
export function groupLines(pending: readonly Lines[], segmentBytes: number): Lines[][] {
  const groups: Lines[][] = []
  let filled = 1
  for (const lines of pending) {
    if (filled >= 1) {
      groups.push([])
      filled = 0
    }
    groups.at(-1)!.push(lines)
    filled += lines.bytes / (lines.raw ? segmentBytes * rawSegments : segmentBytes)
  }
  return groups
}
