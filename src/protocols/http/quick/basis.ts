import type { AppPlace } from '../../../identity/apps.ts'
import { Fault } from '../../../kernel/fault.ts'
import type { HttpResource } from '../../../resources/catalogue.ts'
import type { Peer } from '../arrival.ts'
import { corsHeaders, judgeOrigin } from '../cross-origin.ts'
import { towardsTarget, type ClientFacts, type ForwardFacts } from '../forward-headers.ts'
import type { HttpSession } from '../http-session.ts'
import { credentialOf, type Credential, type Known } from '../identify.ts'
import { recordedHeaders } from '../recorded-parts.ts'
import { requestLines } from '../targets/request-text.ts'
import type { RawHeaders } from '../targets/target.ts'
import type { Block } from './block.ts'
import { requestHeadOf, type PlainHead } from './plain-head.ts'
import type { QuickAnswer } from './quick-answer.ts'

/** What a block of header lines means, whoever may be behind it. */
export interface Basis {
  readonly resource: HttpResource
  readonly place: AppPlace
  /** Of the application, as the client names it: `https://app.example.com`. */
  readonly origin: string
  readonly peer: Peer
  readonly credential: Credential
  /** More for the client: what CORS needs. */
  readonly corsHeaders: RawHeaders
  /** What was worked out for the person behind it; used as long as nothing of it changed. */
  derived: Derived | null
}

/** What follows for one person and session, as long as all of these are the same. */
export interface Derived {
  readonly known: Known
  readonly session: HttpSession
  readonly assertion: string
  readonly clientFacts: ClientFacts
  /** The value of the target's Host. */
  readonly host: string
  /** Header lines for the target, before and behind the request's id. */
  readonly before: string
  readonly behind: string
  /** JSON of the line of the recording, between the URL and the id, and behind that. */
  readonly recordedBefore: string
  readonly recordedBehind: string
  /** The last one that went the quick way. */
  answer: QuickAnswer | null
}

export interface Place {
  readonly resource: HttpResource
  readonly place: AppPlace
  readonly origin: string
  readonly peer: Peer
}

/** @returns null when the gate would refuse requests with this block of header lines. */
export function basisOf(block: Block, at: Place): Basis | null {
  const { resource, place, origin } = at
  const credential = credentialOf({ headers: block.fields.byName }, place)
  const byCookie = credential.kind === 'cookie'
  // The same for GET and HEAD.
  const facts = { method: 'GET', headers: block.fields.headers, ownOrigin: origin, byCookie, upgrade: false }
  const judged = judgeOrigin({ ...facts, cors: resource.cors })
  if (judged instanceof Fault) return null
  return { ...at, credential, corsHeaders: corsHeaders(block.fields, resource.cors), derived: null }
}

/** Stands for the id of a request. Clients' own headers of that name go no further. */
const idLine = /\r\nCurfew-Request-Id: id\r\n/

/** @returns null when it cannot be put together so. */
export function derive(
  head: PlainHead,
  { fields }: Block,
  { origin, peer }: Basis,
  { known, session, assertion }: Pick<Derived, 'known' | 'session' | 'assertion'>,
): Derived | null {
  const host = session.hostFor(fields.host)
  const facts = forwardFacts({ known, session, assertion, host }, peer, 'id')
  const headers = towardsTarget(requestHeadOf(head, fields), facts)
  const nothing = { body: null, bodyBytes: null, trailers: null, upgrade: null }
  const lines = requestLines({ method: head.method, path: '/', host, headers, ...nothing }).split(idLine)
  if (lines.length !== 2) return null
  const recorded = JSON.stringify(recordedHeaders(fields.headers, session.recordedNames))
  return {
    ...{ known, session, assertion, host },
    clientFacts: session.clientFacts('1.1', origin),
    before: `${lines[0]}\r\nCurfew-Request-Id: `,
    behind: `\r\n${lines[1]}`,
    recordedBefore: `,"origin":${JSON.stringify(origin)},"version":"1.1","id":`,
    recordedBehind: `,"from":${JSON.stringify(peer.from)},"headers":${recorded}}`,
    answer: null,
  }
}

/** The headers themselves, for targets that take them in another form. */
export function headersFor(
  head: PlainHead,
  { fields }: Block,
  { peer }: Basis,
  derived: Derived,
  requestId: string,
): RawHeaders {
  return towardsTarget(requestHeadOf(head, fields), forwardFacts(derived, peer, requestId))
}

export function forwardFacts(
  { known, session, assertion, host }: Pick<Derived, 'known' | 'session' | 'assertion' | 'host'>,
  peer: Peer,
  requestId: string,
): ForwardFacts {
  const { ownAuthorization, person } = known
  return { host, client: peer, requestId, assertion, own: session.ownHeaders(person), ownAuthorization }
}
