// Goal: only a good access token, for this gateway and of its own client, says who somebody is; and not for longer than
// their sign-in stands. Method: a provider that lies about one thing at a time.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startLyingProvider, type Lies, type LyingProvider } from '../servers/lying-oidc.ts'
import { client } from '../servers/oidc.ts'
import { from, openIdentity, type Opened } from './open.ts'

const oauth = { clientId: 'curfew-psql', audience: 'https://gw.example.test', scopes: ['openid', 'sessions'] }
const hourMs = 3_600_000
let provider: LyingProvider
let room: Opened
let address: string
let addresses = 0

beforeAll(async () => {
  provider = await startLyingProvider(client.clientSecret)
  room = await openIdentity(provider.issuer, { oauth })
  await browse()
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
beforeEach(() => {
  provider.lies = {}
  address = `198.51.100.${++addresses}` // each has its own allowance of mistakes
})

/** Erin signs in by a browser. */
async function browse(claims: Lies['claims'] = {}): Promise<void> {
  const { redirect, flowCookie } = await room.identity.browser.begin('/')
  const callback = provider.answer(redirect)
  provider.lies = { claims }
  await room.identity.browser.complete(callback, flowCookie, from)
  provider.lies = {}
}

const verify = (text: string) => room.identity.oauth!.verify(text, { address, application: 'psql' })

/** A token as the room's clock has it. */
async function token(lies: Lies = {}): Promise<string> {
  const iat = Math.floor(room.clock.now() / 1000)
  provider.lies = { ...lies, access: { iat, exp: iat + 300, ...lies.access } }
  return provider.accessToken()
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function sameBytes(one: string, other: string): boolean {
  const [left = '', right = ''] = [one, other].map((text) => text.split('.')[2]!)
  return Buffer.from(left, 'base64url').equals(Buffer.from(right, 'base64url'))
}

async function erin() {
  return (await room.state.identity.personBySubject(provider.issuer.origin, 'erin'))!
}

test('a client is told where the provider is, and what to ask it for', () => {
  const configuration = `${provider.issuer.origin}/.well-known/openid-configuration`
  expect(room.identity.oauth!.client).toEqual({ issuer: provider.issuer.origin, clientId: 'curfew-psql' })
  expect(room.identity.oauth!.discovery).toEqual({ configuration, scope: 'openid sessions' })
})

test('a client is told the name that the provider has, to the last slash', async () => {
  await using named = await startLyingProvider(client.clientSecret, '/')
  await using other = await openIdentity(named.issuer, { oauth })
  const { origin } = named.issuer
  await expect.poll(() => other.identity.oauth!.client.issuer).toBe(`${origin}/`)
  expect(other.identity.oauth!.discovery.configuration).toBe(`${origin}//.well-known/openid-configuration`)
})

test('the truth is believed; one token is one sign-in, which ends with it', async () => {
  const text = await token()
  const identified = await verify(text)
  expect(identified).toMatchObject({ person: (await erin()).id, personName: 'erin@example.test' })
  expect(await verify(text)).toEqual(identified)
  expect((await verify(await token())).credential).not.toBe(identified.credential)
  expect(await room.identity.stands(identified)).toBe(true)
  const signIn = await room.state.identity.browserSession(identified.browserSession!)
  expect(signIn).toMatchObject({ address, userAgent: 'psql (OAuth)', idToken: null })
  expect(signIn!.expiresAt - room.clock.now()).toBeLessThanOrEqual(300_000)
  // Nothing that was kept of it opens the pages.
  expect(await room.identity.browser.visitor(text)).toBeUndefined()
  expect(await room.identity.browser.visitor(`\0oauth ${text}`)).toBeUndefined()
})

describe('a lie signs nobody in', () => {
  const nowS = Math.floor(Date.now() / 1000)
  const cases: readonly [string, Lies, RegExp][] = [
    ['a signature by a stranger', { signature: 'stranger' }, /signature/],
    ['a payload changed after signing', { signature: 'payload changed' }, /signature/],
    ['no signature (alg none)', { signature: 'none' }, /algorithm|cannot|JWT/],
    ['an HMAC with the public key', { signature: 'public key' }, /algorithm/],
    ['an HMAC with the client secret', { signature: 'client secret' }, /algorithm/],
    ['an unknown key', { header: { kid: 'never-published' } }, /key/],
    ['another issuer', { access: { iss: 'http://127.0.0.1:1' } }, /issuer/],
    ['another audience', { access: { aud: 'somebody-else' } }, /audience/],
    ['the audience of ID tokens', { access: { aud: 'curfew' } }, /audience/],
    ['no audience', { access: { aud: undefined } }, /audience/],
    ['another client', { access: { client_id: 'curfew' } }, /another client/],
    ['two clients', { access: { azp: 'other' } }, /another client/],
    ['no client', { access: { client_id: undefined } }, /which client/],
    ['expired a moment ago', { access: { iat: nowS - 300, exp: nowS - 1 } }, /over/],
    ['expired long ago', { access: { iat: nowS - 4000, exp: nowS - 3600 } }, /over/],
    ['no expiry', { access: { exp: undefined } }, /until when/],
    ['no beginning', { access: { iat: undefined } }, /since when/],
    ['issued in the future', { access: { iat: nowS + 3600, exp: nowS + 7200 } }, /future/],
    ['not valid yet', { access: { nbf: nowS + 3600 } }, /does not hold yet/],
    ['no subject', { access: { sub: undefined } }, /subject/],
    ['an empty subject', { access: { sub: '' } }, /subject/],
    ['an ID token by its nonce', { access: { nonce: 'n' } }, /no access token/],
    ['an ID token by its hash', { access: { at_hash: 'h' } }, /no access token/],
    ['an ID token by its kind', { access: { typ: 'ID' }, header: { typ: 'JWT' } }, /no access token/],
    ['an ID token by its use', { access: { token_use: 'id' } }, /no access token/],
    ['a logout token', { header: { typ: 'logout+jwt' } }, /no access token/],
    ['a logout token by its events', { access: { events: {} } }, /no access token/],
    ['a token that is bound to a key', { access: { cnf: { jkt: 'x' } } }, /bound/],
  ]
  test.each(cases)('%s', async (_name, lies, why) => {
    const before = (await room.audited('person.sign-in-refused')).length
    const text = await token(lies)
    const refused = await verify(text).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'TOKEN_REFUSED', message: expect.stringMatching(why) as string })
    expect(JSON.stringify([refused, (refused as Error).message])).not.toContain(text.split('.')[1])
    const events = await room.audited('person.sign-in-refused')
    expect(events).toHaveLength(before + 1)
    expect(events.at(-1)?.data).toMatchObject({ way: 'oauth', address, code: 'TOKEN_REFUSED' })
  })

  test('what is no token at all, or too long', async () => {
    for (const text of ['', 'a', 'a.b.c', `curfew_${'A'.repeat(43)}`, '{}', `${await token()}x`]) {
      await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
    }
    const long = await token({ access: { groups: ['x'.repeat(17_000)] } })
    await expect(verify(long)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /too long/ })
  })

  test('an ID token of the same client, as the provider gives it with the access token', async () => {
    const claims = { client_id: undefined, aud: oauth.clientId, jti: undefined, scope: undefined }
    const text = await token({ access: claims, header: { typ: undefined } })
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /audience/ })
  })

  test('a token without the scope is too narrow', async () => {
    const narrow = await token({ access: { scope: 'openid' } })
    await expect(verify(narrow)).rejects.toMatchObject({ code: 'INSUFFICIENT_SCOPE', message: /sessions/ })
    await verify(await token({ access: { scope: undefined, scp: ['sessions'] } }))
  })
})

test('guessing is slowed down; one dead token again and again is not guessing', async () => {
  const dead = await token({ signature: 'stranger' })
  for (let count = 0; count < 30; count++) await expect(verify(dead)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  const good = await token()
  await verify(good)
  for (let count = 0; count < 9; count++) await verify(`no.${count}`).catch(() => undefined)
  await expect(verify(good)).rejects.toMatchObject({ code: 'RATE_LIMITED' })
})

test('who has not signed in by a browser is not known, whatever the token says of them', async () => {
  const stranger = await token({ access: { sub: 'mallory', email: 'erin@example.test', groups: ['security'] } })
  const refused = { code: 'SIGN_IN_REQUIRED', hint: /Sign in once at https:\/\/gw\.example\.test\// }
  await expect(verify(stranger)).rejects.toMatchObject(refused)
  expect(await room.state.identity.personBySubject(provider.issuer.origin, 'mallory')).toBeUndefined()
})

describe('groups', () => {
  test('come from the token where it has them, and are told to every node', async () => {
    const { seenAt } = await erin()
    await verify(await token({ access: { groups: ['engineering', 'approvers'], email: undefined } }))
    expect(await erin()).toMatchObject({ groups: ['approvers', 'engineering'], email: 'erin@example.test' })
    await room.untilChange('person-changed')
    expect((await erin()).seenAt).toBeGreaterThanOrEqual(seenAt)
    await verify(await token())
    expect((await erin()).groups).toEqual(['engineering'])
  })

  test('come from the userinfo endpoint otherwise', async () => {
    const text = await token({ access: { groups: undefined }, userInfo: { groups: ['on-call'] } })
    await verify(text)
    expect((await erin()).groups).toEqual(['on-call'])
    await verify(await token())
  })

  test('nobody else’s are taken', async () => {
    const text = await token({ access: { groups: undefined }, userInfo: { sub: 'ada', groups: ['security'] } })
    await expect(verify(text)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
    expect((await erin()).groups).toEqual(['engineering'])
  })

  test('are those of the last sign-in where nobody says, while that is fresh', async () => {
    const silent = () =>
      token({
        access: { groups: undefined },
        fail: { path: '/userinfo', status: 401, body: '{"error":"invalid_token"}' },
      })
    await verify(await silent())
    expect((await erin()).groups).toEqual(['engineering'])
    room.clock.pass(12 * hourMs)
    await expect(verify(await silent())).rejects.toMatchObject({ code: 'SIGN_IN_REQUIRED' })
    // Not known is not the same as down.
    const down = await token({
      access: { groups: undefined },
      fail: { path: '/userinfo', status: 503, body: '{}' },
    })
    await expect(verify(down)).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
    await verify(await token())
  })

  test('of a token that was issued before the provider said something else do not come back', async () => {
    const old = await token({ access: { groups: ['engineering', 'security'] } })
    room.clock.pass(1000)
    await browse()
    await verify(old)
    expect((await erin()).groups).toEqual(['engineering'])
    await verify(await token({ access: { groups: ['on-call'] } }))
    expect((await erin()).groups).toEqual(['on-call'])
    await verify(await token())
  })

  test('that are no list of names sign nobody in', async () => {
    const text = await token({ access: { groups: [{ name: 'security' }] } })
    await expect(verify(text)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
  })
})

test('an address that nobody verified does not come in by a token that leaves out whether it is', async () => {
  await browse({ email_verified: false })
  expect((await erin()).email).toBeNull()
  await verify(await token({ access: { email: 'ceo@example.test' } }))
  expect((await erin()).email).toBeNull()
  // Nor by what the userinfo endpoint says of another address.
  const [access, userInfo] = [{ email: 'ceo@example.test', groups: undefined }, { email_verified: true }]
  await verify(await token({ access, userInfo }))
  expect((await erin()).email).toBe('erin@example.test')
  await browse({ email_verified: false })
  await verify(await token({ access: { email: 'erin@example.test', email_verified: true } }))
  expect((await erin()).email).toBe('erin@example.test')
})

describe('the end', () => {
  test('a token whose sign-in was ended opens nothing any more', async () => {
    const text = await token()
    const identified = await verify(text)
    await room.identity.own.revoke(await erin(), identified.browserSession!)
    expect(await room.identity.stands(identified)).toBe(false)
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /ended/ })
  })

  test('in whatever letters its signature is written', async () => {
    const text = await token()
    const identified = await verify(text)
    await room.identity.own.revoke(await erin(), identified.browserSession!)
    // The last letter has bits that stand for nothing, and `=` may follow it.
    const [signature] = text.split('.').slice(-1)
    const same = Array.from(letters, (letter) => `${text.slice(0, -1)}${letter}`).filter((other) =>
      sameBytes(other, text),
    )
    expect(same.length).toBeGreaterThan(1)
    for (const other of [...same, `${text}==`, `${text.slice(0, -signature!.length)} ${signature}`]) {
      address = `203.0.113.${++addresses}`
      await expect(verify(other)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
    }
  })

  test('a token that is over is over, to the millisecond', async () => {
    const text = await token()
    const identified = await verify(text)
    const { expiresAt } = (await room.state.identity.browserSession(identified.browserSession!))!
    room.clock.pass(expiresAt - room.clock.now() - 1)
    expect(await verify(text)).toEqual(identified)
    room.clock.pass(1)
    expect(await room.identity.stands(identified)).toBe(false)
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /over/ })
  })

  test.each([
    ['everything', { sid: undefined }, {}],
    ['its session at the provider', {}, { sid: 'provider-1' }],
    ['a session that the token does not name', {}, {}],
  ])('the provider signs %s out', async (_what, logout, access) => {
    await browse({ iat: Math.floor(room.clock.now() / 1000), exp: Math.floor(room.clock.now() / 1000) + 300 })
    const identified = await verify(await token({ access }))
    const iat = Math.floor(room.clock.now() / 1000)
    provider.lies = { logout: { iat, exp: iat + 60, ...logout } }
    await room.identity.browser.backChannelLogout(await provider.logoutToken())
    expect(await room.identity.stands(identified)).toBe(false)
  })

  const browseNow = (claims: Lies['claims'] = {}) => {
    const iat = Math.floor(room.clock.now() / 1000)
    return browse({ iat, exp: iat + 300, ...claims })
  }
  const logout = async (lies: Lies['logout']) => {
    const iat = Math.floor(room.clock.now() / 1000)
    provider.lies = { logout: { iat, exp: iat + 60, ...lies } }
    await room.identity.browser.backChannelLogout(await provider.logoutToken())
  }

  test.each([
    ['everything', { sid: undefined }, { sid: 'provider-2' }],
    ['its session at the provider', {}, { sid: 'provider-1' }],
    ['a session that the token does not name', {}, {}],
  ])('a token that nobody showed before the provider signed %s out comes too late', async (_what, lies, access) => {
    await browseNow()
    const text = await token({ access })
    room.clock.pass(1000)
    await logout(lies)
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /signed out/ })
    expect(await room.identity.stands(await verify(await token({ access })))).toBe(true)
  })

  test('a token of another session, shown after that, is good', async () => {
    await browseNow()
    await browseNow({ sid: 'provider-3' })
    const text = await token({ access: { sid: 'provider-2' } })
    room.clock.pass(1000)
    await logout({})
    await verify(text)
  })

  const afterAllRanOut = async (of: string) => {
    await browseNow({ sid: of })
    const { browserSessions } = await room.identity.own.list((await erin()).id)
    room.clock.pass(Math.max(...browserSessions.map(({ expiresAt }) => expiresAt)) - room.clock.now())
  }

  test.each([
    ['everything', { sid: undefined }, { sid: 'provider-2' }],
    ['its session at the provider', { sid: 'provider-4' }, { sid: 'provider-4' }],
    ['a session that the token does not name', { sid: 'provider-4' }, {}],
  ])('nor is one good from after its sign-in ran out, once the provider signed %s out', async (_what, lies, access) => {
    await afterAllRanOut('provider-4')
    const text = await token({ access: { groups: ['on-call'], ...access } })
    room.clock.pass(1000)
    await logout(lies)
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /signed out/ })
  })

  test('nor when they have signed in anew since everything ended', async () => {
    await browseNow()
    const text = await token({ access: { sid: 'provider-2' } })
    room.clock.pass(1000)
    await logout({ sid: undefined })
    room.clock.pass(1000)
    await browseNow({ sid: 'provider-3' })
    await expect(verify(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED', message: /signed out/ })
    await verify(await token({ access: { sid: 'provider-3' } }))
  })

  test('of another session at the provider leaves it alone', async () => {
    const identified = await verify(await token({ access: { sid: 'provider-2' } }))
    const iat = Math.floor(room.clock.now() / 1000)
    provider.lies = { logout: { iat, exp: iat + 60 } }
    await room.identity.browser.backChannelLogout(await provider.logoutToken())
    expect(await room.identity.stands(identified)).toBe(true)
  })
})

test('it is no sign-in by a browser: no button in a message rests on it', async () => {
  const person = await erin()
  for (const { id } of (await room.identity.own.list(person.id)).browserSessions)
    await room.identity.own.revoke(person, id)
  await verify(await token())
  expect(await room.identity.isSignedIn(person)).toBe(false)
  expect((await room.identity.own.list(person.id)).browserSessions).toHaveLength(1)
})

test('without the setting there is none', async () => {
  await using plain = await openIdentity(provider.issuer)
  expect(plain.identity.oauth).toBeNull()
})
