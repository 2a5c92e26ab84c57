import type { Duplex, Readable } from 'node:stream'
import type { HttpResource, HttpRole } from '../../../resources/catalogue.ts'
import type { Admission } from '../../../sessions/admission.ts'

/** Names and values in turn, as `rawHeaders` has them: order and repetition are kept. */
export type RawHeaders = readonly string[]

/** One request as the target shall get it. Nothing is added to the headers but what HTTP itself needs on that hop. */
export interface TargetRequest {
  readonly method: string
  /** Origin-form: path and query, or `*`. */
  readonly path: string
  /** The value of `Host` (`:authority`). */
  readonly host: string
  /** Without host, hop-by-hop headers, `content-length` and `expect`. */
  readonly headers: RawHeaders
  /** Null: the request has none. Read at the target's pace; destroying it aborts the request. */
  readonly body: Readable | null
  /** Bytes of the body when the client announced them; null: until it ends (chunked). */
  readonly bodyBytes: number | null
  /** The trailers that came after the body; asked for when `body` has ended. Null: none can come. */
  readonly trailers: (() => RawHeaders) | null
  /** Header lines as `requestLines` makes them of `host` and `headers`, where they are at hand; for requests without a body. */
  readonly lines?: string
  /** `websocket` or the like: asks to switch; headers then carry what that protocol needs, `upgrade` and `connection` not among them. Null otherwise. */
  readonly upgrade: string | null
}

/** Takes a target's answer. In order: `informational`*, then `head`, `body`*, `end`; or `upgraded`. `failed` comes last, instead of what is missing, and once. */
export interface AnswerSink {
  /** 102 and 103; 100 is the hop's own. */
  informational(status: number, headers: RawHeaders): void
  /**
   * With hop-by-hop headers as they came.
   * @param whole nothing comes after it but `end`: HTTP/2 said so in the head itself, which gRPC takes for trailers, so say it likewise.
   */
  head(status: number, headers: RawHeaders, whole: boolean): void
  /** False: no more until `InFlight.resume`. The chunk may be kept. */
  body(chunk: Buffer): boolean
  end(trailers: RawHeaders): void
  /** 101: the connection belongs to the sink now. `first`: what came with the head. */
  upgraded(headers: RawHeaders, connection: Duplex, first: Buffer): void
  /** @param error a Fault UPSTREAM_UNREACHABLE or UPSTREAM_TLS before the head; anything after. */
  failed(error: Error): void
}

/** A request that is under way. */
export interface InFlight {
  resume(): void
  /** What has not been handed to a connection yet never is; it goes nowhere else either. Costs nothing; `abort` follows. */
  callOff(): void
  /** Ends it at the target at once (HTTP/1: closes the connection; HTTP/2: resets the stream). Nothing is called after it, `failed` neither. */
  abort(): void
  /** Which address it went to; null before that is known. */
  readonly address: string | null
}

/**
 * The way to one resource's addresses. Connections are kept and shared by all requests with the same credentials. Disposing
 * says that nothing is sent by it any more and all that was is over.
 */
export interface HttpTarget extends Disposable {
  /** Only an admission opens it; its session prefers one address while that is healthy. Never throws: `failed` tells. */
  send(admission: Admission, request: TargetRequest, sink: AnswerSink): InFlight
}

/** All targets of the catalogue, with their health checks. Disposing closes every connection. */
export interface HttpTargets extends AsyncDisposable {
  /** Other resources are there: ways to those that are gone are no longer checked, and closed with the last who has one. */
  lookAgain(): void
  /** For client certificates a role has connections of its own. */
  to(resource: HttpResource, role: HttpRole): HttpTarget
  /** For metrics and readiness: addresses that are left out now, by resource. */
  unhealthy(): readonly { readonly resource: string; readonly address: string; readonly why: string }[]
}
