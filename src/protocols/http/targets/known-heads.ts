import type { AnswerHead } from './answer-head.ts'

interface Known {
  readonly bytes: Buffer
  readonly head: AnswerHead
}

/** Of different answers that come in turn. */
const knownMax = 4
const keptBytesMax = 1024
/** Where so many in a row were new, looking is hardly worth it: then only one of `restingFor` is looked at. */
const newMax = 32
const restingFor = 16
const lf = 0x0a

/**
 * Heads that came lately from one address, as many answers differ in nothing but a date that changes once a second. Who finds one
 * here gets the same object each time, and may keep what follows from it.
 */
export class KnownHeads {
  readonly #known: Known[] = []
  /** Where the next one goes. */
  #next = 0
  /** Since one was found. */
  #new = 0

  /** @returns the one that these bytes begin with, from `at`. */
  find(bytes: Buffer, at: number): Known | undefined {
    this.#new += 1
    if (this.#isResting) return undefined
    for (const known of this.#known) {
      const to = at + known.bytes.length
      // A look at where it would end spares most of the comparing.
      if (bytes[to - 1] !== lf || bytes[to - 3] !== lf) continue
      if (bytes.compare(known.bytes, 0, known.bytes.length, at, to) !== 0) continue
      this.#new = 0
      return known
    }
    return undefined
  }

  /** @param bytes all of the head with the empty line, and nothing behind it; they are copied. */
  keep(bytes: Buffer, head: AnswerHead): void {
    if (this.#isResting || bytes.length > keptBytesMax || isPersonal(head)) return
    this.#known[this.#next] = { bytes: Buffer.from(bytes), head }
    this.#next = (this.#next + 1) % knownMax
  }

  get #isResting(): boolean {
    return this.#new > newMax && this.#new % restingFor !== 0
  }
}

/** A cookie is for one person, and never comes again. */
function isPersonal({ headers }: AnswerHead): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length === 10 && name.toLowerCase() === 'set-cookie') return true
  }
  return false
}
