/** What an HTTP session may be doing when its end comes. */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Problem } from '../../src/kernel/problem.ts'
import { curlAnswer, type CurlAnswer } from '../clients/curl.ts'
import type { Program } from '../clients/program.ts'
import { thisMachine } from '../clients/visitor.ts'
import { type TestWebSocket } from '../clients/web-socket.ts'
import type { HttpTestGateway } from '../servers/http-gateway.ts'
import type { SeenRequest } from '../servers/http-target.ts'

export interface HttpEntry {
  readonly gateway: HttpTestGateway
  /** Who sends the requests: `authorization` and the like, or `cookie`. */
  readonly headers: Readonly<Record<string, string>>
  /** In every URL and as the user agent, so that both ends are found again. */
  readonly mark: string
  readonly stack: AsyncDisposableStack
}

export interface HttpEntered {
  /** Requests that are under way: the recording must have as many that the gate ended. */
  readonly open: number
  /** Waits for the end of all of them. @throws Error when something that was cut looks whole. */
  readonly farewell: () => Promise<HttpFarewell>
}

export interface HttpFarewell {
  /** Answers of the gate itself. */
  readonly told: readonly Told[]
  /** Of a WebSocket. */
  readonly closed?: { readonly code: number; readonly reason: string }
  /** Of the target's answers: what came of their bodies. */
  readonly bytes: number
}

export interface Told {
  readonly status: number
  readonly problem: Problem
}

export interface HttpSituation {
  readonly name: string
  /** Where HTTP lets the gate say why: an answer, or a Close. Otherwise it can only break off what began. */
  readonly says: 'answers' | 'close' | 'nothing'
  readonly enter: (entry: HttpEntry) => Promise<HttpEntered>
}

// Each at a pace that leaves room for the others: gateway, target and some clients share a process.
const drip = '/drip?n=1000000000&piece=5000&everyMs=20'
const pace = ['--limit-rate', '1M']
const known = '/bytes?n=100000000000'

export const httpSituations: readonly HttpSituation[] = [
  { name: 'a download of unknown length', says: 'nothing', enter: (entry) => download(entry, drip, '--http1.1') },
  { name: 'a download of known length', says: 'nothing', enter: (entry) => download(entry, known, '--http1.1') },
  {
    name: 'a download over HTTP/1.0',
    says: 'nothing',
    enter: (entry) => download(entry, drip, '--http1.0', '--no-alpn'),
  },
  { name: 'a download over HTTP/2', says: 'nothing', enter: (entry) => download(entry, known, '--http2') },
  { name: 'a download that nobody reads', says: 'nothing', enter: unread },
  { name: 'an answer that has only begun', says: 'nothing', enter: (entry) => download(entry, '/hang-body') },
  { name: 'an upload in pieces', says: 'answers', enter: (entry) => upload(entry, '/dev/zero') },
  { name: 'an upload of known length', says: 'answers', enter: uploadOfKnownLength },
  { name: 'an upload that the target reads slowly', says: 'answers', enter: uploadSlow },
  { name: 'an event stream', says: 'nothing', enter: (entry) => download(entry, '/sse', '--http1.1') },
  { name: 'a request without an answer yet', says: 'answers', enter: (entry) => unanswered(entry, '--http1.1') },
  { name: 'one without an answer yet on a kept connection', says: 'answers', enter: keptUnanswered },
  { name: 'one whose answer has only begun there', says: 'nothing', enter: keptBegun },
  { name: 'one without an answer yet over HTTP/2', says: 'answers', enter: (entry) => unanswered(entry, '--http2') },
  { name: 'an idle WebSocket', says: 'close', enter: idleWebSocket },
  { name: 'a WebSocket that is busy both ways', says: 'close', enter: busyWebSocket },
  { name: 'a WebSocket whose client does not read', says: 'nothing', enter: unreadWebSocket },
  { name: 'twenty streams of HTTP/2 at once', says: 'answers', enter: streams },
]

// ---- curl

function curl(entry: HttpEntry, path: string, ...args: readonly string[]): Program {
  const { gateway, headers, mark, stack } = entry
  const own = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  return stack.use(gateway.startCurl(marked(path, mark), ['-N', '-A', mark, ...own, ...args]))
}

function marked(path: string, mark: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}mark=${mark}`
}

/** Partial file, failure in receiving, HTTP/2 stream not closed cleanly: what scripts look at. */
const brokenExits = [18, 56, 92]

async function download(entry: HttpEntry, path: string, ...args: readonly string[]): Promise<HttpEntered> {
  const program = curl(entry, path, ...pace, ...args)
  await program.until(/\S/)
  return {
    open: 1,
    farewell: async () => {
      const { status, exit, error, bytes } = await curlAnswer(program)
      if (status !== 200 || !brokenExits.includes(exit ?? 0))
        throw looksWhole(`status ${status}, exit ${exit}, ${error}`)
      return { told: [], bytes }
    },
  }
}

async function upload(entry: HttpEntry, file: string): Promise<HttpEntered> {
  const program = curl(entry, '/upload', '--http1.1', '-T', file, ...pace)
  await atTarget(entry, ({ bodyBytes }) => bodyBytes > 0)
  return answered(program)
}

async function uploadOfKnownLength(entry: HttpEntry): Promise<HttpEntered> {
  return upload(entry, await sparseFile(entry))
}

/** All that lies between has filled up. */
async function uploadSlow(entry: HttpEntry): Promise<HttpEntered> {
  const program = curl(entry, '/upload?everyMs=20', '--http1.1', '-T', await sparseFile(entry), '--limit-rate', '4M')
  await atTarget(entry, ({ bodyBytes }) => bodyBytes > 0)
  return answered(program)
}

/** 100 GB without a block on the disk. */
async function sparseFile({ gateway, mark }: HttpEntry): Promise<string> {
  const file = join(gateway.folder, `${mark}.big`)
  await using handle = await open(file, 'w')
  await handle.truncate(100e9)
  return file
}

async function unanswered(entry: HttpEntry, ...args: readonly string[]): Promise<HttpEntered> {
  const program = curl(entry, '/hang', ...args)
  await atTarget(entry, () => true)
  return answered(program)
}

/** The client gets an answer, and it is the gate's. */
function answered(program: Program): HttpEntered {
  return { open: 1, farewell: async () => ({ told: [toldBy(await curlAnswer(program))], bytes: 0 }) }
}

function toldBy({ status, headers, body, exit, error }: CurlAnswer): Told {
  if (exit !== 0) throw new Error(`curl read no answer: exit ${exit}, ${error}, status ${status}, ${body}`)
  return told(status, headers['content-type']?.[0], body)
}

function told(status: number, type: string | undefined, body: string): Told {
  if (type !== 'application/problem+json') throw new Error(`an answer of the target's, ${status}: ${body}`)
  return { status, problem: JSON.parse(body) as Problem }
}

// ---- behind another request: the quick way, whose session is there already

async function kept(entry: HttpEntry, path: string): Promise<ClientRequest> {
  const { gateway, headers, mark, stack } = entry
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca, lookup: thisMachine })
  stack.defer(() => agent.destroy())
  const ask = (wanted: string, as: string) =>
    httpsRequest(gateway.appUrl(wanted), { agent, headers: { ...headers, 'user-agent': as } }).end()
  const [first] = (await once(ask('/hello', 'the first'), 'response')) as [IncomingMessage]
  await text(first)
  const request = ask(marked(path, mark), mark)
  request.on('error', () => undefined) // shows in the answer
  await atTarget(entry, ({ url }) => url.startsWith(path))
  if (!request.reusedSocket) throw new Error('the connection was not kept')
  return request
}

async function keptUnanswered(entry: HttpEntry): Promise<HttpEntered> {
  const answer = once(await kept(entry, '/hang'), 'response') as Promise<[IncomingMessage]>
  return {
    open: 1,
    farewell: async () => {
      const [response] = await answer
      const { statusCode = 0, headers } = response
      return { told: [told(statusCode, headers['content-type'], await text(response))], bytes: 0 }
    },
  }
}

async function keptBegun(entry: HttpEntry): Promise<HttpEntered> {
  const [response] = (await once(await kept(entry, '/hang-body'), 'response')) as [IncomingMessage]
  const read = text(response).then(
    () => 'whole',
    () => 'broken',
  )
  return {
    open: 1,
    farewell: async () => {
      if ((await read) === 'whole') throw looksWhole('the answer is complete')
      return { told: [], bytes: 0 }
    },
  }
}

// ---- a client that stops reading

async function unread(entry: HttpEntry): Promise<HttpEntered> {
  const { gateway, headers, mark, stack } = entry
  const request = httpsRequest(gateway.appUrl(marked('/endless', mark)), {
    ...{ agent: false, ca: gateway.ca, lookup: thisMachine },
    headers: { ...headers, 'user-agent': mark },
  })
  stack.defer(() => void request.destroy())
  request.on('error', () => undefined) // shows in the answer
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  const closed = new Promise((resolve) => response.once('close', resolve))
  return {
    open: 1,
    farewell: async () => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => (bytes += chunk.length))
      await closed
      if (response.complete) throw looksWhole('the answer is complete')
      return { told: [], bytes }
    },
  }
}

// ---- WebSockets

async function webSocket({ gateway, headers, mark, stack }: HttpEntry, path: string): Promise<TestWebSocket> {
  // Uncompressed, what the client counts is never more than what came over the wire.
  const wish = { headers: { ...headers, 'user-agent': mark }, deflate: false }
  return stack.use(await gateway.webSocket(marked(path, mark), wish))
}

function closed(client: TestWebSocket): HttpEntered {
  return {
    open: 1,
    farewell: async () => ({ told: [], closed: await client.untilClosed(), bytes: client.receivedBytes }),
  }
}

async function idleWebSocket(entry: HttpEntry): Promise<HttpEntered> {
  return closed(await webSocket(entry, '/ws/silent'))
}

async function busyWebSocket(entry: HttpEntry): Promise<HttpEntered> {
  const client = await webSocket(entry, '/ws/tick?everyMs=1')
  const message = Buffer.alloc(1000)
  const timer = setInterval(() => client.send(message), 1)
  entry.stack.defer(() => clearInterval(timer))
  await client.untilReceived(10)
  return closed(client)
}

async function unreadWebSocket(entry: HttpEntry): Promise<HttpEntered> {
  const client = await webSocket(entry, '/ws/flood')
  client.socket.pause()
  const { open, farewell } = closed(client)
  return {
    open,
    farewell: () => {
      client.socket.resume()
      return farewell()
    },
  }
}

// ---- HTTP/2

interface Stream {
  readonly closed: Promise<unknown>
  readonly answer: { status: number; type: string | undefined; body: Buffer[]; ended: boolean }
  readonly stream: ClientHttp2Stream
}

async function streams(entry: HttpEntry): Promise<HttpEntered> {
  const { gateway, stack } = entry
  const connection = connectHttp2(gateway.appUrl().origin, { ca: gateway.ca, lookup: thisMachine })
  stack.defer(() => connection.destroy())
  connection.on('error', () => undefined) // shows in the streams
  const of = (count: number, path: string, method = 'GET') =>
    Array.from({ length: count }, () => ask(connection, entry, method, path))
  const downloads = of(8, '/drip?n=1000000000&piece=500&everyMs=20')
  const uploads = of(6, '/upload', 'POST')
  const waiting = of(6, '/hang')
  for (const { stream } of uploads) writeWithoutEnd(stream)
  await Promise.all(downloads.map(({ stream }) => once(stream, 'data')))
  await atTarget(entry, ({ url, bodyBytes }) => url.startsWith('/upload') && bodyBytes > 0, uploads.length)
  await atTarget(entry, ({ url }) => url.startsWith('/hang'), waiting.length)
  return {
    open: 20,
    farewell: async () => {
      await Promise.all([...downloads, ...uploads, ...waiting].map((one) => one.closed))
      for (const { answer, stream } of downloads) {
        if (answer.ended || stream.rstCode === 0) throw looksWhole(`stream ${stream.id}, code ${stream.rstCode}`)
      }
      return { told: [...uploads, ...waiting].map(toldOnStream), bytes: sum(downloads.map(bytesOf)) }
    },
  }
}

function ask(connection: ClientHttp2Session, { headers, mark }: HttpEntry, method: string, path: string): Stream {
  const fields = { ...headers, 'user-agent': mark, ':method': method, ':path': marked(path, mark) }
  const stream = connection.request(fields, { endStream: method === 'GET' })
  const answer: Stream['answer'] = { status: 0, type: undefined, body: [], ended: false }
  stream.on('response', ({ ':status': status = 0, 'content-type': type }) => Object.assign(answer, { status, type }))
  stream.on('data', (chunk: Buffer) => answer.body.push(chunk))
  stream.on('end', () => (answer.ended = !stream.aborted && stream.rstCode === 0))
  stream.on('error', () => undefined) // shows in the code
  return { stream, answer, closed: new Promise((resolve) => stream.once('close', resolve)) }
}

function writeWithoutEnd(stream: ClientHttp2Stream): void {
  const piece = Buffer.alloc(1000)
  const timer = setInterval(() => {
    if (stream.writable && !stream.writableNeedDrain) stream.write(piece)
  }, 20)
  stream.once('close', () => clearInterval(timer))
}

function toldOnStream({ answer: { status, type, body } }: Stream): Told {
  return told(status, type, Buffer.concat(body).toString())
}

function bytesOf({ answer }: Stream): number {
  return sum(answer.body.map((chunk) => chunk.length))
}

// ---- the target's end

/** Waits until so many requests of this entry are there, and `holds` of each. */
async function atTarget(
  { gateway, mark }: HttpEntry,
  holds: (request: SeenRequest) => boolean,
  count = 1,
): Promise<void> {
  const { target } = gateway
  try {
    await target.until(() => seenBy(target.seen, mark).filter(holds).length >= count)
  } catch (error) {
    const there = seenBy(target.seen, mark).map(({ url, bodyBytes, state }) => `${url} ${state} ${bodyBytes}`)
    throw new Error(`of ${count} there were only: ${there.join(', ')}`, { cause: error })
  }
}

/** What of this entry has come to the target. */
export function seenBy(seen: readonly SeenRequest[], mark: string): readonly SeenRequest[] {
  return seen.filter(({ url }) => url.endsWith(`mark=${mark}`))
}

function looksWhole(how: string): Error {
  return new Error(`what was cut looks whole: ${how}`)
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
