const refusalsMax = 10

/** Refusals that clients do not show the reason of, until they can be said at a terminal. */
export class SilentRefusals {
  #refusals: string[] = []

  add(why: string): void {
    if (this.#refusals.length < refusalsMax && !this.#refusals.includes(why)) this.#refusals.push(why)
  }

  /** Empties it. */
  take(): readonly string[] {
    const refusals = this.#refusals
    this.#refusals = []
    return refusals
  }
}
