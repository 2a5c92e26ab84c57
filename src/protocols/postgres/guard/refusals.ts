import { errorResponse, fromClient, message, query, type Report } from '../messages.ts'

/** Errors of our own that have not come back yet; beyond, the text of the oldest is forgotten. */
const waitingMax = 1000
const forgotten: Report = { severity: 'ERROR', sqlstate: '42501', message: 'refused by the guard of this role' }

/**
 * What the target gets in the place of a refused statement: a text that is a syntax error in any state. So the error
 * stands in its place among the answers, a transaction fails, a pipeline is skipped up to its Sync, and ReadyForQuery
 * says what is true, all by the target itself. On the way back its words are replaced by the guard's.
 * @see PostgreSQL manual, "Extended Query"; "Pipelining"
 */
export class Refusals {
  readonly #mark: string
  readonly #markBytes: Buffer
  readonly #waiting = new Map<number, Report>()
  #last = 0

  /** @param nonce nobody can guess it, so that nobody can have an error of theirs replaced. */
  constructor(nonce: string) {
    this.#mark = `refused by Curfew ${nonce} `
    this.#markBytes = Buffer.from(this.#mark)
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** @param refused the whole message. @returns what goes in its place. */
  instead(refused: Buffer, report: Report): Buffer {
    this.#last += 1
    this.#waiting.set(this.#last, report)
    if (this.#waiting.size > waitingMax) this.#waiting.delete(this.#waiting.keys().next().value!)
    const text = `"${this.#mark}${this.#last}"`
    if (refused[0] !== fromClient.parse) return query(text)
    return message(fromClient.parse, nameOf(refused), Buffer.from(`${text}\0\0\0`))
  }

  /** @returns ours for an error that answers one of those; null for any other. */
  answerFor(error: Buffer): Buffer | null {
    const at = error.indexOf(this.#markBytes)
    if (at < 0) return null
    const from = at + this.#markBytes.length
    const number = Number(/^\d{1,15}/.exec(error.toString('latin1', from, from + 15))?.[0])
    const report = this.#waiting.get(number) ?? forgotten
    // What came before it will not be answered any more.
    for (const earlier of this.#waiting.keys()) if (earlier <= number) this.#waiting.delete(earlier)
    return errorResponse(report)
  }
}

/** Of the statement that was to be prepared, with its NUL: the target forgets an earlier one only if it had it. */
function nameOf(parse: Buffer): Buffer {
  const nul = parse.indexOf(0, 5)
  return nul < 0 ? Buffer.of(0) : parse.subarray(5, nul + 1)
}
