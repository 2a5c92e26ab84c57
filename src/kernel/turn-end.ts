/** What can be put off to the end of a turn. */
export interface PutOff {
  /** Does it now. Called once for each time it was put off. */
  turnEnd(): void
}

/** So many do not wait for the end: those who read them can begin, and what comes next is not kept waiting for long. */
const togetherMax = 256
/** After so many turns in a row in which there was one alone, the next are done at once … */
const aloneTurnsMax = 16
/** … but for one in so many, to see whether that has changed. */
const lookEvery = 64

/**
 * Does things together at the end of a turn of the event loop: above all writing to sockets, once all that has come in this
 * turn was looked at. Whoever reads at the other ends then wakes up once for many messages, and the processor does not change
 * from one kind of work to another for each (docs/performance.md). Where nothing comes together, hardly anything waits.
 */
export class TurnEnd {
  #waiting: PutOff[] = []
  #isSet = false
  #aloneTurns = 0
  #atOnce = 0

  /** Does it at the end of this turn, or soon after the caller, or already now where nothing else is put off. */
  do(work: PutOff): void {
    if (this.#aloneTurns >= aloneTurnsMax && this.#waiting.length === 0 && ++this.#atOnce % lookEvery > 0) {
      return work.turnEnd()
    }
    // Not here: the caller would be charged with the work of others, and hear of what goes wrong there.
    if (this.#waiting.push(work) === togetherMax) process.nextTick(this.#doAll)
    if (this.#isSet) return
    this.#isSet = true
    setImmediate(this.#end)
  }

  readonly #end = (): void => {
    this.#isSet = false
    this.#aloneTurns = this.#waiting.length === 1 ? this.#aloneTurns + 1 : 0
    this.#doAll()
  }

  readonly #doAll = (): void => {
    const all = this.#waiting
    this.#waiting = []
    for (const work of all) work.turnEnd()
  }
}

/** Of this thread's event loop. */
export const turnEnd: TurnEnd = new TurnEnd()
