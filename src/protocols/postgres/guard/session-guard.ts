import { asFault, type Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { GuardWord } from '../../../recording/postgres-events.ts'
import { paused, type Flow, type Stage } from '../flow.ts'
import { fromClient, fromServer, type Report } from '../messages.ts'
import { maskStatement } from '../mask.ts'
import type { ReadAs } from './backslashes.ts'
import type { Reading } from './facts.ts'
import { readLong, readMessage } from './read-message.ts'
import type { StatementReader } from './reader.ts'
import { Refusals } from './refusals.ts'
import type { Turns } from '../turns.ts'
import type { Judge, Verdict } from './rules.ts'
import { Sieve } from './sieve.ts'
import { askedText, refusalReport, unansweredReport, warningText, type Answer } from './words.ts'

/** A statement that somebody is to agree to. */
export interface Question {
  /** Passwords masked. */
  readonly sql: string
  readonly verdict: Verdict
}

/** A question that was put. */
export interface Asked {
  readonly id: string
  readonly link: URL
  readonly waitMs: number
  /** Never rejects. */
  readonly answer: Promise<Answer>
}

export interface GuardDeps {
  readonly judge: Judge
  readonly reader: StatementReader
  readonly clock: Clock
  readonly nonce: string
  /** @param gaveUp aborts when nobody waits for the answer any more. */
  ask(question: Question, gaveUp: AbortSignal): Promise<Asked>
  /** What it said, when it says it first. */
  audit(word: GuardWord): void
  failed(error: unknown): void
}

/** What the guard does to a session. */
export interface GuardedSession {
  readonly up: Flow
  readonly down: Flow
  readonly turns: Turns
  /** Whether the target may be busy with what passed before. */
  isBusy(): boolean
  /** Kept up to date by whoever reads the target's answers. */
  readonly readAs: ReadAs
  note(word: GuardWord): void
  warn(text: string): void
  tell(text: string): void
}

/** Longer statements cannot be read, and so they count as unparsable. */
export const statementBytesMax: number = 1024 * 1024
/** What a client may send behind a statement that waits, and in how many pieces; then it is not read on. */
const behindBytesMax: number = 256 * 1024
const behindChunksMax = 1000
/** Errors of our own are far below. */
const errorBytesMax: number = 64 * 1024

/** A statement that waits for somebody's word. */
export interface WaitingStatement {
  /** The target may be busy with what passed before it. */
  readonly isBehind: boolean
  giveUp(): void
}

interface Held {
  readonly message: Buffer
  readonly text: string
  readonly isLong: boolean
  /** As in `WaitingStatement`. */
  readonly isBehind: boolean
}

/**
 * Judges what a client wants to have executed, before the target sees it. Nothing passes a statement that waits, so that
 * everything stays in its order.
 */
export class SessionGuard {
  readonly up: Stage = { take: (chunk) => this.#takeUp(chunk) }
  readonly down: Stage = { take: (chunk) => void this.#answers.feed(chunk) }
  readonly #deps: GuardDeps
  readonly #session: GuardedSession
  readonly #refusals: Refusals
  readonly #statements: Sieve
  readonly #answers: Sieve
  /** What came behind a statement that waits. */
  #behind: Buffer[] = []
  #behindBytes = 0
  /** Found out by `passes`, for `take`. */
  #looked: {
    readonly text: string
    readonly reading: Reading | Promise<Reading>
    readonly verdict: Verdict | null
  } | null = null
  /** What happens to the bytes of a long message. */
  #long: 'pass' | 'swallow' = 'pass'
  #pipelineRefused = false
  #waits = false
  /** What came behind goes on in another turn. */
  #isPutOff = false
  #question: AbortController | null = null
  #waiting: WaitingStatement | null = null
  #isOver = false

  constructor(deps: GuardDeps, session: GuardedSession) {
    this.#deps = deps
    this.#session = session
    this.#refusals = new Refusals(deps.nonce)
    this.#statements = new Sieve({
      pass: (bytes) => session.up.pass(bytes),
      treatment: (type, totalBytes) => this.#treatment(type, totalBytes),
      passes: (message, isNext) => this.#passes(message, isNext),
      take: (message) => this.#take(message),
      long: (beginning) => this.#takeLong(beginning),
      longPart: (bytes) => (this.#long === 'pass' ? session.up.pass(bytes) : session.up.walk(bytes)),
    })
    this.#answers = new Sieve({
      pass: (bytes) => session.down.pass(bytes),
      treatment: (type, totalBytes) =>
        type === fromServer.errorResponse && this.#refusals.isWaiting && totalBytes <= errorBytesMax ? 'whole' : 'pass',
      passes: () => false,
      take: (error) => session.down.pass(this.#refusals.answerFor(error) ?? error),
      long: () => undefined,
      longPart: () => undefined,
    })
  }

  /** Null where none waits. */
  get waiting(): WaitingStatement | null {
    return this.#question?.signal.aborted === false ? this.#waiting : null
  }

  /** The session is over: nobody waits any more. */
  stop(): void {
    this.#isOver = true
    this.#behind = []
    this.#question?.abort()
  }

  #takeUp(chunk: Buffer): void {
    this.#behind.push(chunk)
    this.#behindBytes += chunk.length
    if (this.#waits || this.#isPutOff) {
      const isMuch = this.#behindBytes > behindBytesMax || this.#behind.length > behindChunksMax
      if (isMuch) this.#session.up.pause(paused.guard)
    } else this.#goOn()
  }

  #goOn(): void {
    const { turns } = this.#session
    while (!this.#waits && this.#behind.length > 0) {
      if (this.#behind.length > 1 && !turns.isFree) return this.#putOff()
      const begunMs = turns.begin()
      this.#feedOne()
      turns.end(begunMs)
    }
  }

  #feedOne(): void {
    const chunk = this.#behind.shift()!
    this.#behindBytes -= chunk.length
    const rest = this.#statements.feed(chunk)
    if (rest.length === 0) return
    this.#behind.unshift(rest)
    this.#behindBytes += rest.length
  }

  /** Much came behind a statement that waited: others are heard in between. */
  #putOff(): void {
    this.#isPutOff = true
    this.#session.turns.wait(() =>
      this.#after(() => {
        this.#isPutOff = false
      }),
    )
  }

  #treatment(type: number, totalBytes: number): 'pass' | 'whole' | 'long' {
    switch (type) {
      case fromClient.query:
      case fromClient.parse:
      case fromClient.functionCall:
        return totalBytes > statementBytesMax ? 'long' : 'whole'
      case fromClient.sync:
        this.#pipelineRefused = false
        return 'pass'
      default:
        return 'pass'
    }
  }

  #passes(message: Buffer, isNext: boolean): boolean {
    this.#session.readAs.settled = isNext && !this.#session.isBusy()
    const { text, reading } = readMessage(message, this.#deps.reader, this.#session.readAs)
    const verdict = reading instanceof Promise ? null : this.#deps.judge(reading)
    if (verdict?.action === 'allow') return true
    this.#looked = { text, reading, verdict }
    return false
  }

  #take(message: Buffer): void {
    const { text, reading, verdict } = this.#looked!
    this.#looked = null
    this.#session.up.walk(message)
    const isBehind = !this.#session.readAs.settled
    const held = { message: Buffer.from(message), text, isLong: false, isBehind }
    if (!(reading instanceof Promise) && verdict !== null) return this.#deal(held, reading, verdict)
    this.#halt()
    void Promise.resolve(reading).then((read) => this.#after(() => this.#deal(held, read, this.#deps.judge(read))))
  }

  #takeLong(beginning: Buffer): void {
    const { text, reading } = readLong(beginning, statementBytesMax)
    if (reading instanceof Promise) return
    this.#long = 'pass'
    const isBehind = this.#session.isBusy()
    this.#session.readAs.settled = !isBehind
    const held = { message: Buffer.from(beginning), text, isLong: true, isBehind }
    this.#deal(held, reading, this.#deps.judge(reading))
  }

  /** The message has been walked, except for a long one, which is as it passes. */
  #deal(held: Held, reading: Reading, verdict: Verdict): void {
    const { action, rule, about } = verdict
    if (action === 'allow') return this.#forward(held)
    // The target skips what follows a refusal; nobody has to look at it.
    const isSkipped = action === 'ask' && this.#pipelineRefused && held.message[0] === fromClient.parse
    if (action === 'ask' && !isSkipped) return this.#ask(held, verdict)
    const word = { action: action === 'warn' ? 'warn' : 'refuse', rule, about } as const
    this.#session.note(word)
    this.#deps.audit(word)
    if (action === 'warn') {
      this.#session.warn(warningText(verdict))
      this.#forward(held)
    } else this.#refuse(held, refusalReport(verdict, reading))
  }

  #forward({ message, isLong }: Held): void {
    if (isLong) this.#long = 'pass'
    else this.#session.up.write(message)
  }

  #refuse({ message, isLong }: Held, report: Report): void {
    if (isLong) this.#long = 'swallow'
    if (message[0] === fromClient.parse) this.#pipelineRefused = true
    this.#session.up.write(this.#refusals.instead(message, report))
  }

  #ask(held: Held, verdict: Verdict): void {
    this.#halt()
    const gaveUp = new AbortController()
    this.#question = gaveUp
    this.#waiting = { isBehind: held.isBehind, giveUp: () => gaveUp.abort() }
    const { clock } = this.#deps
    const begunMs = clock.monotonicMs()
    const { rule, about } = verdict
    let put: Asked | undefined
    let fault: Fault | undefined
    const asking = this.#put(held, verdict, gaveUp.signal).then((asked) => {
      put = asked
      return asked.answer
    })
    const failed = (error: unknown): Answer => {
      fault = asFault(error)
      if (fault === undefined) this.#deps.failed(error)
      return { answer: gaveUp.signal.aborted ? 'given-up' : 'failed' }
    }
    void asking.catch(failed).then((answer) => {
      this.#question = this.#waiting = null
      const waitedMs = Math.round(clock.monotonicMs() - begunMs)
      const question = put === undefined ? {} : { question: put.id }
      this.#session.note({ action: 'ask', rule, about, ...question, ...answer, waitedMs })
      this.#after(() => {
        if (answer.answer === 'approved') this.#forward(held)
        else this.#refuse(held, unansweredReport(verdict, answer, put?.waitMs ?? 0, fault))
      })
    })
  }

  async #put({ text, isLong }: Held, verdict: Verdict, gaveUp: AbortSignal): Promise<Asked> {
    const { settled, backslashes } = this.#session.readAs
    const sql = maskStatement(text, settled ? backslashes : 'unsure', isLong)
    const asked = await this.#deps.ask({ sql, verdict }, gaveUp)
    const word = { action: 'ask', rule: verdict.rule, about: verdict.about, question: asked.id } as const
    this.#session.note(word)
    this.#deps.audit(word)
    if (!gaveUp.aborted) this.#session.tell(askedText(verdict, asked.link, asked.waitMs))
    return asked
  }

  #halt(): void {
    this.#waits = true
    this.#statements.halted = true
  }

  /** What waited is decided; what came behind it goes on. */
  #after(decided: () => void): void {
    if (this.#isOver) return
    this.#session.up.attempt(() => {
      this.#waits = false
      this.#statements.halted = false
      decided()
      this.#goOn()
      if (!this.#waits && !this.#isPutOff) this.#session.up.resume(paused.guard)
    })
  }
}
