import { describe, expect, test } from 'vitest'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'
import {
  at,
  someBinding,
  someBrowserSession,
  someEnd,
  somePerson,
  someSession,
  someSignIn,
  someToken,
  storeGrant,
  storePerson,
} from './samples.ts'

/** What every IdentityStore must do. */
export function identityStoreContract(makePlace: MakePlace): void {
  describe('people', () => {
    test('are found by id, subject and e-mail address, and updated', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { identity } = state
      const erin = await storePerson(state, { email: 'Erin@Example.com' })
      const other = await storePerson(state, {
        issuer: 'https://other.example.com',
        subject: erin.subject,
        email: null,
      })
      expect(await identity.person(erin.id)).toEqual(erin)
      expect(await identity.person(random.id('person'))).toBeUndefined()
      expect(await identity.personBySubject(other.issuer, erin.subject)).toEqual(other)
      expect(await identity.peopleByEmail('erin@example.COM')).toEqual([erin])
      const later = { ...erin, email: 'e@example.com', name: 'Erin', groups: [], seenAt: at(2000) }
      await identity.transact((tx) => tx.savePerson(later))
      expect(await identity.person(erin.id)).toEqual(later)
    })

    test('keep their issuer and subject for ever', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const erin = await storePerson(state)
      const impostor = somePerson({ issuer: erin.issuer, subject: erin.subject })
      await expect(state.identity.transact((tx) => tx.savePerson(impostor))).rejects.toMatchObject({
        code: 'STORE_FAILED',
      })
      expect(await state.identity.personBySubject(erin.issuer, erin.subject)).toEqual(erin)
    })
  })

  test('browser sessions are found, refreshed, and end once', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const { identity } = state
    const [erin, other] = [await storePerson(state), await storePerson(state, { issuer: 'https://other.example.com' })]
    const plain = someBrowserSession(erin.id, { createdAt: at(10) })
    const linked = someBrowserSession(erin.id, {
      createdAt: at(20),
      providerSession: 'sid-1',
      idToken: 'e.y.J',
      sealedRefreshToken: 'sealed',
    })
    const same = someBrowserSession(other.id, { providerSession: 'sid-1' })
    await identity.transact(async (tx) => {
      for (const session of [plain, linked, same]) await tx.insertBrowserSession(session)
    })
    expect(await identity.browserSession(plain.id)).toEqual(plain)
    expect(await identity.browserSessionBySecret(linked.secretHash)).toEqual(linked)
    expect(await identity.browserSessionBySecret('unknown')).toBeUndefined()
    expect(await identity.browserSessionsOf(erin.id)).toEqual([linked, plain])
    expect(await identity.browserSessionsByProvider(erin.issuer, 'sid-1')).toEqual([linked])
    expect(await identity.browserSessionsToRefresh(at(49_999))).toEqual([linked])
    expect(await identity.browserSessionsToRefresh(at(50_000))).toEqual([])
    await identity.transact((tx) => tx.updateBrowserSessionTokens(plain.id, 'new'))
    expect(await identity.browserSessionsToRefresh(at(1))).toHaveLength(2)
    const end = () => identity.transact((tx) => tx.endBrowserSession(linked.id, at(30)))
    expect([await end(), await end()]).toEqual([true, false])
    expect(await identity.browserSession(linked.id)).toEqual({ ...linked, endedAt: at(30) })
    expect(await identity.browserSessionsToRefresh(at(1))).toHaveLength(1)
  })

  test('a browser session that has run out is refreshed while a live session hangs on it', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const grant = await storeGrant(state, (await storePerson(state)).id)
    const signedIn = someBrowserSession(grant.person, { sealedRefreshToken: 'sealed' })
    await state.identity.transact((tx) => tx.insertBrowserSession(signedIn))
    const session = someSession(grant, { browserSession: signedIn.id, credential: signedIn.id })
    await state.sessions.transact((tx) => tx.insertSession(session, null))
    expect(await state.identity.browserSessionsToRefresh(signedIn.expiresAt)).toEqual([signedIn])
    await state.sessions.transact((tx) => tx.endSession(session.id, someEnd))
    expect(await state.identity.browserSessionsToRefresh(signedIn.expiresAt)).toEqual([])
  })

  test('sign-ins are found by their newest code and answered once', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const { identity } = state
    const erin = await storePerson(state)
    const session = someBrowserSession(erin.id)
    const [older, newer] = [someSignIn(), someSignIn({ createdAt: at(6000), expiresAt: at(9000), purpose: 'cli' })]
    await identity.transact(async (tx) => {
      await tx.insertBrowserSession(session)
      await tx.insertSignIn(older)
      await tx.insertSignIn(newer)
    })
    expect(await identity.signIn(older.id)).toEqual(older)
    expect(await identity.signInByCode('KF7-XR2')).toEqual(newer)
    expect(await identity.signInByCode('AAA-AAA')).toBeUndefined()
    const twin = someSignIn({ createdAt: at(8999), expiresAt: at(12_000) })
    await expect(identity.transact((tx) => tx.insertSignIn(twin))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    const answered = { person: erin.id, browserSession: session.id, answeredAt: at(7000) }
    const answer = (state: 'confirmed' | 'refused') =>
      identity.transact((tx) => tx.answerSignIn({ ...newer, ...answered, state }))
    expect(await Promise.all([answer('confirmed'), answer('refused')])).toEqual([true, false])
    expect(await identity.signIn(newer.id)).toEqual({ ...newer, ...answered, state: 'confirmed' })
  })

  test('bindings are recognised while they live', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const { identity } = state
    const erin = await storePerson(state)
    const session = someBrowserSession(erin.id)
    const [first, second] = [someBinding(session), someBinding(session, { createdAt: at(2000), expiresAt: at(9000) })]
    await identity.transact(async (tx) => {
      await tx.insertBrowserSession(session)
      await tx.insertBinding(first)
      await tx.insertBinding(second)
    })
    expect(await identity.bindingsFor('address', '203.0.113.9', at(8999))).toEqual([second, first])
    expect(await identity.bindingsFor('address', '203.0.113.9', at(9000))).toEqual([first])
    expect(await identity.bindingsFor('address', '203.0.113.8', at(1))).toEqual([])
    const end = () => identity.transact((tx) => tx.endBinding(first.id, at(9500)))
    expect([await end(), await end()]).toEqual([true, false])
    expect(await identity.bindingsFor('address', '203.0.113.9', at(9000))).toEqual([])
    expect(await identity.bindingsOf(erin.id)).toEqual([second, { ...first, endedAt: at(9500) }])
    expect(await identity.binding(first.id)).toEqual({ ...first, endedAt: at(9500) })
    expect(await identity.binding('binding-unknown')).toBeUndefined()
  })

  test('tokens are found by their hash, touched, and end once', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const { identity } = state
    const erin = await storePerson(state)
    const token = someToken(erin.id)
    await identity.transact((tx) => tx.insertToken(token))
    expect(await identity.token(token.id)).toEqual(token)
    expect(await identity.tokenBySecret('unknown')).toBeUndefined()
    await identity.transact((tx) => tx.touchToken(token.id, at(3000)))
    const end = () => identity.transact((tx) => tx.endToken(token.id, at(4000)))
    expect([await end(), await end()]).toEqual([true, false])
    const ended = { ...token, lastUsedAt: at(3000), endedAt: at(4000) }
    expect(await identity.tokenBySecret(token.secretHash)).toEqual(ended)
    expect(await identity.tokensOf(erin.id)).toEqual([ended])
  })
}
