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
  /** Servers differ in whether they answer it. */
  readonly mayGoUnanswered?: boolean
  /** A piece of the content that was asked for. Only READ. */
  data?(bytes: Buffer): void
  answered(reply: Reply): void
  /** The channel ended first. */
  unanswered(): void
}

const requestsMax = 65_536
const charsMax = 16_777_216

/** Requests by their id. Of several with one id, the first is answered first, as a server does that takes turns. */
export class Pending {
  readonly #first = new Map<number, Awaited>()
  readonly #others = new Map<number, Awaited[]>()
  #count = 0
  #chars = 0

  add(id: number, request: Awaited): void {
    this.#count += 1
    this.#chars += request.chars
    if (this.#count > requestsMax || this.#chars > charsMax) throw new NotUnderstood('Too many SFTP requests wait.')
    const first = this.#first.get(id)
    if (first === undefined) {
      this.#first.set(id, request)
      return
    }
    if (first.mayGoUnanswered === true || request.mayGoUnanswered === true) {
      throw new NotUnderstood('An SFTP request may go unanswered, and others have its id.')
    }
    const others = this.#others.get(id)
    if (others === undefined) this.#others.set(id, [request])
    else others.push(request)
  }

  take(id: number): Awaited {
    const request = this.#first.get(id)
    if (request === undefined) throw new NotUnderstood('An SFTP reply answers no request.')
    this.#count -= 1
    this.#chars -= request.chars
    const next = this.#others.size > 0 ? this.#nextOf(id) : undefined
    if (next === undefined) this.#first.delete(id)
    else this.#first.set(id, next)
    return request
  }

  /** Empties it. */
  *takeAll(): Generator<Awaited> {
    const ids = [...this.#first.keys()]
    for (const id of ids) while (this.#first.has(id)) yield this.take(id)
  }

  #nextOf(id: number): Awaited | undefined {
    const others = this.#others.get(id)
    const next = others?.shift()
    if (others?.length === 0) this.#others.delete(id)
    return next
  }
}
