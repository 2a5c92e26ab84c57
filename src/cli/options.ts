import { InvalidArgumentError } from 'commander'
import { parseDurationMs } from '../kernel/durations.ts'

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

/** A whole number from 0 on. */
export const countOption = asUsage((text) => {
  if (!/^\d{1,9}$/.test(text)) throw new Error('expected a whole number')
  return Number(text)
})
