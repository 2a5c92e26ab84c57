import type { Random } from '../kernel/ids.ts'

/** 32 characters, none of which looks like another: no 0 and O, no 1 and I. */
const alphabet = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ'
const shape = /^([2-9A-HJ-NP-Z]{4})-?([2-9A-HJ-NP-Z]{4})$/

/** A new code of 40 random bits, `KF7X-R2MD`. */
export function newCode(random: Random): string {
  const text = Array.from(random.bytes(8), (byte) => alphabet[byte & 31]).join('')
  return `${text.slice(0, 4)}-${text.slice(4)}`
}

/** The code as it is stored, however a person typed it; undefined when it cannot be one. */
export function readCode(typed: string): string | undefined {
  const parts = shape.exec(typed.trim().toUpperCase())
  return parts === null ? undefined : `${parts[1]}-${parts[2]}`
}
