import type { Duplex } from 'node:stream'
import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Timer } from '../../../kernel/time.ts'
import { cutText } from '../../../sessions/words.ts'
import { closeCodes, closeFromClient, closeFromServer } from './close.ts'
import { Flow, paused } from './flow.ts'
import { FrameWalker, opcodes, type FrameTap } from './frames.ts'
import { MessageLog, type Direction } from './message-log.ts'
import type { WebSocketEnd, WebSocketRelay, WebSocketRelayDeps } from './websocket.ts'

/** How long a peer may take to read the last words of the gate. */
export const goodbyeMs = 1_000
/** How long one connection may outlive the other's end. A WebSocket that is closed on one side is over (RFC 6455 section 7.1.5). */
export const lingerMs = 60_000

/** Starts at once. The connections belong to the relay now. */
export function relayWebSocket(deps: WebSocketRelayDeps): WebSocketRelay {
  const relay = new Relay(deps)
  relay.start()
  return relay
}

/** One end of the WebSocket, and what passes from there to the other. */
class Side implements FrameTap {
  readonly name: 'client' | 'target'
  readonly socket: Duplex
  readonly flow: Flow
  readonly relay: Relay
  /** A Close of this side has passed: nothing may follow it. */
  closing = false
  readonly #direction: Direction

  constructor(name: 'client' | 'target', socket: Duplex, to: Duplex, relay: Relay) {
    this.name = name
    this.socket = socket
    this.relay = relay
    this.#direction = name === 'client' ? 'up' : 'down'
    this.flow = new Flow(socket, to, new FrameWalker(name === 'client', this), {
      passed: () => relay.keepPaceWithRecorder(),
      failed: (error) => relay.failed(this, error),
    })
  }

  passed(fin: boolean, opcode: number, bytes: number, whole: boolean): void {
    this.relay.messages.passed(this.#direction, fin, opcode, bytes, whole)
    if (opcode === opcodes.close && whole) {
      this.closing = true
      this.relay.closedBy(this.name, null)
    }
  }

  listen(): void {
    this.socket.on('end', this.onEnd).on('close', this.onClose).on('error', this.onError)
  }

  release(): void {
    this.flow.release()
    this.socket.off('end', this.onEnd).off('close', this.onClose).off('error', this.onError)
  }

  readonly onEnd = (): void => this.relay.ended(this)
  readonly onClose = (): void => this.relay.gone(this)
  readonly onError = (error: Error): void => {
    const { code = error.name } = error as NodeJS.ErrnoException
    this.relay.closedBy(this.name, `The connection to the ${this.name} broke (${code}).`) // `close` follows
  }
}

class Relay implements WebSocketRelay {
  readonly over: Promise<WebSocketEnd>
  readonly messages: MessageLog
  readonly #deps: WebSocketRelayDeps
  readonly #client: Side
  readonly #target: Side
  readonly #over = Promise.withResolvers<WebSocketEnd>()
  /** Who closed first, and why. */
  #first: Pick<WebSocketEnd, 'by' | 'why'> | null = null
  #leaving = false
  #isOver = false
  #waitsForRecorder = false
  #lastMoment: Timer | null = null

  constructor(deps: WebSocketRelayDeps) {
    this.#deps = deps
    this.over = this.#over.promise
    this.messages = new MessageLog(deps.recorder, deps.clock, deps.n)
    this.#client = new Side('client', deps.client, deps.target, this)
    this.#target = new Side('target', deps.target, deps.client, this)
  }

  start(): void {
    const { clientFirst, targetFirst } = this.#deps
    const sides = [this.#client, this.#target]
    for (const side of sides) side.listen()
    this.#client.flow.start(clientFirst)
    this.#target.flow.start(targetFirst)
    for (const side of sides) {
      if (side.socket.closed) this.gone(side)
      else if (side.socket.readableEnded) this.ended(side)
    }
  }

  cut(fault: Fault): void {
    if (this.#leaving) return
    this.closedBy('gate', null)
    this.#leave(closeCodes.policyViolation, cutText(fault), closeCodes.goingAway, '')
  }

  /** A frame of `side` was against the protocol, so where the next one begins is anybody's guess. */
  failed(side: Side, error: unknown): void {
    if (this.#leaving) return
    const fault = asFault(error)
    const why = fault?.message ?? 'internal error'
    const code = fault === undefined ? closeCodes.internalError : closeCodes.protocolError
    if (fault === undefined) this.#deps.log.error({ n: this.#deps.n, error }, 'a WebSocket could not be relayed')
    this.closedBy(fault === undefined ? 'gate' : side.name, why)
    this.#leave(code, why, code, why)
  }

  closedBy(by: WebSocketEnd['by'], why: string | null): void {
    this.#first ??= { by, why }
  }

  /** Half of the connection is closed. What the other has to say still passes. */
  ended(side: Side): void {
    this.closedBy(side.name, `The ${side.name} hung up without a Close.`)
    if (this.#leaving) return
    side.flow.finish()
    if (!side.socket.allowHalfOpen) this.#hangUp(this.#otherOf(side))
    this.#endWithin(lingerMs)
  }

  gone(side: Side): void {
    this.closedBy(side.name, `The ${side.name} hung up without a Close.`)
    if (this.#client.socket.closed && this.#target.socket.closed) return this.#finish()
    if (this.#leaving) return
    side.flow.finish()
    this.#hangUp(this.#otherOf(side))
    this.#endWithin(lingerMs)
  }

  /** What cannot be recorded is not forwarded: both directions wait until the disk has caught up. */
  keepPaceWithRecorder(): void {
    const { recorder } = this.#deps
    if (!recorder.full || this.#waitsForRecorder) return
    this.#waitsForRecorder = true
    for (const { flow } of [this.#client, this.#target]) flow.pause(paused.recorder)
    recorder.drained().then(
      () => {
        this.#waitsForRecorder = false
        for (const { flow } of [this.#client, this.#target]) flow.resume(paused.recorder)
      },
      (error: unknown) => {
        this.cut(asFault(error) ?? new Fault('RECORDING_FAILED', 'The recording cannot be written.', { cause: error }))
      },
    )
  }

  /** First pass: nothing more passes, and the client is told. The second comes when others that are cut now were told, too. */
  #leave(clientCode: number, clientReason: string, targetCode: number, targetReason: string): void {
    this.#leaving = true
    this.#client.flow.stop()
    this.#target.flow.stop()
    this.messages.flush()
    this.#say(this.#client, closeFromServer(clientCode, clientReason))
    setImmediate(() => {
      this.#say(this.#target, closeFromClient(targetCode, targetReason))
      for (const side of [this.#client, this.#target]) this.#hangUp(side)
      if (!this.#isOver) this.#endWithin(goodbyeMs)
    })
  }

  /** Where a frame is half sent nothing can be said: the connection just closes. After a Close of the other side nothing may be. */
  #say(side: Side, close: Buffer): void {
    const { socket } = side
    const other = this.#otherOf(side)
    if (other.flow.split) socket.destroy()
    else if (!other.closing && socket.writable) socket.write(close)
  }

  #hangUp({ socket, flow }: Side): void {
    flow.discard()
    socket.end()
  }

  #endWithin(lengthMs: number): void {
    this.#lastMoment?.cancel()
    this.#lastMoment = this.#deps.clock.after(lengthMs, () => {
      this.#client.socket.destroy()
      this.#target.socket.destroy()
    })
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lastMoment?.cancel()
    this.messages.flush()
    this.#client.release()
    this.#target.release()
    this.#over.resolve({
      ...this.#first!,
      bytesFromClient: this.#client.flow.bytes,
      bytesFromTarget: this.#target.flow.bytes,
    })
  }

  #otherOf(side: Side): Side {
    return side === this.#client ? this.#target : this.#client
  }
}
