/**
 * The smallest proxy that can be made of one part, in a process of its own: plain HTTP/1.1 in front, keep-alive connections
 * behind. Arguments: the part, the target's port, the folder with packages that are only here to be compared.
 */
import { once, type EventEmitter } from 'node:events'
import {
  Agent as HttpAgent,
  createServer,
  request as requestHttp,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Pool } from 'undici'
import { Connector } from '../src/protocols/http/targets/connection.ts'
import { KeptConnections } from '../src/protocols/http/targets/http1-kept.ts'
import { systemClock } from '../src/system.ts'

export const parts = ['own client', 'undici dispatch', 'node:http', 'httpxy', 'http-proxy-3', 'http-proxy'] as const
export type Part = (typeof parts)[number]
export type PartReply = { readonly port: number } | { readonly cpuMs: number }

type Relay = (request: IncomingMessage, response: ServerResponse) => void

const connectionsMax = 64
/** Of one connection (RFC 9110 section 7.6.1), as far as a load generator sends them. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'proxy-connection',
])

/** Those with a proxy in them all have the same interface. */
interface ProxyLibrary {
  readonly createProxyServer: (options: object) => EventEmitter & {
    web(request: IncomingMessage, response: ServerResponse): unknown
  }
}

/** What the gateway has itself: `KeptConnections`. */
function overOwn(port: number): Relay {
  const address = { text: `http://127.0.0.1:${port}`, tls: false, host: '127.0.0.1', port, socketPath: null }
  const way = { name: 'target', address, tls: { ca: null, serverName: null }, certificate: null }
  const kept = new KeptConnections(new Connector(way, systemClock), systemClock)
  return (request, response) => {
    const { method = 'GET', url: path = '/', rawHeaders } = request
    const attempt = kept.send(
      {
        ...{ method, path, host: `127.0.0.1:${port}`, headers: withoutHost(passed(rawHeaders)) },
        ...{ body: null, bodyBytes: null, trailers: null, upgrade: null },
      },
      {
        informational: () => undefined,
        head: (status, headers) => void response.writeHead(status, passed(headers) as string[]),
        body: (chunk) => {
          if (response.write(chunk)) return true
          response.once('drain', () => attempt.resume())
          return false
        },
        end: () => void response.end(),
        upgraded: () => response.destroy(),
        failed: () => response.destroy(),
      },
      false,
    )
  }
}

function withoutHost(headers: readonly string[]): readonly string[] {
  return headers.filter((_, index) => headers[index - (index % 2)]!.toLowerCase() !== 'host')
}

function overUndici(port: number): Relay {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: connectionsMax, pipelining: 1 })
  return (request, response) => {
    const { method = 'GET', url = '/' } = request
    const body = method === 'GET' || method === 'HEAD' ? null : request
    pool.dispatch(
      { method, path: url, headers: passed(request.rawHeaders), body },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, status, headers) => void response.writeHead(status, passed(headers)),
        onResponseData: (controller, chunk) => {
          if (response.write(chunk)) return
          controller.pause()
          response.once('drain', () => controller.resume())
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    )
  }
}

/** A list of names and values in turn, or an object, as it came. */
function passed<Headers extends readonly string[] | object>(headers: Headers): Headers {
  if (Array.isArray(headers)) {
    return headers.filter((_, index) => !hopByHop.has(String(headers[index - (index % 2)]).toLowerCase())) as never
  }
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name))) as Headers
}

function overNode(port: number): Relay {
  const agent = new HttpAgent({ keepAlive: true, maxSockets: connectionsMax })
  return (request, response) => {
    const { method, url, headers } = request
    const onward = requestHttp({ host: '127.0.0.1', port, method, path: url, headers: passed(headers), agent })
    onward.on('error', () => response.destroy())
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode!, passed(answer.rawHeaders))
      answer.pipe(response)
    })
    request.pipe(onward)
  }
}

async function overLibrary(name: string, port: number, folder: string): Promise<Relay> {
  const path = createRequire(join(folder, 'package.json')).resolve(name)
  const module = (await import(pathToFileURL(path).href)) as Partial<ProxyLibrary> & { readonly default?: ProxyLibrary }
  const createProxyServer = module.createProxyServer ?? module.default!.createProxyServer
  const agent = new HttpAgent({ keepAlive: true, maxSockets: connectionsMax })
  const proxy = createProxyServer({ target: `http://127.0.0.1:${port}`, agent })
  proxy.on('error', (_error: Error, _request: IncomingMessage, response: ServerResponse) => response.destroy())
  return (request, response) => void proxy.web(request, response)
}

async function relayOf(part: Part, port: number, folder: string): Promise<Relay> {
  if (part === 'own client') return overOwn(port)
  if (part === 'undici dispatch') return overUndici(port)
  return part === 'node:http' ? overNode(port) : overLibrary(part, port, folder)
}

async function serve([part = '', port = '', folder = '']: readonly string[]): Promise<void> {
  const server = createServer({ keepAliveTimeout: 60_000 }, await relayOf(part as Part, Number(port), folder))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reply = (value: PartReply) => process.send!(value)
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    reply({ cpuMs: (user + system) / 1000 })
  })
  process.on('disconnect', () => process.exit())
  reply({ port: (server.address() as AddressInfo).port })
}

if (import.meta.main) await serve(process.argv.slice(2))
