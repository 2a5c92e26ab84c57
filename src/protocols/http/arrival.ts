import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { AppPlace } from '../../identity/apps.ts'
import type { HttpResource } from '../../resources/catalogue.ts'
import { forwardedClient, type ForwardedClient } from './forward-headers.ts'
import { isHttp2, type HttpRequest, type HttpResponse } from './front.ts'
import { readRequestHead, type RequestHead } from './request-head.ts'

/** A request on its way in: what is known of it before anybody looked at who sends it. */
export interface Arrival {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly head: RequestHead
  readonly place: AppPlace
  readonly resource: HttpResource
  /** Of the application, as the client names it: `https://app.example.com`. */
  readonly origin: string
  readonly peer: Peer
  readonly requestId: string
  /** Of an upgrade: what came behind the head. */
  readonly first?: Buffer
}

/** @throws Fault PROTOCOL_VIOLATION, TOO_LARGE: see `readRequestHead`. */
export function arrive(
  request: HttpRequest,
  response: HttpResponse,
  resource: HttpResource,
  requestId: string,
  first: Buffer | undefined,
): Arrival {
  const head = readRequestHead(request)
  const host = head.host.endsWith(':443') ? head.host.slice(0, -':443'.length) : head.host
  const peer = peerOf(connectionOf(request))
  const place = { resource: resource.name, host }
  const arrival = { request, response, head, place, resource, origin: `https://${host}`, peer, requestId }
  return first === undefined ? arrival : { ...arrival, first }
}

/** The client's end of a connection. */
export interface Peer extends ForwardedClient {
  /** `203.0.113.9:51234` */
  readonly from: string
  /** Requests to applications that wait to be let in, or whose answers are under way. */
  open: number
}

/** By connection: asked once, as many requests come by it. */
const peers = new WeakMap<object, Peer>()

/** @param connection a socket, or a session of HTTP/2. */
export function peerOf(connection: Connection): Peer {
  const known = peers.get(connection)
  if (known !== undefined) return known
  const { remoteAddress = '', remotePort = 0 } = 'socket' in connection ? connection.socket : connection
  const client = forwardedClient(remoteAddress)
  const host = client.address.includes(':') ? `[${client.address}]` : client.address
  const peer: Peer = { address: client.address, node: client.node, from: `${host}:${remotePort}`, open: 0 }
  peers.set(connection, peer)
  return peer
}

type Connection = Socket | ServerHttp2Session

function connectionOf(request: HttpRequest): Connection {
  return ((isHttp2(request) ? request.stream.session : undefined) as ServerHttp2Session | undefined) ?? request.socket
}

/** @param connection a socket, or a session of HTTP/2. */
export function isAnswering(connection: object): boolean {
  return (peers.get(connection)?.open ?? 0) > 0
}
