import type { Duplex } from 'node:stream'
import type { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Recorder } from '../../../recording/recorder.ts'
import type { Log } from '../../../kernel/log.ts'

export interface WebSocketRelayDeps {
  /** The connection to the client, after the 101 was written. `first`: bytes of it that were read already. */
  readonly client: Duplex
  readonly clientFirst: Buffer
  readonly target: Duplex
  readonly targetFirst: Buffer
  /** Of the exchange, in the recording. */
  readonly n: number
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
}

/**
 * Passes a WebSocket's bytes on both ways as they came, at the pace of the slower side and of the recorder, walks over its
 * frames (RFC 6455 section 5.2) without decoding payloads, and writes each message's direction, opcode and size down (`w`).
 */
export interface WebSocketRelay {
  /**
   * By the gate: stops both ways at once and writes Close 1008 with the reason (at most 123 bytes of UTF-8) to the client,
   * and 1001 to the target, where a frame is not half sent; then the connections are closed. The client gets a moment to take it.
   */
  cut(fault: Fault): void
  /** Both connections are closed. Never rejects. */
  readonly over: Promise<WebSocketEnd>
}

export interface WebSocketEnd {
  /** Who closed first. */
  readonly by: 'client' | 'target' | 'gate'
  readonly bytesFromClient: number
  readonly bytesFromTarget: number
  /** Why, when a frame was against the protocol or a connection broke. */
  readonly why: string | null
}
