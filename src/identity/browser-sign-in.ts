import { auditEvent, refusalData, theGateway } from '../audit/event.ts'
import { asFault, Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { later } from '../kernel/time.ts'
import { plainAddress } from './address.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, endBrowserSession, endEverything, isBrowsers, isLive } from './endings.ts'
import { FailureLimit } from './failure-limit.ts'
import { Flows } from './flow.ts'
import { secretHash } from './hash.ts'
import type { BrowserSignIn, Visitor } from './identity.ts'
import { newPerson, updatePerson } from './people.ts'
import type { Person } from './person.ts'
import type { LogoutToken, OidcClient, Vouched } from './provider.ts'
import { safeReturnTo } from './return-to.ts'
import type { Seal } from './seal.ts'
import { createSeal } from './seal.ts'
import { SeenOnce } from './seen-once.ts'
import type { BrowserSession, IdentityTx } from './store.ts'

const tokenLengthMax = 16_384
const userAgentLengthMax = 256
const logoutReplayMs = 10 * 60_000
const minuteMs = 60_000
const refusalsAuditedPerMinute = 10

type From = Parameters<BrowserSignIn['complete']>[2]

/** Somebody whom the provider vouched for, in a browser that may hold a session already. */
interface Arrival {
  readonly vouched: Vouched
  /** Of a new session. */
  readonly cookie: string
  readonly from: From
  readonly at: Instant
  readonly present: Visitor | undefined
}

/** @param refreshTokens seals what the provider gives for later. */
export function createBrowserSignIn(deps: IdentityDeps, provider: OidcClient, refreshTokens: Seal): BrowserSignIn {
  const { clock, random, store, settings, publicUrl, metrics } = deps
  const flows = new Flows(createSeal(deps.dataKey, 'sign-in flow', random), random, clock)
  const refuse = refusals(deps)
  const logoutsSeen = new SeenOnce(clock, logoutReplayMs)

  return {
    async begin(returnTo) {
      const flow = flows.begin(safeReturnTo(returnTo, publicUrl))
      const redirect = await provider.authorizationUrl(flow).catch(refuse('browser', null))
      return { redirect, flowCookie: flows.cookie(flow) }
    },

    placeOfLate: (flowCookie) => flows.placeOfLate(flowCookie),

    async complete(callback, flowCookie, from) {
      const flow = flows.take(flowCookie)
      const vouched = await redeem(callback, flow).catch(refuse('browser', plainAddress(from.address)))
      const cookie = Buffer.from(random.bytes(32)).toString('base64url')
      const at = clock.now()
      const present = await visitor(from.sessionCookie)
      const keptUntil = await store.transact((tx) => admit(tx, { vouched, cookie, from, at, present }))
      metrics.add('curfew_sign_ins_total', { way: 'browser', outcome: 'ok' })
      const returnTo = flow?.returnTo ?? '/'
      return keptUntil === null
        ? { sessionCookie: cookie, expiresInMs: settings.sessionMs, returnTo }
        : { sessionCookie: from.sessionCookie!, expiresInMs: keptUntil - at, returnTo }
    },

    visitor,

    async signOut({ person, browserSession }: Visitor) {
      await store.transact(async (tx) => {
        for (const session of [browserSession, ...(await besides(tx, person, browserSession))]) {
          await endBrowserSession(tx, person, session, clock.now(), 'sign-out')
        }
      })
      return provider.endSessionUrl(browserSession.idToken)
    },

    async backChannelLogout(logoutToken) {
      const told = await checkedLogout(logoutToken).catch(refuse('back-channel-logout', null))
      try {
        await store.transact((tx) => signOutAsTold(tx, told, clock.now()))
      } catch (error) {
        logoutsSeen.forget(told.jti) // providers send the same token again
        throw error
      }
    },
  }

  async function visitor(sessionCookie: string | undefined): Promise<Visitor | undefined> {
    if (sessionCookie === undefined || sessionCookie === '') return undefined
    const browserSession = await store.browserSessionBySecret(secretHash(sessionCookie))
    if (browserSession === undefined || !isBrowsers(browserSession)) return undefined
    if (!isLive(browserSession, clock.now())) return undefined
    const person = await store.person(browserSession.person)
    return person === undefined ? undefined : { person, browserSession }
  }

  async function redeem(callback: URL, flow: ReturnType<Flows['take']>): Promise<Vouched> {
    if (flow === undefined) {
      throw new Fault('SIGN_IN_FAILED', 'This sign-in was not begun in this browser, took too long or is over')
    }
    return provider.redeem(callback.searchParams, flow)
  }

  /** @returns until when the session that the browser had goes on; null for a new one. */
  async function admit(tx: IdentityTx, { vouched, cookie, from, at, present }: Arrival): Promise<Instant | null> {
    const person = await save(tx, vouched, at)
    const had = present?.browserSession
    const isSame = present?.person.id === person.id && had?.providerSession === vouched.providerSession
    if (had !== undefined && isSame) return had.expiresAt
    if (present !== undefined && present.person.id !== person.id) {
      await endBrowserSession(tx, present.person, present.browserSession, at, 'sign-in as somebody else')
    }
    const id = random.id('browser')
    const { refreshToken } = vouched
    await tx.insertBrowserSession({
      id,
      person: person.id,
      secretHash: secretHash(cookie),
      providerSession: vouched.providerSession,
      idToken: vouched.idToken,
      sealedRefreshToken: refreshToken === null ? null : refreshTokens.close(refreshToken, id),
      address: plainAddress(from.address),
      userAgent: from.userAgent.slice(0, userAgentLengthMax),
      createdAt: at,
      expiresAt: later(at, settings.sessionMs),
      endedAt: null,
    })
    const data = { way: 'browser', browserSession: id, address: plainAddress(from.address), groups: person.groups }
    await tx.record(auditEvent('person.signed-in', at, actorOf(person), data))
    return null
  }

  async function save(tx: IdentityTx, vouched: Vouched, at: Instant): Promise<Person> {
    const known = await tx.personBySubject(vouched.issuer, vouched.subject)
    if (known !== undefined) return updatePerson(tx, known, vouched.profile, at)
    const person = newPerson(random.id('person'), vouched, vouched.profile, at)
    await tx.savePerson(person)
    return person
  }

  async function checkedLogout(logoutToken: string): Promise<LogoutToken> {
    if (logoutToken.length > tokenLengthMax) throw new Fault('SIGN_IN_FAILED', 'The logout token is too long')
    const told = await provider.logoutToken(logoutToken)
    if (logoutsSeen.first(told.jti)) return told
    throw new Fault('SIGN_IN_FAILED', 'The logout token was used before')
  }
}

/** Tabs that came back from the provider at the same time made a session each, and the browser holds the last one only. */
async function besides(tx: IdentityTx, person: Person, { id, providerSession }: BrowserSession) {
  const all = providerSession === null ? [] : await tx.browserSessionsByProvider(person.issuer, providerSession)
  return all.filter((one) => one.id !== id && one.person === person.id && isBrowsers(one))
}

/** With `sid`: that one session. Without: everything of that person. */
async function signOutAsTold(tx: IdentityTx, told: LogoutToken, at: Instant): Promise<void> {
  const { issuer, subject, providerSession } = told
  const named = subject === null ? undefined : await tx.personBySubject(issuer, subject)
  if (providerSession === null) {
    if (named !== undefined) await endEverything(tx, named, at, 'provider sign-out')
    return
  }
  const meant = await tx.browserSessionsByProvider(issuer, providerSession)
  const about = named ?? (meant[0] && (await tx.person(meant[0].person)))
  const unnamed = await unnamedSessions(tx, about)
  // Access tokens often leave it out, whatever the ID tokens do.
  const also = unnamed.filter((session) => !isBrowsers(session))
  for (const session of meant.length > 0 ? [...meant, ...also] : unnamed) {
    const person = await tx.person(session.person)
    if (person === undefined || (subject !== null && subject !== person.subject)) continue
    // One that has run out ends, too: database sessions may still hang on it.
    await endBrowserSession(tx, person, session, at, 'provider sign-out')
  }
}

/** A provider that leaves `sid` out of its ID tokens could mean any of the person's sessions. */
async function unnamedSessions(tx: IdentityTx, person: Person | undefined): Promise<readonly BrowserSession[]> {
  const all = person === undefined ? [] : await tx.browserSessionsOf(person.id)
  return all.filter(({ providerSession, endedAt }) => providerSession === null && endedAt === null)
}

type Refuse = (way: 'browser' | 'back-channel-logout', address: string | null) => (error: unknown) => Promise<never>

/** Counts, logs and records why a sign-in failed, then throws it on. Nobody fills the audit log by failing. */
function refusals({ store, clock, log, metrics }: IdentityDeps): Refuse {
  const limit = new FailureLimit(clock, refusalsAuditedPerMinute, minuteMs)
  return (way, address) => async (error) => {
    const fault = asFault(error)
    if (fault === undefined) throw error
    metrics.add('curfew_sign_ins_total', { way, outcome: fault.code })
    log.warn({ way, address, code: fault.code }, fault.message)
    if (limit.count(address ?? way)) {
      const data = { way, ...(address !== null && { address }), ...refusalData(fault.code, fault.message) }
      const event = auditEvent('person.sign-in-refused', clock.now(), theGateway, data)
      await store.transact((tx) => tx.record(event))
    }
    throw fault
  }
}
