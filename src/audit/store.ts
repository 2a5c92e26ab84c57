import type { AuditEvent } from './event.ts'

/** An event in its place in the chain. See audit/chain.ts for how `hash` is made. */
export interface ChainedEvent {
  /** 1, 2, 3, … without gaps. */
  readonly sequence: number
  /** The event as it was hashed: canonical JSON of an AuditEvent. */
  readonly json: string
  /** Hash of the event before, hex; 64 zeros for the first. */
  readonly previous: string
  /** SHA-256, hex. */
  readonly hash: string
}

/** The gateway's signature under the chain's head at some moment: a compact EdDSA JWS over {sequence, hash, at}. */
export interface Checkpoint {
  readonly sequence: number
  readonly jws: string
}

export interface AuditStore {
  /** Durably appends, all in one transaction. */
  append(events: readonly AuditEvent[]): Promise<void>
  /** In order, from `after` (exclusive). */
  events(after: number, limit: number): Promise<readonly ChainedEvent[]>
  /** Newest first, for the page; `types` and `text` narrow, `before` (exclusive sequence) pages. */
  search(filter: {
    types?: readonly string[]
    text?: string
    before?: number
    limit: number
  }): Promise<readonly ChainedEvent[]>
  /**
   * In order, those from `after` (exclusive) to `upTo` (inclusive) whose data holds one of `ids` as a value. Looks at each
   * event of the range: keep it short.
   */
  mentioning(ids: readonly string[], after: number, upTo: number): Promise<readonly ChainedEvent[]>
  head(): Promise<{ readonly sequence: number; readonly hash: string }>
  addCheckpoint(checkpoint: Checkpoint): Promise<void>
  checkpoints(): Promise<readonly Checkpoint[]>
  /** The first that was made at or behind this event. */
  checkpointFrom(sequence: number): Promise<Checkpoint | undefined>
}

export type { AuditEvent }
