/** Functions that are called in the order in which they came. Takes next to nothing while there are none, or one. */
export class Listeners<Heard extends readonly unknown[]> {
  #all: readonly Listening<Heard>[] = noneYet

  add(hear: (...heard: Heard) => void): Disposable {
    const listening = new Listening(hear, this)
    // A literal of several would have room for more than a dozen.
    this.#all = this.#all.length === 0 ? [listening] : this.#all.concat(listening)
    return listening
  }

  /** Twice is harmless. */
  remove(listening: Listening<Heard>): void {
    this.#all = this.#all.filter((other) => other !== listening)
  }

  call(...heard: Heard): void {
    for (const { hear } of this.#all) hear(...heard)
  }
}

const noneYet: readonly never[] = []

class Listening<Heard extends readonly unknown[]> implements Disposable {
  readonly hear: (...heard: Heard) => void
  readonly #among: Listeners<Heard>

  constructor(hear: (...heard: Heard) => void, among: Listeners<Heard>) {
    this.hear = hear
    this.#among = among
  }

  [Symbol.dispose](): void {
    this.#among.remove(this)
  }
}
