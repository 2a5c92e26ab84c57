import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Instant } from '../../src/kernel/time.ts'
import { startProviderFor } from '../servers/oidc.ts'
import type { OidcProvider } from '../servers/oidc.ts'
import { openIdentity, publicUrl } from './open.ts'
import type { Opened } from './open.ts'

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

const freshAddress = () => `198.51.100.${++lastAddress}`
const ask = (address: string) => ({
  ...({
    purpose: 'postgres',
    address,
    application: 'psql',
    resource: 'prod-db',
    role: 'readonly',
    secretHash: null,
  } as const),
})

describe('a sign-in for a program without a browser', () => {
  test('is confirmed on a page and goes on by itself', async () => {
    const { inBand } = room.identity
    const visitor = await room.signIn('erin')
    const signIn = await inBand.begin(ask(freshAddress()))
    expect(inBand.link(signIn).href).toBe(`https://gw.example.test/s/${signIn.code}`)
    const answered = inBand.answered(signIn, never)
    const onPage = await inBand.byCode(signIn.code.toLowerCase().replace('-', ''))
    expect(onPage).toEqual(signIn)
    await inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, false)
    const session = visitor.browserSession.id
    expect(await answered).toEqual({
      ...{ person: visitor.person.id, personName: 'erin@example.test', credential: session, browserSession: session },
    })
    expect((await room.audited('sign-in.confirmed')).at(-1)?.data).toMatchObject({
      code: signIn.code,
      resource: 'prod-db',
    })
  })

  test('hears an answer that came before it listened', async () => {
    const visitor = await room.signIn('erin')
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    await room.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, false)
    expect(await room.identity.inBand.answered(signIn, never)).toMatchObject({ person: visitor.person.id })
  })

  test('is refused on the page', async () => {
    const visitor = await room.signIn('erin')
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    const answered = room.identity.inBand.answered(signIn, never)
    await Promise.all([
      expect(answered).rejects.toMatchObject({ code: 'SIGN_IN_REFUSED' }),
      room.identity.inBand.refuse(signIn, visitor),
    ])
  })

  test('times out, and is over on the page too', async () => {
    const visitor = await room.signIn('erin')
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    const answered = room.identity.inBand.answered(signIn, never)
    const timedOut = expect(answered).rejects.toMatchObject({ code: 'SIGN_IN_TIMED_OUT' })
    room.clock.pass(300_000)
    await timedOut
    expect(await room.identity.inBand.byCode(signIn.code)).toBeUndefined()
    const late = room.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, true)
    await expect(late).rejects.toMatchObject({ code: 'SIGN_IN_TIMED_OUT' })
  })

  test('stops waiting when the program goes away', async () => {
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    const gone = new AbortController()
    const answered = room.identity.inBand.answered(signIn, gone.signal)
    gone.abort(new Error('gone'))
    await expect(answered).rejects.toThrow('gone')
  })

  test('is answered once', async () => {
    const visitor = await room.signIn('erin')
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    const confirm = () => room.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, false)
    const results = await Promise.allSettled([confirm(), confirm(), room.identity.inBand.refuse(signIn, visitor)])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(confirm()).rejects.toMatchObject({ code: 'ALREADY_DECIDED' })
  })

  test('is not confirmed by somebody who has signed out', async () => {
    const visitor = await room.signIn('erin')
    const signIn = await room.identity.inBand.begin(ask(freshAddress()))
    await room.identity.browser.signOut(visitor)
    const late = room.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, false)
    await expect(late).rejects.toMatchObject({ code: 'SIGNED_OUT' })
  })

  test('must come from the same address where the file says so', async () => {
    await using strict = await openIdentity(provider.issuer, { sameAddress: true })
    const visitor = await strict.signIn('erin')
    const signIn = await strict.identity.inBand.begin(ask('::ffff:198.51.100.250'))
    const elsewhere = strict.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, false)
    await expect(elsewhere).rejects.toMatchObject({ code: 'SIGN_IN_OTHER_ADDRESS' })
    await strict.identity.inBand.confirm(signIn, visitor, { address: '198.51.100.250' }, false)
  })

  test('waits in bounded numbers', async () => {
    const address = freshAddress()
    const first = await room.identity.inBand.begin(ask(address))
    for (let count = 1; count < 32; count++) await room.identity.inBand.begin(ask(address))
    await expect(room.identity.inBand.begin(ask(address))).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    await expect(room.identity.inBand.answered(first, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    await room.identity.inBand.begin(ask(address))
  })
})

test('programs that come and go do not fill the state', async () => {
  const address = freshAddress()
  const gone = AbortSignal.abort(new Error('gone'))
  const comeAndGo = async () => {
    const signIn = await room.identity.inBand.begin(ask(address))
    await room.identity.inBand.answered(signIn, gone).catch(() => undefined)
  }
  for (let count = 0; count < 120; count++) await comeAndGo()
  await expect(comeAndGo()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  await room.identity.inBand.begin(ask(freshAddress()))
  room.clock.pass(60_000)
  await comeAndGo()
})

describe('a remembered sign-in', () => {
  async function remembered(login: string, address: string) {
    const visitor = await room.signIn(login)
    const signIn = await room.identity.inBand.begin(ask(address))
    await room.identity.inBand.confirm(signIn, visitor, { address: '203.0.113.9' }, true)
    return { visitor, identified: await room.identity.inBand.answered(signIn, never) }
  }

  test('is recognised by its address until its time is over', async () => {
    const address = freshAddress()
    expect(await room.identity.inBand.recognise({ address })).toBeUndefined()
    const { identified } = await remembered('erin', address)
    expect(identified.credential).toMatch(/^binding-/)
    expect(await room.identity.inBand.recognise({ address: `::ffff:${address}` })).toEqual(identified)
    expect(await room.identity.inBand.recognise({ address: freshAddress() })).toBeUndefined()
    room.clock.pass(8 * 3_600_000)
    expect(await room.identity.inBand.recognise({ address })).toBeUndefined()
  })

  test('counts no longer than `rememberFor` says now, whatever it said when it was made', async () => {
    const address = freshAddress()
    const { identified, visitor } = await remembered('erin', address)
    const at = room.clock.now()
    const old = { createdAt: (at - 9 * 3_600_000) as Instant, expiresAt: (at + 3_600_000) as Instant, endedAt: null }
    const elsewhere = freshAddress()
    const of = { person: identified.person, browserSession: visitor.browserSession.id, kind: 'address' } as const
    await room.state.identity.transact((tx) =>
      tx.insertBinding({ id: 'binding-made-when-it-was-longer', ...of, value: elsewhere, ...old }),
    )
    expect(await room.identity.inBand.recognise({ address })).toBeDefined()
    expect(await room.identity.inBand.recognise({ address: elsewhere })).toBeUndefined()
  })

  test('stands until its time is over, or it or its browser is signed out', async () => {
    const { identity } = room
    const { visitor, identified } = await remembered('erin', freshAddress())
    expect(await identity.stands(identified)).toBe(true)
    await identity.own.revoke(visitor.person, identified.credential)
    expect(await identity.stands(identified)).toBe(false)
    const again = await remembered('erin', freshAddress())
    await identity.browser.signOut(again.visitor)
    expect(await identity.stands(again.identified)).toBe(false)
    const third = (await remembered('erin', freshAddress())).identified
    room.clock.pass(8 * 3_600_000)
    expect(await identity.stands(third)).toBe(false)
  })

  test('is nobody when two people share the address', async () => {
    const address = freshAddress()
    await remembered('erin', address)
    await remembered('ada', address)
    expect(await room.identity.inBand.recognise({ address })).toBeUndefined()
  })

  test('ends with the browser that made it', async () => {
    const address = freshAddress()
    const { visitor } = await remembered('erin', address)
    await room.identity.browser.signOut(visitor)
    expect(await room.identity.inBand.recognise({ address })).toBeUndefined()
  })

  test('can be revoked by its owner alone', async () => {
    const address = freshAddress()
    const { visitor, identified } = await remembered('erin', address)
    const ada = await room.signIn('ada')
    const { own } = room.identity
    await expect(own.revoke(ada.person, identified.credential)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await own.list(visitor.person.id)).bindings.map(({ id }) => id)).toContain(identified.credential)
    await own.revoke(visitor.person, identified.credential)
    expect(await room.identity.inBand.recognise({ address })).toBeUndefined()
    expect(room.changes.at(-1)).toEqual({
      ...{ kind: 'credential-revoked', person: visitor.person.id, credential: identified.credential },
    })
    await expect(own.revoke(visitor.person, identified.credential)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
