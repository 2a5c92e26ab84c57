import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../../src/identity/ssh/public-key.ts'
import { startProviderFor } from '../../servers/oidc.ts'
import type { OidcProvider } from '../../servers/oidc.ts'
import { from, openIdentity, publicUrl } from '../open.ts'
import type { Opened } from '../open.ts'

let provider: OidcProvider
let room: Opened
let lastAddress = 0
const never = new AbortController().signal

beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  room = await openIdentity(provider.issuer)
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

const someKey = () => fingerprintOf(randomBytes(32))

async function begin(keyFingerprint: string | null) {
  const program = { application: 'OpenSSH_9.2', resource: 'web-1', role: 'admin', secretHash: null }
  const address = `198.51.100.${++lastAddress}`
  return room.identity.inBand.begin({ ...program, purpose: 'ssh', address, keyFingerprint })
}

async function signIn(login: string, keyFingerprint: string | null, remember: boolean) {
  const visitor = await room.signIn(login)
  const asked = await begin(keyFingerprint)
  await room.identity.inBand.confirm(asked, visitor, from, remember)
  return { visitor, asked, identified: await room.identity.inBand.answered(asked, never) }
}

test('a key is remembered, and recognised wherever it comes from, until its time is over', async () => {
  const key = someKey()
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
  const { visitor, asked, identified } = await signIn('erin', key, true)
  expect(identified).toMatchObject({ person: visitor.person.id, browserSession: visitor.browserSession.id })
  expect(identified.credential).toMatch(/^binding-/)
  expect(await room.identity.ssh.recogniseKey(key)).toEqual(identified)
  expect(await room.identity.ssh.recogniseKey(someKey())).toBeUndefined()
  expect(await room.identity.inBand.recognise({ address: asked.address })).toBeUndefined()
  expect((await room.audited('binding.made')).at(-1)?.data).toMatchObject({ key, binding: identified.credential })
  expect((await room.audited('sign-in.confirmed')).at(-1)?.data).toMatchObject({ key, purpose: 'ssh' })
  room.clock.pass(8 * 3_600_000)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
  expect(await room.identity.stands(identified)).toBe(false)
})

test('nothing is remembered without a key, nor when nobody asked for it', async () => {
  const without = await signIn('erin', null, true)
  expect(without.identified.credential).toBe(without.visitor.browserSession.id)
  expect((await room.identity.own.list(without.visitor.person.id)).bindings).toEqual([])
  const key = someKey()
  const { identified, visitor } = await signIn('erin', key, false)
  expect(identified.credential).toBe(visitor.browserSession.id)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
})

describe('a key of somebody else', () => {
  test.each([true, false])('is refused on the page, and nothing is changed (remember: %s)', async (remember) => {
    const key = someKey()
    const { identified } = await signIn('erin', key, true)
    const ada = await room.signIn('ada')
    const asked = await begin(key)
    const confirmed = room.identity.inBand.confirm(asked, ada, from, remember)
    await expect(confirmed).rejects.toMatchObject({ code: 'KEY_TAKEN' })
    expect((await room.identity.inBand.byId(asked.id))?.state).toBe('waiting')
    expect(await room.identity.ssh.recogniseKey(key)).toEqual(identified)
    expect((await room.identity.own.list(ada.person.id)).bindings).toEqual([])
    expect((await room.audited('sign-in.confirmed')).at(-1)?.data).not.toMatchObject({ signIn: asked.id })
  })

  test('is free once it was forgotten, or its time is over', async () => {
    const key = someKey()
    const erin = await signIn('erin', key, true)
    await room.identity.own.revoke(erin.visitor.person, erin.identified.credential)
    const ada = await signIn('ada', key, true)
    expect(await room.identity.ssh.recogniseKey(key)).toEqual(ada.identified)
    room.clock.pass(8 * 3_600_000)
    const again = await signIn('erin', key, true)
    expect(await room.identity.ssh.recogniseKey(key)).toEqual(again.identified)
  })

  test('goes to one of two who confirm at once', async () => {
    const key = someKey()
    const people = [await room.signIn('erin'), await room.signIn('ada')]
    const asked = [await begin(key), await begin(key)]
    const confirm = people.map((visitor, index) => room.identity.inBand.confirm(asked[index]!, visitor, from, true))
    const codes = (await Promise.allSettled(confirm)).map((one) => ('reason' in one ? one.reason.code : 'done'))
    expect(new Set(codes)).toEqual(new Set(['KEY_TAKEN', 'done']))
    expect((await room.identity.ssh.recogniseKey(key))?.person).toBe(people[codes.indexOf('done')]!.person.id)
  })
})

test('tools that connect several times at once are confirmed once', async () => {
  const key = someKey()
  const visitor = await room.signIn('erin')
  const asked = [await begin(key), await begin(key), await begin(key)]
  const stranger = await begin(someKey())
  const answers = asked.map((one) => room.identity.inBand.answered(one, never))
  const gone = new AbortController()
  const waits = expect(room.identity.inBand.answered(stranger, gone.signal)).rejects.toThrow('gone')
  await room.identity.inBand.confirm(asked[1]!, visitor, from, true)
  const known = await room.identity.ssh.recogniseKey(key)
  expect(await Promise.all(answers)).toEqual([known, known, known])
  gone.abort(new Error('gone'))
  await waits
})

test('without remembering, each connection waits for its own answer', async () => {
  const key = someKey()
  const visitor = await room.signIn('erin')
  const [first, second] = [await begin(key), await begin(key)]
  const answers = [first, second].map((one) => room.identity.inBand.answered(one, never))
  await room.identity.inBand.confirm(first, visitor, from, false)
  expect(await answers[0]).toMatchObject({ credential: visitor.browserSession.id })
  await room.identity.inBand.refuse(second, visitor)
  await expect(answers[1]).rejects.toMatchObject({ code: 'SIGN_IN_REFUSED' })
})

test('a key that is remembered twice is forgotten at once', async () => {
  const key = someKey()
  const { visitor, identified } = await signIn('erin', key, true)
  const again = await signIn('erin', key, true)
  await room.identity.own.revoke(visitor.person, identified.credential)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
  for (const one of [identified, again.identified]) expect(await room.identity.stands(one)).toBe(false)
  const ended = room.changes.filter((change) => change.kind === 'credential-revoked').slice(-2)
  expect(new Set(ended.map(({ credential }) => credential))).toEqual(
    new Set([identified.credential, again.identified.credential]),
  )
})

test('the same person may confirm the same key again', async () => {
  const key = someKey()
  await signIn('erin', key, true)
  const { identified } = await signIn('erin', key, true)
  expect((await room.identity.ssh.recogniseKey(key))?.person).toBe(identified.person)
})

test('forgetting a key ends what came in by it', async () => {
  const key = someKey()
  const { visitor, identified } = await signIn('erin', key, true)
  const ada = await room.signIn('ada')
  const stranger = room.identity.own.revoke(ada.person, identified.credential)
  await expect(stranger).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await room.identity.own.revoke(visitor.person, identified.credential)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
  expect(await room.identity.stands(identified)).toBe(false)
  const change = { kind: 'credential-revoked', person: identified.person, credential: identified.credential }
  expect(room.changes.at(-1)).toEqual(change)
  expect((await room.audited('binding.revoked')).at(-1)?.data).toMatchObject({ key, cause: 'revoked by its owner' })
})

test('it ends with the browser that made it', async () => {
  const key = someKey()
  const { visitor, identified } = await signIn('erin', key, true)
  await room.identity.browser.signOut(visitor)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
  expect(await room.identity.stands(identified)).toBe(false)
  expect((await room.audited('binding.revoked')).at(-1)?.data).toMatchObject({ key, cause: 'sign-out' })
})

test('it holds no longer than the sign-in of the browser', async () => {
  const key = someKey()
  const visitor = await room.signIn('erin')
  room.clock.pass(6 * 3_600_000)
  const asked = await begin(key)
  await room.identity.inBand.confirm(asked, visitor, from, true)
  expect(await room.identity.ssh.recogniseKey(key)).toBeDefined()
  room.clock.pass(6 * 3_600_000)
  expect(await room.identity.ssh.recogniseKey(key)).toBeUndefined()
})
