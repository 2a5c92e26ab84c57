/** Questions of a client that the target has not answered yet; more end the connection. */
export const questionsMax = 1000

/**
 * Answers in the order of the questions (RFC 4254 sections 4 and 5.4): some come from the far end, some from here.
 * What was asked first is answered first, so an answer of ours waits for those before it.
 */
export class Replies {
  readonly #send: (reply: Buffer) => void
  /** Of each open question: null while the far end owes the answer. */
  readonly #open: { reply: Buffer | null; readonly arrived: ((reply: Buffer) => void) | undefined }[] = []

  constructor(send: (reply: Buffer) => void) {
    this.#send = send
  }

  get waiting(): number {
    return this.#open.length
  }

  /** The question was passed on. `arrived` sees the answer before it goes on. */
  passedOn(arrived?: (reply: Buffer) => void): void {
    this.#open.push({ reply: null, arrived })
  }

  /** The question is answered here. */
  answer(reply: Buffer): void {
    this.#open.push({ reply, arrived: undefined })
    this.#flush()
  }

  /** An answer came from the far end. False: nothing was asked. */
  arrived(reply: Buffer): boolean {
    const first = this.#open.find((one) => one.reply === null)
    if (first === undefined) return false
    first.arrived?.(reply)
    first.reply = reply
    this.#flush()
    return true
  }

  #flush(): void {
    while (this.#open.length > 0 && this.#open[0]!.reply !== null) this.#send(this.#open.shift()!.reply!)
  }
}
