import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Listening } from '../kernel/listening.ts'
import type { Log } from '../kernel/log.ts'
import type { PublishedMetrics } from './metrics.ts'

/** Whether new sessions can be served; `problems` says in words why not. */
export interface Readiness {
  readonly ok: boolean
  readonly problems: readonly string[]
}

export interface OpsDeps {
  readonly metrics: Pick<PublishedMetrics, 'text'>
  readonly ready: () => Promise<Readiness>
  readonly log: Log
}

/** A balancer that gets no answer takes the node out, too; this is only so that it learns why. */
const readyMsMax = 5000

/**
 * Plain HTTP for machines: `/healthz` (the process answers), `/readyz` (it can serve; 503 with reasons when not),
 * `/metrics` (Prometheus).
 * @throws system errors such as EADDRINUSE as they are.
 */
export async function listenOps(at: { address: string; port: number }, deps: OpsDeps): Promise<Listening> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192 })
  server.maxConnections = 100
  server.on('request', (request, response) => {
    request.resume() // bodies mean nothing here
    answer(request.method ?? '', request.url ?? '', deps, response).catch((error: unknown) => {
      deps.log.error({ error, path: request.url }, 'ops request failed')
      if (response.headersSent) response.destroy()
      else send(response, 500, 'text/plain', 'internal error\n')
    })
  })
  server.listen(at.port, at.address)
  await once(server, 'listening')
  server.on('error', (error) => deps.log.error({ error }, 'ops: a connection could not be accepted'))
  const { address, port } = server.address() as AddressInfo
  return { address, port, [Symbol.asyncDispose]: () => close(server) }
}

async function answer(method: string, url: string, deps: OpsDeps, response: ServerResponse): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'text/plain', 'GET only\n')
  switch (url.split('?', 1)[0]) {
    case '/healthz':
      return sendJson(response, 200, { ok: true })
    case '/readyz': {
      const readiness = await inTime(deps.ready)
      return sendJson(response, readiness.ok ? 200 : 503, readiness)
    }
    case '/metrics':
      return send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', await deps.metrics.text())
    default:
      return send(response, 404, 'text/plain', 'There are /healthz, /readyz and /metrics.\n')
  }
}

async function inTime(ready: OpsDeps['ready']): Promise<Readiness> {
  const late = Promise.withResolvers<Readiness>()
  const timer = setTimeout(() => late.resolve({ ok: false, problems: ['the check takes too long'] }), readyMsMax)
  try {
    return await Promise.race([ready(), late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`)
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(body)
}

/** Answers that are being written are finished, if that takes no longer than this. */
const closeMsMax = 1000

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  const timer = setTimeout(() => server.closeAllConnections(), closeMsMax)
  await closed
  clearTimeout(timer)
}
