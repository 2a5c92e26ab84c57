/**
 * The codes of an HTTP recording and what each carries: the vocabulary that the relay writes and that replay and the
 * pages read. One recording holds all requests of one session; `n` numbers them from 1. A request that is refused by
 * the role stands there, too. docs/recording-format.md explains them for other programs; a test compares the two lists.
 */
export interface HttpEvents {
  /** A request, before any of it went to the target. */
  readonly q: {
    readonly n: number
    readonly method: string
    /** Path and query as the target sees them; values of parameters that may be secrets are `***`. */
    readonly url: string
    /** `https://` and the host that the person typed, with its port. */
    readonly origin: string
    readonly version: '1.0' | '1.1' | '2'
    /** The request's id, as the target, the client's problem and the gateway's log have it: `http-…-1f`. */
    readonly id: string
    /** Where it came from: `203.0.113.9:51234`. */
    readonly from: string
    /** Chosen headers, as they came; never cookies or authorization. */
    readonly headers: HttpHeaders
  }
  /** The head of an answer whose body goes on for longer: written when it passes, so that a crash does not lose it. */
  readonly s: { readonly n: number; readonly status: number; readonly headers: HttpHeaders }
  /** The exchange is over. */
  readonly a: {
    readonly n: number
    /** Of the target's answer, or of the gate's own; 0 when nobody answered. */
    readonly status: number
    /** Absent when `s` carried them. */
    readonly headers?: HttpHeaders
    /** Bytes of the bodies; of a WebSocket, all bytes after the upgrade. */
    readonly bytesUp: number
    readonly bytesDown: number
    /** From the request's head to the head of the answer; absent without an answer. */
    readonly waitMs?: number
    /** From the request's head to the end. */
    readonly totalMs: number
    readonly result: HttpResult
    /** Why, when it is not `ok`: a Fault's code, and words. */
    readonly code?: string
    readonly why?: string
    /** Trailers after the answer's body. */
    readonly trailers?: HttpHeaders
    /** Which of the target's addresses answered, where there are several. */
    readonly address?: string
  }
  /** The connection speaks another protocol now: `websocket`. The messages follow as `w`. */
  readonly u: { readonly n: number; readonly protocol: string; readonly headers: HttpHeaders }
  /** Messages of a WebSocket, in order: milliseconds since the line before of this `n` (or `u`), direction, opcode (RFC 6455 section 5.2), bytes of the payload as they passed. A message that went on over several lines has a part in each, from the second on with opcode 0. */
  readonly w: {
    readonly n: number
    readonly messages: readonly (readonly [ms: number, direction: 'up' | 'down', opcode: number, bytes: number])[]
  }
  /** A body was longer than is recorded, or not recorded to its end for another reason. */
  readonly bx: { readonly n: number; readonly direction: 'up' | 'down'; readonly why: 'longer' | 'type' | 'ended' }
  /** The gate spoke to the person. */
  readonly m: { readonly kind: 'warning' | 'cut'; readonly text: string; readonly code?: string }
}
export type HttpCode = keyof HttpEvents

/** Parts of bodies as they passed, where the role says so. Raw bytes follow the line (see docs/recording-format.md). */
export interface HttpBytes {
  readonly '=b': {
    readonly n: number
    readonly direction: 'up' | 'down'
    /** Media type and encoding, as the headers gave them; on the first part only. */
    readonly type?: string
    readonly encoding?: string
  }
}
export type HttpBytesCode = keyof HttpBytes

/** Names in lower case, in the order they came. */
export type HttpHeaders = readonly (readonly [name: string, value: string])[]

/** Who ended an exchange: nobody before its time, or one of the three; `refused`: the gate did not let it through. */
export type HttpResult = 'ok' | 'client' | 'target' | 'gate' | 'refused'

/** Every code, with its name in words. */
export const httpCodes: Readonly<Record<HttpCode | HttpBytesCode, string>> = {
  q: 'request',
  s: 'answer begins',
  a: 'answer',
  u: 'upgrade',
  w: 'messages',
  bx: 'body left out',
  m: 'message of the gate',
  '=b': 'body',
}
