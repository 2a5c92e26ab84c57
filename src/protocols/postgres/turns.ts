import type { Clock } from '../../kernel/time.ts'

/** How long all sessions together may work on what comes, in one turn of the event loop. */
const turnMsMax = 8
/** What TLS and the system take for each chunk. */
const aroundMs = 0.005
/** So many who are no session yet go on in one turn: what each of them says is short. */
const comingPerTurn = 16

/**
 * Divides the event loop between sessions. Node reads up to 2 MiB of a socket in one turn: 50,000 records of TLS with a
 * few bytes each, or as many messages. Everybody else would wait for a third of a second.
 */
export class Turns {
  readonly #clock: Clock
  #workedMs = 0
  readonly #sessions: (() => void)[] = []
  readonly #coming: (() => void)[] = []
  #isScheduled = false
  /** Whose turn it was last. */
  #last: 'sessions' | 'coming' = 'coming'

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Nobody has to wait for the next turn. */
  get isFree(): boolean {
    return this.#workedMs < turnMsMax
  }

  /** @returns what `end` is to be given. */
  begin(): number {
    return this.#clock.monotonicMs()
  }

  /** @param besideMs what it takes beside what is measured. */
  end(begunMs: number, besideMs: number = aroundMs): void {
    this.#workedMs += this.#clock.monotonicMs() - begunMs + besideMs
  }

  /** Calls `goOn` in one of the next turns: one of the sessions that wait in each. */
  wait(goOn: () => void): void {
    this.#sessions.push(goOn)
    this.#schedule()
  }

  /**
   * The same for whoever is no session yet. Every other turn is theirs, so neither waits for a crowd of the others: a
   * cancel comes by a connection of its own, and not behind all that is to be cancelled.
   */
  waitToComeIn(goOn: () => void): void {
    this.#coming.push(goOn)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#next)
  }

  readonly #next = (): void => {
    this.#isScheduled = false
    this.#workedMs = 0
    const isTheirs = this.#sessions.length === 0 || (this.#last === 'sessions' && this.#coming.length > 0)
    this.#last = isTheirs ? 'coming' : 'sessions'
    const [queue, most] = isTheirs ? [this.#coming, comingPerTurn] : [this.#sessions, 1]
    for (let count = 0; count < most && this.isFree; count++) queue.shift()?.()
    if (this.#sessions.length > 0 || this.#coming.length > 0) this.#schedule()
  }
}
