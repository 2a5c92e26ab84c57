/**
 * Second pass of a cut: first every session is told, then connections are torn down, a slice at a time.
 * Telling all before tearing down any halves the time until the last one knows.
 */
export class ToldQueue {
  readonly #tasks: (() => void)[] = []
  readonly #soon: (task: () => void) => void
  readonly #onError: (error: unknown) => void
  #scheduled = false

  /** @param soon runs a task after the input and output that is ready now. */
  constructor(soon: (task: () => void) => void, onError: (error: unknown) => void) {
    this.#soon = soon
    this.#onError = onError
  }

  push(task: () => void): void {
    this.#tasks.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#tasks.length === 0) return
    this.#scheduled = true
    this.#soon(() => this.#runSlice())
  }

  #runSlice(): void {
    this.#scheduled = false
    for (const task of this.#tasks.splice(0, 50)) {
      try {
        task()
      } catch (error) {
        this.#onError(error)
      }
    }
    this.#schedule()
  }
}
