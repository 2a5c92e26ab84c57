// Goal: whatever goes on at an application, and whatever ends it, nothing passes any more: clients read why wherever HTTP
// lets the gate say it, and see as broken what was cut; nothing goes on at the target, the recording is sealed and has the
// end of each request, and whoever comes next is told why and how to get in again.
// Method: a table of cause x situation. All situations of a cause happen at once, each in a session of its own, with the real
// curl, ws and HTTP/2; a further connection of each session is idle meanwhile, and asks when the session is over.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Grant } from '../../src/access/states.ts'
import type { TokenId } from '../../src/kernel/ids.ts'
import { appCookieName } from '../../src/identity/apps.ts'
import { readCookie } from '../../src/kernel/cookies.ts'
import type { FaultCode } from '../../src/kernel/fault.ts'
import { faultStatus } from '../../src/kernel/fault-status.ts'
import { httpTimeline, type HttpExchange } from '../../src/recording/http-timeline.ts'
import { openRecording } from '../../src/recording/reading.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { KeptConnection, type KeptAnswer } from '../clients/kept-connection.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { causes, type Cause } from './causes.ts'
import {
  httpSituations,
  seenBy,
  sum,
  type HttpEntered,
  type HttpFarewell,
  type HttpSituation,
} from './http-situations.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'

/** Long enough to reach every situation in. */
const shortGrantMs = 6000
const hourMs = 3_600_000
const hello = { status: 200, body: 'hello\n' }
const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let entries = 0
/** By situation: tokens outlive causes. */
const tokens = new Map<HttpSituation, Credential>()

beforeAll(async () => {
  const data = await makeDataFolder(stack)
  gateway = stack.use(
    await startHttpTestGateway({
      configure: (config) => {
        config.gateway.data = data
        config.recording = { minFree: '32MiB' }
        config.identity.refreshEvery = '1s'
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

const httpCauses: readonly Cause[] = [
  ...causes,
  {
    name: 'ending the sign-in of the browser',
    code: 'SIGNED_OUT',
    cameBy: 'browser',
    ends: 'one session',
    happen: async ({ gateway: at, session }) => {
      const row = await at.gateway.state.sessions.session(session)
      await at.gateway.identity.own.revoke(await at.person('alice'), row!.session.credential)
    },
  },
  {
    ...causes.find(({ code }) => code === 'GRANT_REVOKED')!,
    name: 'revoking the grant of browsers',
    cameBy: 'browser',
  },
  { ...causes.find(({ code }) => code === 'KILLED')!, name: 'an operator, for browsers', cameBy: 'browser' },
]

/** One situation that one cause has ended. */
interface Case {
  readonly situation: HttpSituation
  readonly mark: string
  readonly headers: Readonly<Record<string, string>>
  readonly grant: Grant
  readonly row: SessionRow
  readonly open: number
  readonly end: HttpFarewell
  readonly endedAt: number
  /** Over the connection that was idle. Null: nobody asked. */
  readonly next: { readonly asProgram: KeptAnswer; readonly asPerson: KeptAnswer } | null
}

describe.each(httpCauses)('by $name', (cause) => {
  const needsRoot = cause.code === 'RECORDING_FAILED'
  const run = !needsRoot || isRoot
  let cases: ReadonlyMap<HttpSituation, Promise<Case>>

  beforeAll(async () => {
    if (run) cases = await cutOff(cause)
  })

  test.skipIf(!run).each(httpSituations)('$name is cut off', async (situation) => {
    const one = await cases.get(situation)!
    expectWords(one, cause)
    if (cause.code === 'GRANT_EXPIRED') expect(one.endedAt).toBeGreaterThanOrEqual(one.grant.expiresAt)
    nothingGoesOn(one)
    const { message } = await expectOnRecord(gateway, one.row, cause)
    await expectRecorded(one, cause, message)
    expectToldNext(one, cause, message)
  })
})

async function cutOff(cause: Cause): Promise<ReadonlyMap<HttpSituation, Promise<Case>>> {
  const grant = await gateway.httpGrant('alice', 'open', cause.grantMs === undefined ? hourMs : shortGrantMs)
  await using inside = new AsyncDisposableStack()
  inside.defer(() => endGrant(gateway, grant.id))
  const browser = cause.cameBy === 'browser' ? await signInByBrowser(inside) : null
  const entered = httpSituations.map(async (situation) =>
    enter(situation, browser ?? (await bearer(situation)), inside),
  )
  await Promise.allSettled(entered)
  const sessions = new Set(await Promise.all(entered.map((one) => one.then(({ row }) => row.session.id))))
  for (const session of cause.ends === 'one session' ? sessions : [...sessions].slice(0, 1)) {
    const cleanUp = await cause.happen({ gateway, grant, session })
    inside.defer(async () => void (await cleanUp?.()))
  }
  const cases = entered.map(async (one) => ended(grant, cause, await one))
  await Promise.allSettled(cases)
  await gateway.target.until(({ requests, webSockets }) => requests === 0 && webSockets === 0)
  if (cause.name === 'revoking the token') tokens.clear()
  return new Map(httpSituations.map((situation, index) => [situation, cases[index]!]))
}

interface Entered extends HttpEntered {
  readonly situation: HttpSituation
  readonly mark: string
  readonly headers: Credential['headers']
  /** A connection of the session that is idle between requests. */
  readonly kept: KeptConnection
  readonly row: SessionRow
}

interface Credential {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
}

async function enter(
  situation: HttpSituation,
  { id, headers }: Credential,
  inside: AsyncDisposableStack,
): Promise<Entered> {
  const mark = `mark-${++entries}`
  const kept = inside.use(new KeptConnection(gateway.ca))
  const first = await kept.ask(gateway.appUrl('/hello'), headers)
  expect(first).toMatchObject(hello)
  const { open, farewell } = await situation.enter({ gateway, headers, mark, stack: inside })
  const live = await gateway.gateway.state.sessions.sessions({ live: true, limit: 100 })
  const row = live.find(({ session }) => session.credential === id)
  expect(row, 'the session is live').toBeDefined()
  return { situation, mark, headers, kept, open, farewell, row: row! }
}

async function ended(grant: Grant, cause: Cause, { kept, farewell, ...one }: Entered): Promise<Case> {
  const end = await farewell()
  const endedAt = Date.now()
  // Whoever shows many bad tokens is refused without a look at them.
  if (cause.name === 'revoking the token' && one.situation !== httpSituations[0]) {
    return { ...one, grant, end, endedAt, next: null }
  }
  const ask = (headers: Credential['headers']) =>
    kept.ask(gateway.appUrl(`/hello?after=${one.mark}`), { ...one.headers, ...headers })
  const asProgram = await ask({ accept: 'application/json' })
  const asPerson = await ask({ accept: 'text/html', 'sec-fetch-mode': 'navigate' })
  return { ...one, grant, end, endedAt, next: { asProgram, asPerson } }
}

/** A session of its own for each situation. */
async function bearer(situation: HttpSituation): Promise<Credential> {
  const known = tokens.get(situation)
  // After a sign-out everywhere the provider refuses to refresh old sign-ins, and that ends a person's tokens, too, somewhat later.
  const still = known && (await gateway.gateway.state.identity.token(known.id as TokenId))
  if (known !== undefined && still?.endedAt === null) return known
  const token = await newToken()
  tokens.set(situation, token)
  return token
}

async function newToken(): Promise<Credential> {
  const { tokens: made } = gateway.gateway.identity
  const wish = { label: 'test', kind: 'access', lengthMs: hourMs } as const
  const { text, token } = await made.make(await gateway.person('alice'), wish)
  return { id: token.id, headers: { authorization: `Bearer ${text}`, 'curfew-role': 'open' } }
}

/** One session for all. */
async function signInByBrowser(inside: AsyncDisposableStack): Promise<Credential> {
  const { cookie } = inside.use(await gateway.enter('alice', 'open'))
  const place = { resource: 'app', host: gateway.appUrl().host }
  const visitor = await gateway.gateway.identity.apps.visitor(place, readCookie(cookie, appCookieName))
  return { id: visitor!.identified.credential, headers: { cookie, origin: gateway.appUrl().origin } }
}

function expectWords({ situation, end }: Case, { code }: Cause): void {
  for (const { status, problem } of end.told) {
    expect(status).toBe(faultStatus[code])
    expect(problem).toMatchObject({ code, status, hint: expect.stringMatching(/\w/) as string })
  }
  if (situation.says === 'answers') expect(end.told.length).toBeGreaterThan(0)
  if (situation.says === 'close') expect(end.closed).toMatchObject({ code: 1008 })
  else if (end.closed !== undefined) expect([1006, 1008]).toContain(end.closed.code)
}

/** What was under way is broken off, and who asked afterwards and was told why did not get through. */
function nothingGoesOn({ mark, next }: Case): void {
  const { seen, webSockets } = gateway.target
  for (const { state } of seenBy(seen, mark)) expect(state).toBe('broken')
  for (const { url, closed } of webSockets) if (url.endsWith(`mark=${mark}`)) expect(closed).not.toBeNull()
  expect(seen.some(({ url }) => url.endsWith(`after=${mark}`))).toBe(next?.asProgram.status === 200)
}

/** Each request that was under way stands there as ended by the gate, and no byte passed that is not counted. */
async function expectRecorded({ row, open, end, mark }: Case, { code }: Cause, message: string): Promise<void> {
  const exchanges = await exchangesOf(row)
  const cut = exchanges.filter(({ request }) => request?.url.endsWith(`mark=${mark}`))
  // On a disk that is full the last lines may not have found room.
  if (code === 'RECORDING_FAILED' && cut.length < open) return
  expect(cut).toHaveLength(open)
  for (const { result, ...how } of cut) {
    expect(result).toBe('gate')
    expect(how).toMatchObject({ code, why: message })
  }
  expect(end.bytes).toBeLessThanOrEqual(sum(cut.map(({ bytesDown }) => bytesDown!)))
  const arrived = sum(seenBy(gateway.target.seen, mark).map(({ bodyBytes }) => bodyBytes))
  expect(arrived).toBeLessThanOrEqual(sum(cut.map(({ bytesUp }) => bytesUp!)))
}

async function exchangesOf({ recording }: SessionRow): Promise<readonly HttpExchange[]> {
  await using file = await openRecording(join(gateway.config.gateway.dataFolder, 'recordings', recording!))
  const exchanges: HttpExchange[] = []
  for await (const item of httpTimeline(file.events())) if (item.kind === 'exchange') exchanges.push(item.exchange)
  return exchanges
}

type Next = 'in again' | 'to sign in' | FaultCode

/** What whoever comes next meets. Browsers are told until their people have come in again through the gateway's pages. */
function nextAfter({ code, cameBy }: Cause): Next {
  if (code === 'SHUTTING_DOWN') return 'in again'
  if (cameBy === 'browser') return code === 'SIGNED_OUT' ? 'to sign in' : code
  if (code === 'SIGNED_OUT') return 'TOKEN_REFUSED'
  if (code === 'RECORDING_FAILED') return 'DISK_FULL'
  return code === 'KILLED' ? 'in again' : code
}

/** The next request over the connection that was idle, and the next page. */
function expectToldNext({ next }: Case, cause: Cause, message: string): void {
  if (next === null) return
  const { asProgram, asPerson } = next
  const expected = nextAfter(cause)
  expect(asProgram.reused).toBe(cause.code !== 'SHUTTING_DOWN')
  if (expected === 'in again') {
    for (const { status, body } of [asProgram, asPerson]) expect({ status, body }).toEqual(hello)
    return
  }
  const code = expected === 'to sign in' ? 'SIGN_IN_REQUIRED' : expected
  expect(asProgram).toMatchObject({
    status: faultStatus[code],
    headers: { 'content-type': 'application/problem+json' },
  })
  expect(JSON.parse(asProgram.body)).toMatchObject({ code })
  const wayIn = `${gateway.url.origin}/open/app?`
  if (expected === 'to sign in') {
    expect(asPerson).toMatchObject({ status: 303, headers: { location: expect.stringContaining(wayIn) as string } })
    return
  }
  expect(asPerson).toMatchObject({ status: faultStatus[code], headers: { 'content-type': 'text/html; charset=utf-8' } })
  if (code !== cause.code) return
  expect(asPerson.body).toContain(`<h1>${message}</h1>`)
  if (code !== 'LOCKED') expect(asPerson.body).toContain(`href="${wayIn}`)
}

test('until people come in again by the link on the page, their browser is told why they are out', async () => {
  const first = await gateway.httpGrant('alice', 'open')
  await using browser = await gateway.enter('alice', 'open')
  const { access } = gateway.gateway
  await access.revoke(await gateway.person('olga'), first.id, 'incident')
  const load = async () => {
    const response = await browser.visitor.get(gateway.appUrl('/hello'))
    return { status: response.status, body: await response.text() }
  }
  const told = { status: 403, body: expect.stringContaining('was revoked by olga@shop.example: incident') as string }
  expect(await load()).toEqual(told)
  const second = await gateway.httpGrant('alice', 'open')
  const page = await load()
  expect(page).toEqual(told)
  const [, link = ''] = /href="([^"]*\/open\/app\?[^"]*)"/.exec(page.body) ?? []
  const landed = await browser.visitor.open(new URL(link.replaceAll('&amp;', '&')), 'alice')
  expect(landed).toEqual({ url: gateway.appUrl('/hello'), ...hello })
  expect(await load()).toEqual(hello)
  await endGrant(gateway, second.id)
})

test('of every cut it is on record how long it took', async () => {
  const { audit } = gateway.gateway.state
  const events = await audit.search({ types: ['session.ended'], limit: 1000 })
  const ends = events.map(
    ({ json }) => (JSON.parse(json) as { data: { by: string; cutLatencyMs: number | null } }).data,
  )
  const cuts = ends.filter(({ by }) => by === 'gate')
  expect(cuts.length).toBeGreaterThan(0)
  for (const { cutLatencyMs } of cuts) expect(cutLatencyMs).toBeGreaterThanOrEqual(0)
})
