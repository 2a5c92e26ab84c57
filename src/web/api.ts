import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { displayName, type Person } from '../identity/person.ts'
import { hasScope, usualScopes, type Scope } from '../identity/scopes.ts'
import type { SignIn, Token } from '../identity/store.ts'
import { Fault } from '../kernel/fault.ts'
import type { SignInId, TokenId } from '../kernel/ids.ts'
import { isoTime } from '../kernel/time.ts'
import { body, caller, checked, type Caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import { accessRoutes } from './api-access.ts'
import { campaignRoutes } from './api-campaigns.ts'
import { reviewRoutes } from './api-reviews.ts'
import { statementRoutes } from './api-statements.ts'
import { reportApiRoutes } from './api-reports.ts'
import { openApiRoute } from './openapi.ts'
import { postgresRoutes } from './api-postgres.ts'
import { sshRoutes } from './api-ssh.ts'
import { peerAddress, type WebContext } from './context.ts'
import { createRateLimit } from './rate-limit.ts'
import type { Site } from './site.ts'

const { apiPath } = schema
const pollMs = 1500
const usualTokenMs = 8 * 3_600_000

/** The API under /api/v1; see api-schema.ts. */
export function apiRoutes(site: Site): void {
  loginRoutes(site)
  meRoutes(site)
  tokenRoutes(site)
  sshRoutes(site)
  postgresRoutes(site)
  auditRoutes(site)
  accessRoutes(site)
  reviewRoutes(site)
  statementRoutes(site)
  campaignRoutes(site)
  reportApiRoutes(site)
  openApiRoute(site)
  site.open('GET', `${apiPath}/keys`, async (c) => {
    await caller(site, c, 'any')
    return c.json(site.deps.publicKeys())
  })
}

function loginRoutes(site: Site): void {
  const { identity, clock, random } = site.deps
  const starts = createRateLimit(clock, { burst: 30, perMs: 4000 })
  const polls = createRateLimit(clock, { burst: 120, perMs: 500 })
  const redeemed = createRedeemed()

  site.open('POST', `${apiPath}/login`, async (c) => {
    starts.take(peerAddress(c))
    const { application } = await body(c, schema.loginAsk)
    const secret = Buffer.from(random.bytes(32)).toString('base64url')
    const signIn = await identity.inBand.begin({
      purpose: 'cli',
      address: peerAddress(c),
      application,
      resource: null,
      role: null,
      secretHash: sha256(secret).toString('base64url'),
    })
    const { id, code, expiresAt } = signIn
    const link = identity.inBand.link(signIn).href
    return c.json({ id, secret, code, link, expiresAt: isoTime(expiresAt), intervalMs: pollMs }, 201)
  })

  site.open('POST', `${apiPath}/login/poll`, async (c) => {
    polls.take(peerAddress(c))
    const { id, secret } = await body(c, schema.loginPoll)
    const signIn = await identity.inBand.byId(id as SignInId)
    if (signIn === undefined || !holdsSecret(signIn, secret)) throw new Fault('NOT_FOUND', 'There is no such sign-in.')
    if (signIn.state === 'refused') throw new Fault('SIGN_IN_REFUSED', 'The sign-in was refused on the page.')
    const over = clock.now() >= signIn.expiresAt || redeemed.has(signIn.id)
    if (over) throw new Fault('SIGN_IN_TIMED_OUT', 'The sign-in is over.', { hint: 'Log in again.' })
    if (signIn.state === 'waiting') return c.json({ state: 'waiting' }, 202)
    redeemed.add(signIn.id, signIn.expiresAt, clock.now())
    return c.json(await redeem(site, signIn))
  })
}

/** Each sign-in gives one token. Remembered until the sign-in itself is over, which is minutes. */
function createRedeemed() {
  const untilById = new Map<SignInId, number>()
  return {
    has: (id: SignInId) => untilById.has(id),
    add(id: SignInId, until: number, now: number) {
      for (const [other, end] of untilById) if (end <= now) untilById.delete(other)
      untilById.set(id, until)
    },
  }
}

async function redeem({ deps }: Site, signIn: SignIn): Promise<z.output<typeof schema.loginDone>> {
  const person = signIn.person === null ? undefined : await deps.identity.person(signIn.person)
  if (person === undefined || signIn.browserSession === null) {
    throw new Fault('STORE_FAILED', 'The state does not know who answered this sign-in.')
  }
  const confirmedBy = { credential: signIn.browserSession, browserSession: signIn.browserSession }
  if (!(await deps.identity.stands({ person: person.id, personName: displayName(person), ...confirmedBy }))) {
    throw new Fault('SIGNED_OUT', 'The person who confirmed has signed out since.')
  }
  const lengthMs = Math.min(deps.settings.cliSessionMs, deps.identity.tokens.lengthMsMax)
  const wish = { label: signIn.application, kind: 'cli', lengthMs, by: confirmedBy } as const
  const made = await deps.identity.tokens.make(person, wish)
  return { token: made.text, person: personJson(person), expiresAt: isoTime(made.token.expiresAt) }
}

function meRoutes(site: Site): void {
  const { identity, access, settings } = site.deps
  site.open('GET', `${apiPath}/me`, async (c) => {
    const { person, token } = await caller(site, c, 'any')
    return c.json({
      person: personJson(person),
      gateway: settings.gateway,
      reviewer: access.isReviewer(person),
      operator: access.isOperator(person),
      token: tokenJson(token),
      tokenMsMax: identity.tokens.lengthMsMax,
    })
  })
  site.open('POST', `${apiPath}/logout`, async (c) => {
    const { person, token } = await caller(site, c, 'any')
    await identity.own.revoke(person, token.id)
    return c.body(null, 204)
  })
}

function tokenRoutes(site: Site): void {
  const { identity, clock } = site.deps
  site.open('GET', `${apiPath}/tokens`, async (c) => {
    const { person } = await caller(site, c, 'tokens')
    const { tokens } = await identity.own.list(person.id)
    const living = tokens.filter((token) => token.endedAt === null && clock.now() < token.expiresAt)
    return c.json({ tokens: living.toSorted((left, right) => right.createdAt - left.createdAt).map(tokenJson) })
  })
  site.open('POST', `${apiPath}/tokens`, async (c) => {
    const { person, token } = await caller(site, c, 'tokens')
    const { label, ...wish } = await body(c, schema.tokenWish)
    const lengthMs = wish.lengthMs ?? Math.min(usualTokenMs, identity.tokens.lengthMsMax)
    const scopes = notMoreThan(token, wish.scopes ?? usualScopes)
    const by = { credential: token.id, browserSession: null }
    const made = await identity.tokens.make(person, { label, kind: 'access', lengthMs, scopes, by })
    return c.json({ text: made.text, token: tokenJson(made.token) }, 201)
  })
  site.app.delete(`${apiPath}/tokens/:id`, async (c) => {
    c.set('route', `${apiPath}/tokens/:id`)
    const { person } = await caller(site, c, 'tokens')
    const id = c.req.param('id')
    if (!id.startsWith('token-')) throw new Fault('NOT_FOUND', 'There is no such token of yours.')
    await identity.own.revoke(person, id as TokenId)
    return c.body(null, 204)
  })
}

/** A token makes no other that may do more than itself. */
function notMoreThan({ scopes }: Token, wanted: readonly Scope[]): readonly Scope[] {
  const [beyond] = wanted.filter((scope) => !hasScope(scopes, scope))
  if (beyond === undefined) return wanted
  throw new Fault('NOT_ALLOWED', `A token that may not do “${beyond}” itself cannot make one that may.`, {
    hint: 'Use a token with that scope, or log in with: curfew login',
  })
}

function auditRoutes(site: Site): void {
  const { audit } = site.deps
  site.open('GET', `${apiPath}/audit`, async (c) => {
    await reviewer(site, c)
    const { after, limit } = checked(schema.auditQuery, c.req.query())
    const [events, head] = await Promise.all([audit.events(after, limit), audit.head()])
    return c.json({ events, head })
  })
  site.open('GET', `${apiPath}/audit/checkpoints`, async (c) => {
    await reviewer(site, c)
    return c.json({ checkpoints: await audit.checkpoints() })
  })
}

/** Reading the audit log is a fact in it, once per token and half hour. */
async function reviewer(site: Site, c: WebContext): Promise<Caller> {
  const known = await caller(site, c, 'audit:read')
  if (!site.deps.access.isReviewer(known.person)) throw new Fault('NOT_ALLOWED', 'The audit log is for reviewers.')
  await site.auditor.noteRead(known, peerAddress(c))
  return known
}

function personJson(person: Person): z.output<typeof schema.loginDone>['person'] {
  const { id, kind = 'person', email, name, groups } = person
  return { id, kind, displayName: displayName(person), email, name, groups: [...groups] }
}

function tokenJson(token: Token): z.output<typeof schema.token> {
  const { id, label, kind, scopes, createdAt, expiresAt, lastUsedAt } = token
  const lastUsed = lastUsedAt === null ? null : isoTime(lastUsedAt)
  const times = { createdAt: isoTime(createdAt), expiresAt: isoTime(expiresAt), lastUsedAt: lastUsed }
  return { id, label, kind, scopes: [...scopes], ...times }
}

function holdsSecret(signIn: SignIn, secret: string): boolean {
  if (signIn.purpose !== 'cli' || signIn.secretHash === null) return false
  const expected = Buffer.from(signIn.secretHash, 'base64url')
  const given = sha256(secret)
  return expected.length === given.length && timingSafeEqual(expected, given)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
