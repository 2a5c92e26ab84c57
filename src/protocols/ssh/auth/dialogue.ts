import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Client, Identified } from '../../../sessions/session.ts'
import type { Conversation, Prompt, Wanted } from '../conversation.ts'
import type { Transport } from '../transport.ts'
import type { Exchange } from './exchange.ts'
import { turnAway } from './farewell.ts'
import { authSuccess } from './messages.ts'

export interface Introduction {
  readonly identified: Identified
  readonly wanted: Wanted
  readonly client: Client
  /** What the client waits for: the answer to a request, or the next step of keyboard-interactive. */
  readonly pending: 'request' | 'interactive'
}

export interface DialogueDeps {
  readonly clock: Clock
  /** How long a person may think about one question. */
  readonly answerMs: number
}

/** A client that is known and not let in yet. One question at a time. */
export class Dialogue implements Conversation {
  readonly identified: Identified
  readonly wanted: Wanted
  readonly client: Client
  readonly #transport: Transport
  readonly #exchange: Exchange
  readonly #deps: DialogueDeps
  #pending: Introduction['pending']
  /** It was offered keyboard-interactive and tried something else. */
  #declined = false

  constructor(transport: Transport, exchange: Exchange, introduction: Introduction, deps: DialogueDeps) {
    this.#transport = transport
    this.#exchange = exchange
    this.#deps = deps
    this.#pending = introduction.pending
    this.identified = introduction.identified
    this.wanted = introduction.wanted
    this.client = introduction.client
  }

  get isInteractive(): boolean {
    return this.#pending === 'interactive'
  }

  say(text: string): void {
    this.#exchange.say(text)
  }

  async show(title: string, instruction: string): Promise<void> {
    if (this.#pending === 'interactive') await this.#inform(title, instruction, [])
    else this.say(`${title}\n${instruction}`)
  }

  async ask(title: string, instruction: string, prompts: readonly Prompt[]): Promise<readonly string[] | undefined> {
    if (this.#pending === 'request' && !(await this.#beginInteractive())) return undefined
    const answers = await this.#inform(title, instruction, prompts)
    return answers?.length === prompts.length ? answers : undefined
  }

  succeed(): void {
    this.#exchange.release()
    this.#transport.send(authSuccess)
  }

  refuse(fault: Fault): void {
    turnAway(this.#transport, this.#exchange, fault)
  }

  /** "Partial success" makes a client whose key was good go on with what is left: keyboard-interactive. */
  async #beginInteractive(): Promise<boolean> {
    if (this.#declined) return false
    const request = await this.#inTime((signal) => {
      this.#exchange.fail(['keyboard-interactive'], true)
      return this.#exchange.request(signal)
    })
    if (request.method === 'keyboard-interactive') this.#pending = 'interactive'
    else this.#declined = true
    return this.#pending === 'interactive'
  }

  async #inform(title: string, instruction: string, prompts: readonly Prompt[]) {
    const answers = await this.#inTime((signal) => this.#exchange.inform(title, instruction, prompts, signal))
    if (answers !== undefined) return answers
    await this.#exchange.request(this.#transport.gone)
    this.#pending = 'request'
    this.#declined = true
    return undefined
  }

  async #inTime<T>(step: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const timer = this.#deps.clock.after(this.#deps.answerMs, () => {
      late.abort(new Fault('DEADLINE_PASSED', 'No answer came in time.'))
    })
    try {
      return await step(AbortSignal.any([this.#transport.gone, late.signal]))
    } finally {
      timer.cancel()
    }
  }
}
