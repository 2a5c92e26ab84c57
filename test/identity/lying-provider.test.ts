import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { Fault } from '../../src/kernel/fault.ts'
import type { ProviderFetch } from '../../src/identity/provider-fetch.ts'
import { startLyingProvider } from '../servers/lying-oidc.ts'
import type { Lies, LyingProvider } from '../servers/lying-oidc.ts'
import { client } from '../servers/oidc.ts'
import { from, openIdentity } from './open.ts'
import type { Opened } from './open.ts'

let provider: LyingProvider
let room: Opened
const nowS = () => Math.floor(Date.now() / 1000)

beforeAll(async () => {
  provider = await startLyingProvider(client.clientSecret)
  room = await openIdentity(provider.issuer)
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
beforeEach(() => {
  provider.lies = {}
  room.clock.pass(60_000) // so that no case is kept out of the audit log by those before it
})

async function signIn(lies: Lies) {
  const { redirect, flowCookie } = await room.identity.browser.begin('/')
  const callback = provider.answer(redirect)
  provider.lies = lies
  return room.identity.browser.complete(callback, flowCookie, from)
}

test('the truth is believed, and only once', async () => {
  const { sessionCookie } = await signIn({})
  expect((await room.identity.browser.visitor(sessionCookie))?.person.groups).toEqual(['engineering'])
})

describe('a lie signs nobody in', () => {
  const cases: readonly [string, Lies][] = [
    ['a signature by a stranger', { signature: 'stranger' }],
    ['a payload changed after signing', { signature: 'payload changed' }],
    ['no signature (alg none)', { signature: 'none' }],
    ['an HMAC with the client secret', { signature: 'client secret' }],
    ['an unknown key', { header: { kid: 'never-published' } }],
    ['another issuer', { claims: { iss: 'http://127.0.0.1:1' } }],
    ['another audience', { claims: { aud: 'somebody-else' } }],
    ['several audiences for another party', { claims: { aud: ['curfew', 'other'], azp: 'other' } }],
    ['another nonce', { claims: { nonce: 'n' } }],
    ['no nonce', { claims: { nonce: undefined } }],
    ['expired', { claims: { iat: nowS() - 4000, exp: nowS() - 3600 } }],
    ['no expiry', { claims: { exp: undefined } }],
    ['issued in the future', { claims: { iat: nowS() + 3600, exp: nowS() + 7200 } }],
    ['not valid yet', { claims: { nbf: nowS() + 3600 } }],
    ['no subject', { claims: { sub: undefined } }],
    ['userinfo about somebody else', { claims: { groups: undefined }, userInfo: { sub: 'ada' } }],
    ['groups that are no list of names', { claims: { groups: [{ name: 'security' }] } }],
    ['a token endpoint that refuses', { fail: { path: '/token', status: 400, body: '{"error":"invalid_grant"}' } }],
    ['an answer that is not JSON', { fail: { path: '/token', status: 200, body: '<html>' } }],
    ['an endless answer', { fail: { path: '/token', status: 200, body: ' '.repeat(300_000) } }],
  ]

  test.for(cases)('%s', async ([, lies]) => {
    const before = room.changes.length
    const events = (await room.audited('person.sign-in-refused')).length
    const signedIn = (await room.audited('person.signed-in')).length
    await expect(signIn(lies)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
    const refusals = await room.audited('person.sign-in-refused')
    expect(refusals).toHaveLength(events + 1)
    expect(refusals.at(-1)?.data).toMatchObject({ way: 'browser', code: 'SIGN_IN_FAILED', address: from.address })
    expect(room.changes).toHaveLength(before)
    expect(await room.audited('person.signed-in')).toHaveLength(signedIn)
  })
})

test('a provider that hangs is given up on after five seconds', async () => {
  const startedAt = performance.now()
  await expect(signIn({ hang: '/token' })).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  expect(performance.now() - startedAt).toBeGreaterThan(4500)
  expect(performance.now() - startedAt).toBeLessThan(7000)
  expect((await room.audited('person.sign-in-refused')).at(-1)?.data).toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
})

test.for(['/.well-known/openid-configuration', '/token', '/jwks', '/userinfo'] as const)(
  'a provider that hangs at %s is unreachable',
  async (hang) => {
    const inAHurry: ProviderFetch = (url, options) => {
      const signal = AbortSignal.any([options?.signal ?? [], AbortSignal.timeout(200)].flat())
      return fetch(url, { ...options, signal })
    }
    await using own = await openIdentity(provider.issuer, {}, { fetch: inAHurry })
    const complete = async () => {
      if (hang.startsWith('/.well-known')) provider.lies = { hang }
      const { redirect, flowCookie } = await own.identity.browser.begin('/')
      provider.lies = { hang, claims: hang === '/userinfo' ? { email: undefined } : {} }
      return own.identity.browser.complete(provider.answer(redirect), flowCookie, from)
    }
    await expect(complete()).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
    expect(await own.audited('person.signed-in')).toEqual([])
  },
)

test('a provider that fails (5xx) is unreachable, not a liar', async () => {
  const fail = { path: '/token', status: 503, body: '{}' }
  await expect(signIn({ fail })).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
})

test('a key that was rotated a moment ago is fetched', async () => {
  await signIn({})
  await signIn({ rotate: true })
})

test('an address in the ID token is nobody’s when userinfo says that nobody verified it', async () => {
  const address = { email: 'erin@example.test', email_verified: undefined }
  const { sessionCookie } = await signIn({ claims: address, userInfo: { email_verified: false } })
  expect((await room.identity.browser.visitor(sessionCookie))?.person.email).toBeNull()
})

test('what the ID token leaves out comes from userinfo, an unverified e-mail from nowhere', async () => {
  const left = { email: undefined, groups: undefined }
  const { sessionCookie } = await signIn({ claims: left, userInfo: { groups: ['support'], email_verified: false } })
  const visitor = await room.identity.browser.visitor(sessionCookie)
  expect(visitor?.person).toMatchObject({ groups: ['support'], email: null })
})

describe('logout tokens', () => {
  const logout = async (lies: Lies) => {
    provider.lies = lies
    return room.identity.browser.backChannelLogout(await provider.logoutToken())
  }

  const forged: readonly [string, Lies][] = [
    ['a signature by a stranger', { signature: 'stranger' }],
    ['no signature', { signature: 'none' }],
    ['an HMAC with the client secret', { signature: 'client secret' }],
    ['another issuer', { logout: { iss: 'http://127.0.0.1:1' } }],
    ['another audience', { logout: { aud: 'somebody-else' } }],
    ['a nonce', { logout: { nonce: 'n' } }],
    ['no event', { logout: { events: {} } }],
    ['no events', { logout: { events: undefined } }],
    ['no jti', { logout: { jti: undefined } }],
    ['nobody', { logout: { sub: undefined, sid: undefined } }],
    ['another type', { header: { typ: 'at+jwt' } }],
    ['issued long ago', { logout: { iat: nowS() - 3600, exp: nowS() + 60 } }],
    ['issued in the future', { logout: { iat: nowS() + 3600, exp: nowS() + 7200 } }],
    ['expired', { logout: { exp: nowS() - 600 } }],
  ]

  test.for(forged)('forged: %s', async ([, lies]) => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({})
    await expect(logout(lies)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
    expect(await room.identity.browser.visitor(sessionCookie)).toBeDefined()
  })

  test('good, by session; a replay does nothing', async () => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({ claims: { sid: 'provider-2' } })
    const { sessionCookie: other } = await signIn({ claims: { sid: 'provider-3' } })
    provider.lies = { logout: { sid: 'provider-2' } }
    const token = await provider.logoutToken()
    await room.identity.browser.backChannelLogout(token)
    expect(await room.identity.browser.visitor(sessionCookie)).toBeUndefined()
    expect(await room.identity.browser.visitor(other)).toBeDefined()
    await expect(room.identity.browser.backChannelLogout(token)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
  })

  test('good, and heard again when the state could not be written', async () => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({ claims: { sid: 'provider-7' } })
    provider.lies = { logout: { sid: 'provider-7' } }
    const token = await provider.logoutToken()
    const failure = new Fault('STORE_FAILED', 'The disk is full')
    vi.spyOn(room.state.identity, 'transact').mockRejectedValueOnce(failure)
    await expect(room.identity.browser.backChannelLogout(token)).rejects.toBe(failure)
    await room.identity.browser.backChannelLogout(token)
    expect(await room.identity.browser.visitor(sessionCookie)).toBeUndefined()
  })

  test('good, by a session that has run out: what still hangs on it ends', async () => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({ claims: { sid: 'provider-4' } })
    const visitor = await room.identity.browser.visitor(sessionCookie)
    room.clock.pass(12 * 3_600_000)
    expect(await room.identity.browser.visitor(sessionCookie)).toBeUndefined()
    await logout({ logout: { sid: 'provider-4', iat: nowS() + 12 * 3600, exp: nowS() + 13 * 3600 } })
    const { person, browserSession } = visitor!
    expect(room.changes.at(-1)).toEqual({ kind: 'signed-out', person: person.id, browserSession: browserSession.id })
  })

  test('good, by a session that the ID token did not name: those of the person without a name end', async () => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({ claims: { sid: undefined } })
    const { sessionCookie: other } = await signIn({ claims: { sid: 'provider-5' } })
    await logout({ logout: { sid: 'provider-6' } })
    expect(await room.identity.browser.visitor(sessionCookie)).toBeUndefined()
    expect(await room.identity.browser.visitor(other)).toBeDefined()
  })

  test('good, by person: everything ends', async () => {
    room.clock.jump(Date.now() - room.clock.now())
    const { sessionCookie } = await signIn({})
    const visitor = await room.identity.browser.visitor(sessionCookie)
    await logout({ logout: { sid: undefined } })
    expect(await room.identity.browser.visitor(sessionCookie)).toBeUndefined()
    expect(room.changes.at(-1)).toEqual({ kind: 'signed-out', person: visitor?.person.id, browserSession: null })
  })
})
