import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Person } from '../../src/identity/person.ts'
import { toOpenSessions } from '../../src/identity/tokens.ts'
import { startProviderFor } from '../servers/oidc.ts'
import type { OidcProvider } from '../servers/oidc.ts'
import { openIdentity, publicUrl } from './open.ts'
import type { Opened } from './open.ts'

let provider: OidcProvider
let room: Opened
let erin: Person
const wish = { label: 'nightly report', kind: 'access', lengthMs: 3_600_000 } as const

beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  room = await openIdentity(provider.issuer)
  erin = (await room.signIn('erin')).person
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

test('a token says whose it is, and only its hash is kept', async () => {
  const { text, token } = await room.identity.tokens.make(erin, wish)
  expect(text).toMatch(/^curfew_[\w-]{43}$/)
  expect(JSON.stringify(token)).not.toContain(text.slice(7))
  const known = await room.identity.tokens.verify(text, toOpenSessions, { address: '198.51.100.1' })
  expect(known).toMatchObject({ person: { id: erin.id }, token: { id: token.id } })
})

test('its last use is noted, at most once a minute', async () => {
  const { text, token } = await room.identity.tokens.make(erin, wish)
  const used = async () => {
    await room.identity.tokens.verify(text, toOpenSessions, { address: '198.51.100.1' })
    return (await room.state.identity.token(token.id))?.lastUsedAt
  }
  const first = await used()
  room.clock.pass(59_000)
  expect(await used()).toBe(first)
  room.clock.pass(1000)
  expect(await used()).toBe(room.clock.now())
})

test('whoever is signed out at that moment makes none', async () => {
  const { person, browserSession } = await room.signIn('ada')
  const by = { credential: browserSession.id, browserSession: browserSession.id }
  await room.identity.tokens.make(person, { ...wish, by })
  await room.identity.own.revoke(person, browserSession.id)
  await expect(room.identity.tokens.make(person, { ...wish, by })).rejects.toMatchObject({ code: 'SIGNED_OUT' })
  expect(await room.state.identity.tokensOf(person.id)).toHaveLength(1)
})

test('what is not good is refused with one sentence, and recorded with its reason', async () => {
  const from = { address: '198.51.100.2' }
  const revoked = await room.identity.tokens.make(erin, wish)
  await room.identity.own.revoke(erin, revoked.token.id)
  const cli = await room.identity.tokens.make(erin, { ...wish, kind: 'cli' })
  const over = await room.identity.tokens.make(erin, { ...wish, lengthMs: 1000 })
  room.clock.pass(1000)
  const messages = new Set<string>()
  for (const text of [revoked.text, cli.text, over.text, `curfew_${'A'.repeat(43)}`, '', 'x'.repeat(100_000)]) {
    const refused = await room.identity.tokens.verify(text, toOpenSessions, from).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'TOKEN_REFUSED' })
    messages.add((refused as Error).message)
  }
  expect(messages.size).toBe(1)
  const reasons = (await room.audited('token.refused')).map(({ data }) => data['reason'])
  expect(reasons).toEqual(['revoked', 'of kind cli', 'over', 'unknown', 'unknown', 'unknown'])
})

test('guessing is slowed down, and does not fill the audit log', async () => {
  const { text } = await room.identity.tokens.make(erin, wish)
  const before = (await room.audited('token.refused')).length
  const verify = (what: string, address: string) => room.identity.tokens.verify(what, toOpenSessions, { address })
  for (let count = 0; count < 10; count++) {
    await expect(verify(`curfew_no${count}`, '198.51.100.3')).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  }
  for (let count = 0; count < 10; count++) {
    await expect(verify(text, '198.51.100.3')).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  }
  expect(await room.audited('token.refused')).toHaveLength(before + 10)
  await verify(text, '198.51.100.4')
  room.clock.pass(60_000)
  await verify(text, '198.51.100.3')
})

test('a program that goes on with a dead token locks nobody else out, and leaves one line', async () => {
  const { text } = await room.identity.tokens.make(erin, wish)
  const before = (await room.audited('token.refused')).length
  const verify = (what: string) => room.identity.tokens.verify(what, toOpenSessions, { address: '198.51.100.7' })
  for (let count = 0; count < 30; count++) {
    await expect(verify('curfew_dead')).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  }
  await verify(text)
  expect(await room.audited('token.refused')).toHaveLength(before + 1)
})

test.for([
  ['no label', { label: '  ' }],
  ['a long label', { label: 'x'.repeat(81) }],
  ['a label with control characters', { label: 'a\u001b[31m' }],
  ['no length', { lengthMs: 0 }],
  ['a fraction', { lengthMs: 0.5 }],
  ['not a number', { lengthMs: Number.NaN }],
  ['too long', { lengthMs: 31 * 24 * 3_600_000 }],
] as const)('a token with %s is not made', async ([, wrong]) => {
  const made = room.identity.tokens.make(erin, { ...wish, ...wrong })
  await expect(made).rejects.toMatchObject({ code: 'INPUT_INVALID' })
})

test('revoking a token or a browser tells the live sessions', async () => {
  const { token } = await room.identity.tokens.make(erin, wish)
  await room.identity.own.revoke(erin, token.id)
  expect(room.changes.at(-1)).toEqual({ kind: 'credential-revoked', person: erin.id, credential: token.id })
  const other = await room.signIn('erin')
  await room.identity.own.revoke(erin, other.browserSession.id)
  expect(room.changes.at(-1)).toEqual({ kind: 'signed-out', person: erin.id, browserSession: other.browserSession.id })
  expect(await room.identity.browser.visitor(other.cookie)).toBeUndefined()
})

test('who guessed while the clock was ahead is let in again after a minute', async () => {
  const from = { address: '198.51.100.9' }
  const verify = (text: string) => room.identity.tokens.verify(text, toOpenSessions, from)
  const { text } = await room.identity.tokens.make(erin, { ...wish, lengthMs: 24 * 3_600_000 })
  room.clock.jump(7_200_000)
  for (let guess = 0; guess < 10; guess++) await expect(verify(`guess ${guess}`)).rejects.toThrow('refused')
  await expect(verify(text)).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  room.clock.jump(-7_200_000)
  room.clock.pass(60_000)
  expect((await verify(text)).person.id).toBe(erin.id)
})
