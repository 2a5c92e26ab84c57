import { describe, expect, test } from 'vitest'
import type { Binding } from '../../src/identity/store.ts'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'
import {
  at,
  someBinding,
  someBrowserSession,
  someFingerprint,
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

    test('keep when everything of theirs was ended last', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { identity } = state
      const erin = await storePerson(state)
      expect(await identity.everythingEndedAt(erin.id)).toBeNull()
      await identity.transact((tx) => tx.noteEverythingEnded(erin.id, at(10)))
      await identity.transact((tx) => tx.savePerson(erin))
      expect(await identity.everythingEndedAt(erin.id)).toBe(at(10))
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
    const livingAfter = async (ms: number) =>
      (await identity.browserSessionsLivingAfter(erin.id, at(ms))).map(({ id }) => id)
    expect(await livingAfter(29)).toEqual([linked.id, plain.id])
    expect(await livingAfter(30)).toEqual([plain.id])
    expect(await livingAfter(plain.expiresAt - at(0))).toEqual([])
    expect(await identity.browserSessionsToRefresh(at(1))).toHaveLength(1)
    const endedMs = plain.expiresAt - at(0) + 10
    await identity.transact((tx) => tx.endBrowserSession(plain.id, at(endedMs)))
    expect(await livingAfter(endedMs - 1)).toEqual([plain.id])
    expect(await livingAfter(endedMs)).toEqual([])
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

  test('sign-ins for SSH keep the key that was shown, and only those have one', async () => {
    await using place = await makePlace()
    const { identity } = await place.open()
    const withKey = someSignIn({ purpose: 'ssh', keyFingerprint: someFingerprint, code: 'AAA-AAA' })
    const without = someSignIn({ purpose: 'ssh', code: 'BBB-BBB' })
    await identity.transact(async (tx) => {
      await tx.insertSignIn(withKey)
      await tx.insertSignIn(without)
    })
    expect(await identity.signIn(withKey.id)).toEqual(withKey)
    expect(await identity.signInByCode('BBB-BBB')).toEqual(without)
    for (const wrong of [
      someSignIn({ purpose: 'postgres', keyFingerprint: someFingerprint, code: 'CCC-CCC' }),
      someSignIn({ purpose: 'ssh', keyFingerprint: 'MD5:no', code: 'DDD-DDD' }),
    ]) {
      const inserted = identity.transact((tx) => tx.insertSignIn(wrong))
      await expect(inserted).rejects.toMatchObject({ code: 'STORE_FAILED' })
    }
  })

  test('an SSH key is bound to one person at a time', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const { identity } = state
    const [erin, kim] = [await storePerson(state), await storePerson(state)]
    const [hers, his] = [someBrowserSession(erin.id), someBrowserSession(kim.id)]
    const key = { kind: 'ssh-key', value: someFingerprint } as const
    const first = someBinding(hers, key)
    const insert = (binding: Binding) => identity.transact((tx) => tx.insertBinding(binding))
    await identity.transact(async (tx) => {
      await tx.insertBrowserSession(hers)
      await tx.insertBrowserSession(his)
      await tx.insertBinding(first)
    })
    expect(await identity.bindingsFor('ssh-key', someFingerprint, at(2000))).toEqual([first])
    expect(await identity.bindingsFor('address', someFingerprint, at(2000))).toEqual([])
    const taken = insert(someBinding(his, { ...key, createdAt: at(19_999) }))
    await expect(taken).rejects.toMatchObject({ code: 'KEY_TAKEN' })
    await insert(someBinding(his, { kind: 'address' }))
    await insert(someBinding(hers, { ...key, createdAt: at(2000), expiresAt: at(19_000) }))
    await insert(someBinding(his, { ...key, createdAt: at(20_000), expiresAt: at(30_000) }))
    const back = insert(someBinding(hers, { ...key, createdAt: at(29_999), expiresAt: at(40_000) }))
    await expect(back).rejects.toMatchObject({ code: 'KEY_TAKEN' })
    const [bound] = await identity.bindingsFor('ssh-key', someFingerprint, at(25_000))
    await identity.transact((tx) => tx.endBinding(bound!.id, at(25_000)))
    await insert(someBinding(hers, { ...key, createdAt: at(25_000), expiresAt: at(40_000) }))
    const wrong = insert(someBinding(hers, { kind: 'ssh-key', value: '203.0.113.9' }))
    await expect(wrong).rejects.toMatchObject({ code: 'STORE_FAILED' })
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
