// Goal: who waits for an approval goes on by itself when it comes, is told why when it will not, and leaves nothing: no
// session, and no request at the target.
// Method: the real curl with `Prefer: wait=60`, over HTTP/1.1 and HTTP/2, and a real browser on the page of its request; what
// happens is what really happens, through the door that people use.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Request } from '../../src/access/states.ts'
import type { FaultCode } from '../../src/kernel/fault.ts'
import { faultStatus } from '../../src/kernel/fault-status.ts'
import { curlAnswer } from '../clients/curl.ts'
import type { Program } from '../clients/program.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { causes } from './causes.ts'
import { endGrant } from './on-record.ts'

const hourMs = 3_600_000
const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway

beforeAll(async () => {
  gateway = stack.use(
    await startHttpTestGateway({
      configure: (config) => {
        config.identity.refreshEvery = '1s'
        // Long enough for all that shall happen before.
        config.access = { requestFor: '6s' }
      },
    }),
  )
})
afterEach(async () => {
  const { access } = gateway.gateway
  const alice = await gateway.person('alice')
  for (const { id, state } of await access.requestsOf(alice, 50))
    if (state === 'requested') await access.cancel(alice, id)
  for (const { id } of await access.livingGrants(alice.id)) await endGrant(gateway, id)
})
afterAll(() => stack.disposeAsync())

interface EndOfWaiting {
  readonly name: string
  readonly code: FaultCode
  readonly says: RegExp
  /** Of `Prefer`; absent: a minute. */
  readonly waitS?: number
  /** @returns what puts the world right again. */
  readonly happen: (request: Request) => Promise<(() => Promise<unknown>) | void>
}

const endsOfWaiting: readonly EndOfWaiting[] = [
  { name: 'denial', code: 'REQUEST_DENIED', says: /^Your request was refused: not on a Friday$/, happen: deny },
  { name: 'a lock', code: 'LOCKED', says: /stolen laptop/, happen: () => happen('a lock') },
  { name: 'leaving the group', code: 'POLICY_CHANGED', says: /groups/, happen: () => happen('leaving the group') },
  { name: 'revoking the token', code: 'SIGNED_OUT', says: /signed out/, happen: revokeTokens },
  {
    name: 'its own wish',
    code: 'REQUEST_WAIT_OVER',
    says: /^Nobody approved within 1/,
    waitS: 1,
    happen: () => Promise.resolve(),
  },
  { name: 'the stop of the gateway', code: 'SHUTTING_DOWN', says: /shutting down/, happen: () => gateway.restart() },
]

const asksAgain: ReadonlySet<FaultCode> = new Set(['REQUEST_DENIED', 'REQUEST_WAIT_OVER'] as const)

describe.each(['--http1.1', '--http2'])('a program that waits, with %s', (version) => {
  test('goes on by itself when it is approved', async () => {
    await using waiting = await wait(version)
    await gateway.gateway.access.decide(await gateway.person('bob'), waiting.request.id, 'approve', '')
    expect(await curlAnswer(waiting.program)).toMatchObject({ status: 200, body: 'hello\n', exit: 0 })
  })

  test.each(endsOfWaiting)('is ended by $name', async ({ code, says, waitS, happen: makeHappen }) => {
    const before = await traces()
    await using waiting = await wait(version, waitS)
    const cleanUp = await makeHappen(waiting.request)
    try {
      const { status, body, exit } = await curlAnswer(waiting.program)
      expect({ status, exit }).toEqual({ status: faultStatus[code], exit: 0 })
      expect(JSON.parse(body)).toMatchObject({
        code,
        detail: expect.stringMatching(says) as string,
        hint: expect.stringMatching(/\w/) as string,
        ...(asksAgain.has(code) && { link: expect.stringContaining('/ask?resource=app&role=asked') as string }),
      })
    } finally {
      await cleanUp?.()
    }
    expect(await traces()).toEqual(before)
  })

  test('that has gone away leaves nothing when it is approved', async () => {
    const before = await traces()
    await using waiting = await wait(version)
    waiting.program.kill('SIGKILL')
    await waiting.program.exited()
    await gateway.gateway.access.decide(await gateway.person('bob'), waiting.request.id, 'approve', '')
    // Whoever asks now is let in, after whatever the approval may have set off.
    expect(await gateway.curl('/hello', await words())).toMatchObject({ status: 200 })
    expect(await traces()).toEqual({ sessions: before.sessions + 1, requests: before.requests + 1 })
  })
})

// Method: the time is over at once, as Node tells it: by the event `timeout` of the connection.
test.each(['--http1.1', '--http2'])('who waits is not taken for one that is silent, with %s', async (version) => {
  using came = connections(Number(gateway.url.port))
  // A header that makes the request no plain one: those are not told of.
  await using waiting = await wait(version, 60, 'TE: trailers')
  expect(came.all.size).toBeGreaterThan(0)
  for (const connection of came.all) connection.emit('timeout')
  await gateway.gateway.access.decide(await gateway.person('bob'), waiting.request.id, 'approve', '')
  expect(await curlAnswer(waiting.program)).toMatchObject({ status: 200, body: 'hello\n', exit: 0 })
})

test('a program that waits is told that nobody decided in time', async () => {
  await using waiting = await wait('--http2')
  const { status, body } = await curlAnswer(waiting.program)
  expect({ status, ...(JSON.parse(body) as object) }).toMatchObject({ status: 409, code: 'REQUEST_LAPSED' })
})

test('a WebSocket that waits goes on by itself when it is approved', async () => {
  const request = await ask()
  const opening = untilRefusedOnce(async () => {
    const headers = { ...(await gateway.bearer('alice', 'asked')), prefer: 'wait=60' }
    return { opened: gateway.webSocket('/ws/echo', { headers }) }
  })
  const { opened } = await opening
  await gateway.gateway.access.decide(await gateway.person('bob'), request.id, 'approve', '')
  await using webSocket = await opened
  expect(await webSocket.ask('still there?')).toBe('still there?')
})

describe('a browser on the page of its request', () => {
  test('goes on to where it wanted to go when it is approved', async () => {
    const page = await waitInBrowser()
    await decide('approve', '')
    await page.waitForURL(gateway.appUrl('/page').href)
    await expect.poll(() => page.locator('#script').textContent()).toBe('a script ran')
    await page.context().close()
  })

  test('reads that it was refused', async () => {
    const page = await waitInBrowser()
    // Who hears the page is told only if this stays the same element.
    const said = await page.locator('main [role=status]').elementHandle()
    await decide('deny', 'not on a Friday')
    await page.getByText('not on a Friday').waitFor()
    expect(page.url()).toContain('/requests/request-')
    expect(await said?.evaluate((element) => element.isConnected && element.textContent)).toMatch(
      /refused\s+Refused by/,
    )
    await page.context().close()
  })
})

interface Waiting extends AsyncDisposable {
  readonly request: Request
  readonly program: Program
}

async function wait(version: string, waitS = 60, ...more: readonly string[]): Promise<Waiting> {
  const headers = [`prefer: wait=${waitS}`, ...more].flatMap((header) => ['-H', header])
  const args = [version, ...headers, ...(await words())]
  const request = await ask()
  const { program } = await untilRefusedOnce(() => Promise.resolve({ program: gateway.startCurl('/hello', args) }))
  return { request, program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
}

/** Sockets and sessions of HTTP/2 by which requests come to this port, as Node tells of them. */
function connections(port: number): Disposable & { readonly all: ReadonlySet<EventEmitter> } {
  const all = new Set<EventEmitter>()
  const add = (one: EventEmitter, at: number | undefined) => void (at === port && all.add(one))
  const onRequest = (start: unknown) => {
    const { socket } = (start as { readonly request: IncomingMessage }).request
    add(socket, socket.localPort)
  }
  const onStream = (start: unknown) => {
    const session = (start as { readonly stream: ServerHttp2Stream }).stream.session!
    add(session, session.socket.localPort)
  }
  subscribe('http.server.request.start', onRequest)
  subscribe('http2.server.stream.start', onStream)
  const stop = () => {
    unsubscribe('http.server.request.start', onRequest)
    unsubscribe('http2.server.stream.start', onStream)
  }
  return { all, [Symbol.dispose]: stop }
}

async function words(): Promise<readonly string[]> {
  return Object.entries(await gateway.bearer('alice', 'asked')).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
}

async function ask(): Promise<Request> {
  const wish = { resource: 'app', role: 'asked', lengthMs: hourMs, reason: 'the disk is full', origin: 'test' }
  return gateway.gateway.access.ask(await gateway.person('alice'), { ...wish, ticket: null, startsAt: null })
}

/** Who waits was refused first, which is on record. */
async function untilRefusedOnce<T>(start: () => Promise<T>): Promise<T> {
  const before = await lastRefusal()
  const started = await start()
  await expect.poll(lastRefusal, { timeout: 10_000, interval: 10 }).toBeGreaterThan(before)
  return started
}

async function lastRefusal(): Promise<number> {
  const [last] = await gateway.gateway.state.audit.search({ types: ['session.refused'], text: 'NO_GRANT', limit: 1 })
  return last?.sequence ?? 0
}

async function waitInBrowser(): Promise<Page> {
  const page = await gateway.page('alice')
  await page.goto(gateway.appUrl('/page').href)
  await page.getByLabel('Ask app as asked').click()
  await page.locator('textarea[name=reason], input[name=reason]').fill('the disk is full')
  await page.locator('main form button[type=submit], main form button').last().click()
  await page.waitForURL(/\/requests\/request-/)
  return page
}

async function decide(verdict: 'approve' | 'deny', comment: string): Promise<void> {
  const bob = await gateway.person('bob')
  const [open] = await gateway.gateway.access.toDecide(bob)
  await gateway.gateway.access.decide(bob, open!.request.id, verdict, comment)
}

/** What somebody who only waits leaves nowhere: sessions, and requests at the target. */
async function traces() {
  const sessions = await gateway.gateway.state.sessions.sessions({ limit: 1000 })
  return { sessions: sessions.length, requests: gateway.target.facts().requestsSeen }
}

function deny(): Promise<void> {
  return decide('deny', 'not on a Friday')
}

/** A cause that touches the person, and needs no session to end. */
async function happen(name: 'a lock' | 'leaving the group') {
  const none = undefined as never
  return causes.find((cause) => cause.name === name)!.happen({ gateway, grant: none, session: none })
}

async function revokeTokens(): Promise<void> {
  const alice = await gateway.person('alice')
  const { own } = gateway.gateway.identity
  for (const { id } of (await own.list(alice.id)).tokens) await own.revoke(alice, id)
}
