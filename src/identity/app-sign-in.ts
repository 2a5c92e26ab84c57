import { Fault } from '../kernel/fault.ts'
import type { BrowserSessionId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { later } from '../kernel/time.ts'
import { appReturnTo } from './app-return.ts'
import { AppVisitors } from './app-visitors.ts'
import type { AppPlace, AppSignIn, AppVisitor } from './apps.ts'
import { appCookieName, wayCookiePrefix } from './apps.ts'
import type { IdentityDeps } from './deps.ts'
import { isLive } from './endings.ts'
import { displayName } from './person.ts'
import type { Seal } from './seal.ts'
import { createSeal } from './seal.ts'
import { SeenOnce } from './seen-once.ts'

/** Long enough to wait for an approver until tomorrow. */
const wayMs = 24 * 3_600_000
const ticketMs = 60_000
/** Of what we seal, the way with the longest path is the longest. */
const sealedCharsMax = 4096
const wayNameChars = 8

interface Over {
  /** The first instant outside. */
  readonly until: Instant
}
interface Way extends Over {
  readonly state: string
  readonly returnTo: string
}
interface Ticket extends Over {
  readonly state: string
  readonly browserSession: BrowserSessionId
  readonly role: string
  readonly signedInUntil: Instant
}
interface Entry extends Over {
  readonly browserSession: BrowserSessionId
  readonly role: string
  readonly entry: string
}

type Cookies = (name: string) => string | undefined
type Deps = Pick<IdentityDeps, 'store' | 'changes' | 'clock' | 'random' | 'dataKey' | 'metrics'>

/** Disposing it ends its subscription to changes. */
export function createAppSignIn(deps: Deps): AppSignIn & Disposable {
  const { store, clock, random, metrics } = deps
  const ways = sealOf<Way>('application way')
  const tickets = sealOf<Ticket>('application ticket')
  const entries = sealOf<Entry>('application sign-in')
  const used = new SeenOnce(clock, ticketMs)
  const visitors = new AppVisitors(clock)
  const feed = deps.changes.subscribe((change) => visitors.apply(change))

  return {
    begin(place, returnTo) {
      const state = secret(32)
      const value = ways.close(place, { state, returnTo: appReturnTo(returnTo, place.host), until: inMs(wayMs) })
      return { state, cookie: { name: wayName(state), value, maxAgeS: wayMs / 1000 } }
    },

    ticket({ browserSession }, place, role, state) {
      const { id, expiresAt: signedInUntil } = browserSession
      return tickets.close(place, { state, browserSession: id, role, signedInUntil, until: inMs(ticketMs) })
    },

    enter(place, text, cookies) {
      const { ticket, way } = redeem(place, text, cookies)
      metrics.add('curfew_sign_ins_total', { way: 'application', outcome: 'ok' })
      const { browserSession, role, signedInUntil: until } = ticket
      const value = entries.close(place, { browserSession, role, entry: secret(16), until })
      const maxAgeS = Math.max(0, Math.floor((until - clock.now()) / 1000))
      return { cookie: { name: appCookieName, value, maxAgeS }, done: wayName(way.state), returnTo: way.returnTo }
    },

    visitor(place, cookie) {
      if (cookie === undefined) return undefined
      const seen = visitors.get(place, cookie)
      if (seen !== undefined) return seen
      const entry = entries.open(place, cookie)
      return entry && ask(place, cookie, entry)
    },

    lately: (place, cookie) => (cookie === undefined ? undefined : visitors.get(place, cookie)),

    forget: (browserSession) => visitors.forget(browserSession),
    [Symbol.dispose]: () => feed[Symbol.dispose](),
  }

  function redeem(place: AppPlace, text: string, cookies: Cookies): { readonly ticket: Ticket; readonly way: Way } {
    const ticket = tickets.open(place, text)
    if (ticket === undefined) throw failed('This link is over, or was made for another application')
    const way = ways.open(place, cookies(wayName(ticket.state)))
    if (way?.state !== ticket.state) throw failed('This sign-in was not begun in this browser, or is over')
    if (!used.first(ticket.state)) throw failed('This link was used before')
    return { ticket, way }
  }

  async function ask(place: AppPlace, cookie: string, entry: Entry): Promise<AppVisitor | undefined> {
    const remember = visitors.asking(place, cookie)
    const session = await store.browserSession(entry.browserSession)
    if (session === undefined || !isLive(session, clock.now())) return undefined
    const person = await store.person(session.person)
    if (person === undefined) return undefined
    const { id } = session
    const identified = { person: person.id, personName: displayName(person), credential: id, browserSession: id }
    const visitor = { identified, person, role: entry.role, entry: entry.entry }
    remember(visitor, entry.until)
    return visitor
  }

  function failed(message: string): Fault {
    metrics.add('curfew_sign_ins_total', { way: 'application', outcome: 'SIGN_IN_FAILED' })
    return new Fault('SIGN_IN_FAILED', message, { hint: 'Open the application again.' })
  }

  /** What is sealed for one place opens at no other: resource and host are its associated data. */
  function sealOf<Value extends Over>(purpose: string) {
    const seal = createSeal(deps.dataKey, purpose, random)
    return {
      close: (place: AppPlace, value: Value) => seal.close(JSON.stringify(value), contextOf(place)),
      open: (place: AppPlace, sealed: string | undefined) => opened<Value>(seal, place, sealed, clock.now()),
    }
  }

  function inMs(lengthMs: number): Instant {
    return later(clock.now(), lengthMs)
  }

  function secret(lengthBytes: number): string {
    return Buffer.from(random.bytes(lengthBytes)).toString('base64url')
  }
}

/** Undefined when it is not ours, for another place, or over. */
function opened<Value extends Over>(
  seal: Seal,
  place: AppPlace,
  sealed: string | undefined,
  at: Instant,
): Value | undefined {
  if (sealed === undefined || sealed.length > sealedCharsMax) return undefined
  const text = seal.open(sealed, contextOf(place))
  if (text === undefined) return undefined
  const value = JSON.parse(text) as Value // sealed, so we wrote it
  return at < value.until ? value : undefined
}

function contextOf({ resource, host }: AppPlace): string {
  return JSON.stringify([resource, host])
}

function wayName(state: string): string {
  return `${wayCookiePrefix}${state.slice(0, wayNameChars)}`
}
