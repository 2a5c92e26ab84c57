import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser, client, people, startOidcProvider, startProviderFor } from '../servers/oidc.ts'
import type { ProviderFetch } from '../../src/identity/provider-fetch.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { toOpenSessions } from '../../src/identity/tokens.ts'
import type { OidcProvider } from '../servers/oidc.ts'
import { from, openIdentity, publicUrl } from './open.ts'
import type { Opened } from './open.ts'

let provider: OidcProvider
let opened: Opened

beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  opened = await openIdentity(provider.issuer)
})
afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

describe('the code flow with a certified provider', () => {
  test('signs somebody in, and the audit log says so', async () => {
    const visitor = await opened.signIn('erin')
    expect(visitor.person).toMatchObject({ subject: 'erin', email: 'erin@example.test', groups: ['engineering'] })
    expect(visitor.person.issuer).toBe(provider.issuer.origin)
    const [event] = await opened.audited('person.signed-in')
    expect(event).toMatchObject({ person: visitor.person.id, personName: 'erin@example.test' })
    expect(event?.data).toMatchObject({ address: '203.0.113.9', groups: ['engineering'] })
  })

  test('keeps neither the cookie nor the refresh token in a readable form', async () => {
    const { cookie, browserSession } = await opened.signIn('ada')
    expect(JSON.stringify(browserSession)).not.toContain(cookie)
    expect(browserSession.sealedRefreshToken).toMatch(/^[\w-]{60,}$/)
  })

  test('a person who comes again is the same person', async () => {
    const first = await opened.signIn('sam')
    const second = await opened.signIn('sam')
    expect(second.person.id).toBe(first.person.id)
    expect(second.browserSession.id).not.toBe(first.browserSession.id)
  })

  test('goes on to the page that was asked for, and never to another site', async () => {
    for (const [wanted, expected] of [
      ['/requests/7?tab=x#top', '/requests/7?tab=x#top'],
      ['//evil.example', '/'],
    ] as const) {
      const { redirect, flowCookie } = await opened.identity.browser.begin(wanted)
      const callback = await new Browser().signIn(redirect, 'erin')
      expect(await opened.identity.browser.complete(callback, flowCookie, from)).toMatchObject({ returnTo: expected })
    }
  })

  test('asks with PKCE S256, state and nonce', async () => {
    const { redirect } = await opened.identity.browser.begin('/')
    const asked = Object.fromEntries(redirect.searchParams)
    expect(asked).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', client_id: client.clientId })
    for (const name of ['state', 'nonce', 'code_challenge']) expect(asked[name]).toMatch(/^[\w-]{43}$/)
  })

  test('a session ends on its day, and not before', async () => {
    await using own = await openIdentity(provider.issuer, { sessionMs: 60_000 })
    const { cookie } = await own.signIn('erin')
    own.clock.pass(59_999)
    expect(await own.identity.browser.visitor(cookie)).toBeDefined()
    own.clock.pass(1)
    expect(await own.identity.browser.visitor(cookie)).toBeUndefined()
  })
})

describe('what is refused, without a session and with an audit event', () => {
  test.for([
    ['a callback that comes twice', 'twice'],
    ['no flow cookie', 'no cookie'],
    ['the cookie of another browser', 'other cookie'],
    ['a changed cookie', 'changed cookie'],
    ['an answer after ten minutes', 'late'],
    ['an answer without state', 'no state'],
    ['a person who cancels', 'cancel'],
  ] as const)('%s', async ([, how]) => {
    const { browser } = opened.identity
    const before = (await opened.audited('person.sign-in-refused')).length
    const { redirect, flowCookie } = await browser.begin('/')
    const callback = await new Browser().signIn(redirect, 'erin')
    let cookie: string | undefined = flowCookie
    if (how === 'twice') await browser.complete(callback, cookie, from)
    if (how === 'no cookie') cookie = undefined
    if (how === 'other cookie') cookie = (await browser.begin('/')).flowCookie
    if (how === 'changed cookie') cookie = `${flowCookie.slice(0, -2)}${flowCookie.endsWith('AA') ? 'BB' : 'AA'}`
    if (how === 'late') opened.clock.pass(600_000)
    if (how === 'no state') callback.searchParams.delete('state')
    if (how === 'cancel') {
      callback.searchParams.delete('code')
      callback.searchParams.set('error', 'access_denied')
    }
    await expect(browser.complete(callback, cookie, from)).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
    const events = await opened.audited('person.sign-in-refused')
    expect(events).toHaveLength(before + 1)
    expect(events.at(-1)?.data).toMatchObject({ code: 'SIGN_IN_FAILED', address: from.address })
  })

  test('who took too long is known for half a day by where they wanted to go, and nobody else is', async () => {
    const { browser } = opened.identity
    const { flowCookie } = await browser.begin('/requests/7')
    expect(browser.placeOfLate(flowCookie)).toBeUndefined()
    opened.clock.pass(600_000)
    expect(browser.placeOfLate(flowCookie)).toBe('/requests/7')
    opened.clock.pass(12 * 3_600_000)
    for (const cookie of [flowCookie, undefined, '', 'x']) expect(browser.placeOfLate(cookie)).toBeUndefined()
  })

  test('unknown cookies are nobody', async () => {
    for (const cookie of [undefined, '', 'x', 'A'.repeat(43)]) {
      expect(await opened.identity.browser.visitor(cookie)).toBeUndefined()
    }
  })
})

describe('signing out', () => {
  test('ends the session at once, tells everybody, and leads to the provider', async () => {
    const visitor = await opened.signIn('olga')
    const to = await opened.identity.browser.signOut(visitor)
    expect(await opened.identity.browser.visitor(visitor.cookie)).toBeUndefined()
    expect(to.origin).toBe(provider.issuer.origin)
    expect(to.searchParams.get('post_logout_redirect_uri')).toBe('https://gw.example.test/signed-out')
    expect(opened.changes).toContainEqual({
      ...{ kind: 'signed-out', person: visitor.person.id, browserSession: visitor.browserSession.id },
    })
  })

  test('the provider takes it without asking and sends the browser back', async () => {
    const browser = new Browser()
    const to = await opened.identity.browser.signOut(await opened.signIn('olga', browser))
    const page = await (await browser.get(to)).text()
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)?.[1] ?? ''
    const back = await browser.post(new URL('/session/end/confirm', provider.issuer), { xsrf, logout: 'yes' })
    expect(back.headers.get('location')).toBe('https://gw.example.test/signed-out')
  })

  test('works while the provider is down', async () => {
    const own = await startProviderFor(publicUrl)
    await using room = await openIdentity(own.issuer)
    const visitor = await room.signIn('erin')
    await own[Symbol.asyncDispose]()
    room.clock.pass(2 * 3_600_000) // what was discovered is stale by now
    await room.identity.browser.signOut(visitor)
    expect(await room.identity.browser.visitor(visitor.cookie)).toBeUndefined()
  })

  test('back-channel logout ends the sessions that the provider names', async () => {
    await using gateway = await listenForLogout((token) => room.identity.browser.backChannelLogout(token))
    await using own = await startOidcProvider({
      people,
      clients: [
        {
          ...client,
          redirectUris: ['https://gw.example.test/sign-in/callback'],
          postLogoutRedirectUris: ['https://gw.example.test/signed-out'],
          backChannelLogoutUri: gateway.url,
        },
      ],
    })
    await using room = await openIdentity(own.issuer)
    const erin = await room.signIn('erin')
    const ada = await room.signIn('ada')
    await own.signOutEverywhere('erin')
    expect(await room.identity.browser.visitor(erin.cookie)).toBeUndefined()
    expect(await room.identity.browser.visitor(ada.cookie)).toBeDefined()
  })
})

describe('while somebody is signed in', () => {
  test('changed groups reach every node', async () => {
    await using own = await startProviderFor(publicUrl)
    await using room = await openIdentity(own.issuer)
    const { person, cookie } = await room.signIn('erin')
    own.setGroups('erin', ['support'])
    room.clock.pass(300_000)
    expect(await room.untilChange('person-changed')).toEqual({ kind: 'person-changed', person: person.id })
    expect((await room.identity.browser.visitor(cookie))?.person.groups).toEqual(['support'])
    const [event] = await room.audited('person.groups-changed')
    expect(event?.data).toEqual({ before: ['engineering'], after: ['support'] })
  })

  test('somebody who was disabled at the provider is signed out of everything', async () => {
    await using own = await startProviderFor(publicUrl)
    await using room = await openIdentity(own.issuer)
    const { person, cookie } = await room.signIn('erin')
    const { text } = await room.identity.tokens.make(person, { label: 'cron', kind: 'access', lengthMs: 3_600_000 })
    own.disable('erin')
    room.clock.pass(300_000)
    await room.untilChange('signed-out')
    expect(await room.identity.browser.visitor(cookie)).toBeUndefined()
    expect(room.changes).toContainEqual({ kind: 'signed-out', person: person.id, browserSession: null })
    await expect(room.identity.tokens.verify(text, toOpenSessions, from)).rejects.toMatchObject({
      code: 'TOKEN_REFUSED',
    })
  })

  test('somebody about whom the provider fails is not in the way of the others', async () => {
    await using own = await startProviderFor(publicUrl)
    let broken: string | null | undefined
    const oneFails: ProviderFetch = (url, options) => {
      const form = options?.body instanceof URLSearchParams ? options.body : new URLSearchParams()
      if (form.get('grant_type') !== 'refresh_token') return fetch(url, options)
      broken ??= form.get('refresh_token')
      return form.get('refresh_token') === broken
        ? Promise.resolve(new Response('', { status: 500 }))
        : fetch(url, options)
    }
    await using room = await openIdentity(own.issuer, {}, { fetch: oneFails })
    for (const login of ['erin', 'ada']) await room.signIn(login)
    for (const login of ['erin', 'ada']) own.setGroups(login, ['support'])
    room.clock.pass(300_000)
    await expect.poll(() => room.clock.timers).toBe(1)
    expect(room.changes.filter(({ kind }) => kind === 'person-changed')).toHaveLength(1)
  })

  test.each([
    ['the rest of the answer', '/me'],
    ['the provider’s keys', '/jwks'],
  ])('a refresh token that is given is kept, also when %s cannot be had', async (_what, path) => {
    await using own = await startProviderFor(publicUrl)
    let isDown = false
    const partlySilent: ProviderFetch = (url, options) =>
      isDown && new URL(url).pathname === path
        ? Promise.resolve(new Response('', { status: 503 }))
        : fetch(url, options)
    const oidc = { ...client, clientSecret: new Secret(client.clientSecret), issuer: own.issuer, ca: null }
    const asked = {
      scopes: ['openid', 'groups', 'offline_access'],
      groupsClaim: 'groups',
      policyClaims: ['department'],
    }
    await using room = await openIdentity(own.issuer, { oidc: { ...oidc, ...asked } }, { fetch: partlySilent })
    const { cookie } = await room.signIn('erin')
    own.setGroups('erin', ['support'])
    for (isDown of [true, false]) {
      room.clock.pass(300_000)
      await expect.poll(() => room.clock.timers).toBe(1)
    }
    expect(room.changes.filter(({ kind }) => kind === 'signed-out')).toEqual([])
    expect((await room.identity.browser.visitor(cookie))?.person.groups).toEqual(['support'])
  })

  test('groups in an ID token that the provider did not sign are not taken at a refresh', async () => {
    await using own = await startProviderFor(publicUrl)
    let changed = 0
    const inTheMiddle: ProviderFetch = async (url, options) => {
      const response = await fetch(url, options)
      const form = options?.body instanceof URLSearchParams ? options.body : new URLSearchParams()
      if (form.get('grant_type') !== 'refresh_token') return response
      const answer = (await response.json()) as { id_token: string }
      const [header, payload = '', signature] = answer.id_token.split('.')
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
      const more = Buffer.from(JSON.stringify({ ...claims, groups: ['security'] })).toString('base64url')
      changed += 1
      return Response.json({ ...answer, id_token: `${header}.${more}.${signature}` })
    }
    await using room = await openIdentity(own.issuer, {}, { fetch: inTheMiddle })
    const { cookie } = await room.signIn('erin')
    room.clock.pass(300_000)
    await expect.poll(() => room.clock.timers).toBe(1)
    expect(changed).toBe(1)
    expect((await room.identity.browser.visitor(cookie))?.person.groups).toEqual(['engineering'])
  })

  test('a provider that is down changes nothing, and is asked again', async () => {
    const own = await startProviderFor(publicUrl)
    await using room = await openIdentity(own.issuer)
    const { cookie } = await room.signIn('erin')
    await own[Symbol.asyncDispose]()
    room.clock.pass(300_000)
    await expect.poll(() => room.clock.timers).toBe(1) // armed again: the round is over
    expect(await room.identity.browser.visitor(cookie)).toBeDefined()
  })
})

test('the gateway starts without its provider, and works as soon as that is there', async () => {
  const first = await startProviderFor(publicUrl)
  const { port, issuer } = first
  await first[Symbol.asyncDispose]()
  await using room = await openIdentity(issuer)
  await expect(room.identity.browser.begin('/')).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  const [event] = await room.audited('person.sign-in-refused')
  expect(event?.data).toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  await using _second = await startProviderFor(publicUrl, { port })
  expect((await room.signIn('erin')).person.subject).toBe('erin')
})

async function listenForLogout(take: (token: string) => Promise<void>): Promise<AsyncDisposable & { url: string }> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    await take(new URLSearchParams(await text(request)).get('logout_token') ?? '')
    response.end()
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
