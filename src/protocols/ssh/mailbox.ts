export type MessageListener = (message: Buffer) => void

/** Hands messages to whoever listens, in order, and keeps them while nobody does. */
export class Mailbox {
  readonly #onEmptied: () => void
  readonly #onFailed: (error: Error) => void
  #listener: MessageListener | null = null
  #kept: Buffer[] = []
  #isClosed = false

  /**
   * @param onEmptied after kept messages were heard.
   * @param onFailed with what the listener threw.
   */
  constructor(onEmptied: () => void, onFailed: (error: Error) => void) {
    this.#onEmptied = onEmptied
    this.#onFailed = onFailed
  }

  get listener(): MessageListener | null {
    return this.#listener
  }

  /** Kept messages come soon, not at once: whoever listens finishes first what it was about. */
  set listener(listener: MessageListener | null) {
    this.#listener = listener
    if (listener !== null && this.isKeeping) queueMicrotask(() => this.#empty())
  }

  get isKeeping(): boolean {
    return this.#kept.length > 0
  }

  put(message: Buffer): void {
    if (this.#isClosed) return
    if (this.#listener === null || this.isKeeping) this.#kept.push(message)
    else this.#tell(this.#listener, message)
  }

  /** Nothing more is told. */
  close(): void {
    this.#isClosed = true
    this.#kept = []
  }

  #empty(): void {
    while (this.#listener !== null && this.isKeeping) this.#tell(this.#listener, this.#kept.shift()!)
    this.#onEmptied()
  }

  #tell(listener: MessageListener, message: Buffer): void {
    try {
      listener(message)
    } catch (error) {
      this.#onFailed(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
