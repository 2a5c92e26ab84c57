import { InvalidArgumentError } from 'commander'
import { parseDurationMs } from '../kernel/durations.ts'
import type { Instant } from '../kernel/time.ts'

/** Lets commander report what `read` throws as a mistake on the command line (exit code 2). */
export function asUsage<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text)
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
}

/** `8h` in milliseconds. */
export const lengthOption = asUsage((text) => {
  const lengthMs = parseDurationMs(text)
  if (lengthMs === undefined || lengthMs === 0) throw new Error('expected a length of time such as 90s, 30m, 8h or 2d')
  return lengthMs
})

/** A moment with an offset (`…Z`, `…+01:00`), or by the clock of this machine. */
export const momentOption = asUsage((text) => {
  try {
    const isAbsolute = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text)
    const at = isAbsolute
      ? Temporal.Instant.from(text)
      : Temporal.PlainDateTime.from(text).toZonedDateTime(Temporal.Now.timeZoneId())
    return at.epochMilliseconds as Instant
  } catch {
    throw new Error('expected a moment such as 2026-11-23T09:00 or 2026-11-23T09:00Z')
  }
})

/** What may be given several times. */
export function listOption(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

/** A whole number from 0 on. */
export const countOption = asUsage((text) => {
  if (!/^\d{1,9}$/.test(text)) throw new Error('expected a whole number')
  return Number(text)
})
