import type { Socket } from 'node:net'
import { turnEnd, type PutOff } from '../../kernel/turn-end.ts'
import type { FrameWalker } from './frames.ts'
import { Gathered } from './gathered.ts'
import type { Turns } from './turns.ts'

/** Why a flow stands still; bits, as there may be several at once. */
export const paused = { receiver: 1, recorder: 2, guard: 4, turn: 8 } as const

/** An unfinished message up to this size waits for its end instead of being sent in halves. */
const heldBytesMax = 64 * 1024
/** Smaller chunks are walked at once. */
const largeBytesMin = 2 * 1024
/** What a chunk takes that is written at the end of the turn. */
const unsentMs = 0.02
/** Of more messages a chunk is walked in pieces: one takes up to 30 us. */
const messagesMax = 256
const pieceBytes = 4 * 1024

export interface FlowEvents {
  /** A chunk was walked (and so recorded) and forwarded. `nowMs`: when it came, where that is known. */
  passed(nowMs?: number): void
  /** The walker could not make sense of it. The chunk was not forwarded. */
  failed(flow: Flow, error: unknown): void
}

/** Stands between a sender and its flow, and decides what of a chunk passes, when, and as what. */
export interface Stage {
  /** Gives the flow what is to go on, by `pass`, `walk` and `write`. */
  take(chunk: Buffer): void
}

/**
 * One direction of a relay: walks message boundaries, forwards the chunks as they came, at the receiver's pace.
 *
 * With `holds` the tail of a chunk that is an unfinished message is kept until the rest has come. The receiver could
 * do nothing with it anyway, and so nearly every moment is a message boundary at which something can be said to it.
 * Only messages above 64 KiB are sent in halves.
 */
export class Flow implements PutOff {
  bytes = 0
  readonly #from: Socket
  readonly #to: Socket
  readonly #walker: FrameWalker
  readonly #holds: boolean
  readonly #turns: Turns
  readonly #events: FlowEvents
  #stage: Stage | null = null
  #paused = 0
  #stopped = false
  #muted = false
  #split = false
  /** Only while something is held. */
  #held: Gathered | null = null
  #sayings: Buffer[] = []
  /** Has passed and goes to the receiver at the end of this turn. */
  #unsent: Buffer | null = null

  constructor(from: Socket, to: Socket, walker: FrameWalker, holds: boolean, turns: Turns, events: FlowEvents) {
    this.#from = from
    this.#to = to
    this.#walker = walker
    this.#holds = holds
    this.#turns = turns
    this.#events = events
  }

  /** What the receiver has got ends inside a message. */
  get split(): boolean {
    return this.#holds ? this.#split : !this.#walker.atBoundary
  }

  /** What the sender said last has come whole. */
  get isWhole(): boolean {
    return this.#walker.atBoundary
  }

  /** Call it before `start`. */
  through(stage: Stage): void {
    this.#stage = stage
  }

  /** @param unread what was read from the sender before. */
  start(unread: Buffer): void {
    this.#to.on('drain', this.#onDrain)
    if (unread.length > 0) this.#onData(unread)
    if (this.#stopped) return
    this.#from.on('data', this.#onData)
    if (this.#paused === 0) this.#from.resume()
  }

  pause(reason: number): void {
    this.#paused |= reason
    this.#from.pause()
  }

  resume(reason: number): void {
    this.#paused &= ~reason
    if (this.#paused === 0 && !this.#stopped) this.#from.resume()
  }

  /** The receiver left: what comes is still walked, and thrown away. */
  mute(): void {
    this.turnEnd()
    this.#muted = true
    this.#held = null
    this.resume(paused.receiver)
  }

  /** Nothing passes any more, for good, at this instant. What was held back is dropped. */
  stop(): void {
    this.turnEnd()
    this.#stopped = true
    this.#held = null
    this.#sayings = []
  }

  /** Lets go of the sockets of a stopped flow. Apart from `stop`, because taking listeners off costs more than a cut may. */
  release(): void {
    this.#from.off('data', this.#onData)
    this.#to.off('drain', this.#onDrain)
  }

  /** Puts a message of our own between the sender's, as soon as none of them is half sent. */
  say(message: Buffer): void {
    if (this.#stopped) return
    this.#sayings.push(message)
    this.#sayAtBoundary()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#stopped) return
    if (!this.#turns.isFree) this.#putBack(chunk)
    else if (chunk.length < largeBytesMin) this.#work(chunk)
    else this.#takeInTurns(chunk)
  }

  #takeInTurns(chunk: Buffer): void {
    const lengthBytes = this.#walker.beginsMore(messagesMax, chunk) ? pieceBytes : chunk.length
    for (let at = 0; at < chunk.length && !this.#stopped; at += lengthBytes) {
      if (!this.#turns.isFree) return this.#putBack(chunk.subarray(at))
      this.#work(chunk.subarray(at, at + lengthBytes))
    }
  }

  /** The socket gives it again in another turn, and its end only after that. */
  #putBack(chunk: Buffer): void {
    this.pause(paused.turn)
    this.#from.unshift(chunk)
    this.#turns.wait(() => this.resume(paused.turn))
  }

  #work(chunk: Buffer): void {
    const begunMs = this.#turns.begin()
    this.#take(chunk, begunMs)
    if (this.#unsent === null) this.#turns.end(begunMs)
    else this.#turns.end(begunMs, unsentMs)
  }

  #take(chunk: Buffer, nowMs: number): void {
    this.bytes += chunk.length
    try {
      if (this.#stage === null) this.pass(chunk, nowMs)
      else this.#stage.take(chunk)
    } catch (error) {
      this.#events.failed(this, error)
      return
    }
    this.#events.passed(nowMs)
  }

  /** Runs what lets something pass; what goes wrong there is the end of the session. */
  attempt(work: () => void): void {
    if (this.#stopped) return
    try {
      work()
    } catch (error) {
      this.#events.failed(this, error)
      return
    }
    this.#events.passed()
  }

  /** @param nowMs as in `walk`. @throws Fault PROTOCOL_VIOLATION */
  pass(bytes: Buffer, nowMs?: number): void {
    this.walk(bytes, nowMs)
    if (this.#holds) this.#passWhole(bytes)
    else this.write(bytes)
  }

  /** Looks at what came, without forwarding it. @param nowMs when it came, where that is known. @throws Fault PROTOCOL_VIOLATION */
  walk(bytes: Buffer, nowMs?: number): void {
    this.#walker.walk(bytes, nowMs)
  }

  #passWhole(chunk: Buffer): void {
    const { boundary } = this.#walker
    if (boundary === chunk.length) this.#forward(chunk)
    else if (boundary >= 0) {
      this.#forward(chunk.subarray(0, boundary))
      this.#hold(chunk.subarray(boundary))
    } else if (this.#split) this.write(chunk)
    else this.#hold(chunk)
    this.#sayAtBoundary()
  }

  /** Sends what was held and `chunk`, which ends a message. */
  #forward(chunk: Buffer): void {
    this.#split = false
    this.#sendHeld(chunk)
  }

  #hold(tail: Buffer): void {
    const heldBytes = this.#held === null ? 0 : this.#held.length
    if (heldBytes + tail.length > heldBytesMax) {
      this.#split = true
      this.#sendHeld(tail)
      return
    }
    this.#held ??= new Gathered()
    this.#held.add(tail)
  }

  #sendHeld(chunk: Buffer): void {
    if (this.#held === null) return this.write(chunk)
    const held = this.#held.take()
    this.#held = null
    this.#to.cork()
    this.write(held)
    this.write(chunk)
    this.#to.uncork()
  }

  #sayAtBoundary(): void {
    if (this.split) return
    while (this.#sayings.length > 0) this.write(this.#sayings.shift()!)
  }

  /** Forwards without looking: large pieces at once, small ones with those of other sessions. */
  write(bytes: Buffer): void {
    if (this.#muted || this.#stopped) return
    const unsent = this.#unsent
    if (unsent === null && bytes.length < largeBytesMin) {
      this.#unsent = bytes
      return turnEnd.do(this)
    }
    if (unsent === null) return this.#send(bytes)
    this.#unsent = null
    this.#to.cork()
    this.#to.write(unsent)
    this.#send(bytes)
    this.#to.uncork()
  }

  turnEnd(): void {
    const unsent = this.#unsent
    this.#unsent = null
    if (unsent !== null) this.#send(unsent)
  }

  #send(bytes: Buffer): void {
    if (!this.#to.write(bytes)) this.pause(paused.receiver)
  }

  readonly #onDrain = (): void => this.resume(paused.receiver)
}
