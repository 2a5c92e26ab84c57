import { once } from 'node:events'
import { chmod, rename, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify, type JWTVerifyResult } from 'jose'
import { expect, test } from 'vitest'
import { openAssertionKeys } from '../../src/identity/assertion-keys.ts'
import type { Assertions } from '../../src/identity/assertion.ts'
import { createAssertions } from '../../src/identity/create-assertions.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Session } from '../../src/sessions/session.ts'
import { HandClock } from '../clock.ts'
import { temporaryFolder } from '../recording/support.ts'

const issuer = 'https://gw.example.test'
const lengthMs = 300_000
const hourMs = 3_600_000
const startsAt = Date.UTC(2026, 10, 22, 14, 48, 7)

const person: Person = {
  ...{ id: 'person-erin', issuer: 'https://id.example.test', subject: 'erin', seenAt: startsAt as Instant },
  ...{ email: 'erin@example.test', name: 'Erin Engineer', groups: ['engineering'] },
}
const session: Session = {
  ...{ id: 'session-1', person: person.id, personName: 'erin@example.test', credential: 'browser-1' },
  ...{ browserSession: 'browser-1', grant: 'grant-1', resource: 'wiki', role: 'editor', database: null, node: 'gw-1' },
  client: { protocol: 'http', address: '203.0.113.9', port: 50_001, application: 'Chromium', tls: true },
  startedAt: startsAt as Instant,
}

interface Place extends AsyncDisposable {
  readonly folder: string
  readonly clock: HandClock
  readonly assertions: Assertions
  /** As an application does it, with its own library, by the published keys. */
  verify(text: string, audience?: string): Promise<JWTVerifyResult>
}

async function open(): Promise<Place> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  const clock = new HandClock(startsAt)
  const assertions = createAssertions({ keys: await openAssertionKeys(folder), issuer, clock, lengthMs })
  const server = createServer((_, response) => response.end(JSON.stringify(assertions.publicKeys())))
  stack.defer(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys.json`))
  const all = stack.move()
  return {
    ...{ folder, clock, assertions },
    verify: (text, audience = 'wiki') =>
      jwtVerify(text, keys, { issuer, audience, algorithms: ['ES256'], currentDate: new Date(clock.now()) }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const inAnHour = startsAt + hourMs

test('an application that knows only the published keys can check who it is', async () => {
  await using place = await open()
  const text = await place.assertions.of(session, person, inAnHour)
  const { payload, protectedHeader } = await place.verify(text)
  expect(payload).toEqual({
    ...{ iss: issuer, aud: 'wiki', sub: 'person-erin', sid: 'session-1', grant: 'grant-1', role: 'editor' },
    ...{ email: 'erin@example.test', name: 'Erin Engineer', groups: ['engineering'] },
    ...{ iat: startsAt / 1000, exp: (startsAt + lengthMs) / 1000 },
  })
  const { kid } = place.assertions.publicKeys().keys[0]!
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid })
})

test('it is refused at another application, when it is over, and when it was changed', async () => {
  await using place = await open()
  const text = await place.assertions.of(session, person, inAnHour)
  await expect(place.verify(text, 'grafana')).rejects.toMatchObject({ claim: 'aud' })
  const [header, payload, signature] = text.split('.')
  const claims = { ...JSON.parse(Buffer.from(payload!, 'base64url').toString()), role: 'admin' }
  const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
  await expect(place.verify(forged)).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
  place.clock.pass(lengthMs)
  await expect(place.verify(text)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' })
})

test('the same text is given until half its time is over', async () => {
  await using place = await open()
  const of = () => place.assertions.of(session, person, inAnHour)
  const [first, second] = await Promise.all([of(), of()])
  expect(second).toBe(first)
  expect(of()).toBe(first) // a text, not a promise of one
  place.clock.pass(lengthMs / 2 - 1)
  expect(of()).toBe(first)
  place.clock.pass(1)
  const next = await of()
  expect(next).not.toBe(first)
  expect((await place.verify(next)).payload.exp).toBe((startsAt + lengthMs * 1.5) / 1000)
})

test('another one is made when the clock was set back: none is from the future, or holds for longer', async () => {
  await using place = await open()
  const of = () => place.assertions.of(session, person, inAnHour)
  const first = await of()
  place.clock.jump(-hourMs)
  const next = await of()
  expect(next).not.toBe(first)
  const { iat, exp } = (await place.verify(next)).payload
  expect([iat, exp]).toEqual([(startsAt - hourMs) / 1000, (startsAt - hourMs + lengthMs) / 1000])
  expect(of()).toBe(next)
})

test('it never holds longer than the grant, also when that was made shorter', async () => {
  await using place = await open()
  const expOf = async (endsAt: number) =>
    (await place.verify(await place.assertions.of(session, person, endsAt))).payload.exp
  expect(await expOf(startsAt + 90_700)).toBe(Math.floor((startsAt + 90_700) / 1000))
  expect(await expOf(startsAt + 60_000)).toBe((startsAt + 60_000) / 1000)
  place.clock.pass(59_000)
  expect(await expOf(inAnHour)).toBe((startsAt + 60_000) / 1000)
  place.clock.pass(1000)
  expect(await expOf(inAnHour)).toBe((startsAt + 60_000 + lengthMs) / 1000)
})

test('what changed about the person is said at once; the same person anew is no change', async () => {
  await using place = await open()
  const first = await place.assertions.of(session, person, inAnHour)
  expect(place.assertions.of(session, { ...person, seenAt: inAnHour as Instant }, inAnHour)).toBe(first)
  const left = await place.assertions.of(session, { ...person, groups: [], name: null }, inAnHour)
  const { payload } = await place.verify(left)
  expect(payload).toMatchObject({ groups: [] })
  expect(payload).not.toHaveProperty('name')
})

test('sessions do not share one', async () => {
  await using place = await open()
  const first = await place.assertions.of(session, person, inAnHour)
  const other = { ...session, id: 'session-2', role: 'reader' } as const
  expect((await place.verify(await place.assertions.of(other, person, inAnHour))).payload['role']).toBe('reader')
  expect(place.assertions.of(session, person, inAnHour)).toBe(first)
  place.assertions.forget(session)
  expect(place.assertions.of(session, person, inAnHour)).toBeInstanceOf(Promise)
})

test('more groups than fit into a header are left out, and their number is said', async () => {
  await using place = await open()
  const groups = Array.from({ length: 500 }, (_, at) => `department-${at}`)
  const text = await place.assertions.of(session, { ...person, groups }, inAnHour)
  expect(text.length).toBeLessThan(1000)
  const { payload } = await place.verify(text)
  expect(payload).toMatchObject({ groupsLeftOut: 500 })
  expect(payload).not.toHaveProperty('groups')
})

test('the key is made once, privately; many that start at once agree on it', async () => {
  await using folder = await temporaryFolder()
  const keys = await Promise.all(Array.from({ length: 10 }, () => openAssertionKeys(folder.path)))
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1)
  expect((await stat(path.join(folder.path, 'keys', 'assertion.jwk'))).mode & 0o777).toBe(0o600)
  const [published] = keys[0]!.publicKeys().keys
  expect(published).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: keys[0]!.kid })
  expect(published).not.toHaveProperty('d')
})

test('after a rotation what the old key signed still verifies', async () => {
  await using folder = await temporaryFolder()
  const old = await openAssertionKeys(folder.path)
  const clock = new HandClock(startsAt)
  const text = await createAssertions({ keys: old, issuer, clock, lengthMs }).of(session, person, inAnHour)
  const file = path.join(folder.path, 'keys', 'assertion.jwk')
  await rename(file, `${file}.old`)
  const fresh = await openAssertionKeys(folder.path)
  expect(fresh.publicKeys().keys.map(({ kid }) => kid)).toEqual([fresh.kid, old.kid])
  const keys = createLocalJWKSet(fresh.publicKeys())
  await jwtVerify(text, keys, { issuer, currentDate: new Date(startsAt) })
})

test('a key that everybody can read, or of another kind, is refused without being quoted', async () => {
  await using folder = await temporaryFolder()
  await openAssertionKeys(folder.path)
  const file = path.join(folder.path, 'keys', 'assertion.jwk')
  await chmod(file, 0o644)
  await expect(openAssertionKeys(folder.path)).rejects.toMatchObject({ hint: `chmod 600 ${file}` })
  await chmod(file, 0o600)
  await writeFile(file, '{"kty":"OKP","crv":"Ed25519","x":"sesame","d":"sesame"}')
  const refused: unknown = await openAssertionKeys(folder.path).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).not.toContain('sesame')
})
