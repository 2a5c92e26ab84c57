import { NotUnderstood } from '../protocol-tap.ts'
import type { Outcome } from './words.ts'

/** What a reply says, as far as it is recorded. */
export interface Reply {
  readonly outcome: Outcome
  /** Of HANDLE. */
  readonly handle?: Buffer
  /** Of NAME: how many, and the first. */
  readonly names?: number
  readonly name?: string
}

/** A request that waits for its reply. */
export interface Awaited {
  /** How much of the room for waiting requests its texts take. */
  readonly chars: number
  /** A piece of the content that was asked for. Only READ. */
  data?(bytes: Buffer): void
  answered(reply: Reply): void
  /** The channel ended first. */
  unanswered(): void
}

const requestsMax = 65_536
const charsMax = 16_777_216

/**
 * Requests by their id. Two of one id may be answered in any order, and their replies do not tell which is whose; no
 * client needs it, as an id is free again with the reply (draft-ietf-secsh-filexfer-02 section 3).
 */
export class Pending {
  readonly #waiting = new Map<number, Awaited>()
  #chars = 0

  add(id: number, request: Awaited): void {
    if (this.#waiting.has(id)) throw new NotUnderstood('Two SFTP requests that wait have one id.')
    this.#waiting.set(id, request)
    this.#chars += request.chars
    if (this.#waiting.size > requestsMax || this.#chars > charsMax) {
      throw new NotUnderstood('Too many SFTP requests wait.')
    }
  }

  take(id: number): Awaited {
    const request = this.#waiting.get(id)
    if (request === undefined) throw new NotUnderstood('An SFTP reply answers no request.')
    this.#waiting.delete(id)
    this.#chars -= request.chars
    return request
  }

  /** Empties it. */
  *takeAll(): Generator<Awaited> {
    const ids = [...this.#waiting.keys()]
    for (const id of ids) yield this.take(id)
  }
}
