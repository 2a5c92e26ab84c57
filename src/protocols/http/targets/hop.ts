import type { AnswerSink, TargetRequest } from './target.ts'

/**
 * How far a request came before it failed, which says whether it may go once more:
 * - `nowhere`: nothing was sent, as there was no connection; another address may be tried
 * - `unanswered`: a kept connection turned out to be closed; what is idempotent may go on a fresh one (RFC 9110, section 9.2.2)
 * - `refused`: the target says that it did nothing with it and its body was not touched (RFC 9113, section 8.7)
 * - `target`: it may have been worked on; never again
 */
export type Reached = 'nowhere' | 'unanswered' | 'refused' | 'target'

/** Takes the answer of one try. After `failed`, `end` or `upgraded` nothing more comes. */
export interface Taker extends Omit<AnswerSink, 'failed'> {
  failed(error: Error, reached: Reached): void
}

/** One try of a request. */
export interface Try {
  resume(): void
  /** See `InFlight`. */
  callOff(): void
  /** Nothing is told after it. */
  abort(): void
}

/** The connections to one address with one role's credentials. Disposing closes them all at once. */
export interface Hop extends AsyncDisposable {
  /** @param fresh on a connection that was not used before. The taker is never called before this has returned. */
  send(request: TargetRequest, taker: Taker, fresh: boolean): Try
}

/** Of an answer's head, and of its trailers; what a target sends more is refused. */
export const headBytesMax = 64 * 1024
/** 1xx answers before the answer proper (RFC 9110, section 15.2 sets no limit). */
export const informationalMax = 32
/** Connections to one address with one role's credentials. */
export const connectionsMax = 4096

/** The reason given to parts that want one when a request was aborted; nobody gets to see it. */
export const aborted = new Error('the request was aborted')
