import { expect, test } from 'vitest'
import type { Session, SessionPlace, SessionWish } from '../../src/sessions/session.ts'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'
import { at, someEnd, someSession, storeGrant, storePerson } from './samples.ts'

/** What every SessionStore must do. */
export function sessionStoreContract(makePlace: MakePlace): void {
  test('sessions come back as they were written, and end once', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const session = someSession(await storeGrant(state, (await storePerson(state)).id))
    await state.sessions.transact(async (tx) => {
      await tx.insertSession(session, '2026/session')
      expect(await tx.session(session.id)).toEqual({ session, end: null, recording: '2026/session' })
    })
    const end = () => state.sessions.transact((tx) => tx.endSession(session.id, someEnd))
    expect([await end(), await end()]).toEqual([true, false])
    expect(await state.sessions.session(session.id)).toEqual({ session, end: someEnd, recording: '2026/session' })
    expect(await state.sessions.session(random.id('session'))).toBeUndefined()
    expect(await state.sessions.transact((tx) => tx.endSession(random.id('session'), someEnd))).toBe(false)
  })

  test('sessions over SSH are kept like any other', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const grant = await storeGrant(state, (await storePerson(state)).id)
    const from = { address: '2001:db8::7', port: 50_123, application: 'OpenSSH_9.2', tls: false }
    const session = someSession(grant, { database: null, client: { protocol: 'ssh', ...from } })
    await state.sessions.transact((tx) => tx.insertSession(session, null))
    expect(await state.sessions.session(session.id)).toEqual({ session, end: null, recording: null })
  })

  test('sessions are listed newest first, by person, and by being live', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const [erin, kim] = [await storePerson(state), await storePerson(state)]
    const [grant, other] = [await storeGrant(state, erin.id), await storeGrant(state, kim.id)]
    const sessions = [1, 2, 3, 4].map((n) => someSession(n === 3 ? other : grant, { startedAt: at(n) }))
    await state.sessions.transact(async (tx) => {
      for (const session of sessions) await tx.insertSession(session, null)
      await tx.endSession(sessions[1]!.id, someEnd)
    })
    const starts = async (filter: Parameters<typeof state.sessions.sessions>[0]) =>
      (await state.sessions.sessions(filter)).map(({ session }) => session.startedAt)
    expect(await starts({ limit: 9 })).toEqual([4, 3, 2, 1])
    expect(await starts({ limit: 2 })).toEqual([4, 3])
    expect(await starts({ limit: 9, person: kim.id })).toEqual([3])
    expect(await starts({ limit: 9, live: true })).toEqual([4, 3, 1])
    expect(await starts({ limit: 9, live: false, person: erin.id })).toEqual([2])
  })

  test('recordings are searched newest first, in pages, and no further back than was asked for', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const [erin, kim] = [await storePerson(state), await storePerson(state)]
    const [grant, other] = [await storeGrant(state, erin.id), await storeGrant(state, kim.id)]
    // Several begin at one instant; each third has no recording.
    const sessions = Array.from({ length: 60 }, (_, n) =>
      n % 4 === 1
        ? someSession(other, { startedAt: at(Math.floor(n / 5)), personName: 'Kim (100 %)' })
        : someSession(grant, { startedAt: at(Math.floor(n / 5)), personName: 'Erin' }),
    )
    await state.sessions.transact(async (tx) => {
      for (const [n, session] of sessions.entries()) await tx.insertSession(session, n % 3 === 0 ? null : `${n}`)
    })
    const newestFirst = (await state.sessions.sessions({ limit: 99 })).filter(({ recording }) => recording !== null)
    const walk = async (wish: Omit<SessionWish, 'place' | 'limit' | 'looksMax'>, limit: number, looksMax: number) => {
      const pages: string[][] = []
      let next: SessionPlace | undefined
      do {
        const found = await state.sessions.searchRecorded({ ...wish, limit, looksMax, ...(next && { place: next }) })
        pages.push(found.rows.map(({ session }) => session.id))
        next = found.next
      } while (next !== undefined)
      return pages
    }
    const fitting = (fits: (session: Session) => boolean) =>
      newestFirst.filter(({ session }) => fits(session)).map(({ session }) => session.id)
    for (const [limit, looksMax] of [
      [99, 99],
      [7, 99],
      [99, 7],
      [3, 5],
      [1, 1],
    ] as const) {
      const all = async (wish: Parameters<typeof walk>[0]) => (await walk(wish, limit, looksMax)).flat()
      expect(await all({})).toEqual(fitting(() => true))
      expect(await all({ person: kim.id })).toEqual(fitting(({ person }) => person === kim.id))
      expect(await all({ name: 'KIM (100 %' })).toEqual(fitting(({ person }) => person === kim.id))
      expect(await all({ name: '_' })).toEqual([])
      expect(await all({ since: at(7) })).toEqual(fitting(({ startedAt }) => startedAt >= 7))
      expect(await all({ resource: grant.resource })).toEqual(fitting(() => true))
      expect(await all({ resource: 'nowhere' })).toEqual([])
    }
    expect(await walk({ name: 'nobody' }, 10, 25)).toEqual([[], [], []])
  })

  // Goal: a session that lost the race against a revocation is not written. Its insert is not waited for: the end tells.
  test('no session begins under a grant that is over, nor as another role', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const grant = await storeGrant(state, (await storePerson(state)).id)
    const start = (over: Parameters<typeof someSession>[1]) =>
      state.sessions.transact((tx) => tx.insertSession(someSession(grant, over), null))
    const refused = { code: 'GRANT_IN_WRONG_STATE' }
    await expect(start({ role: 'admin' })).rejects.toMatchObject(refused)
    await expect(start({ person: (await storePerson(state)).id })).rejects.toMatchObject(refused)
    await start({})
    const over = { endedAt: at(5), endedBy: null, comment: null }
    await state.access.transact((tx) => tx.updateGrant({ ...grant, ...over, state: 'revoked' }))
    await expect(start({})).rejects.toMatchObject(refused)
    expect(await state.sessions.sessions({ limit: 9 })).toHaveLength(1)
  })
}
