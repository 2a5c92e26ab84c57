import { expect, test } from 'vitest'
import type { MakePlace } from './place.ts'
import { at, someSession, storeGrant, storePerson } from './samples.ts'

/** What every store must read for bundles of evidence. */
export function evidenceStoreContract(makePlace: MakePlace): void {
  test('sessions under a grant come oldest first, in pages, also those of one instant', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const erin = await storePerson(state)
    const [grant, other] = [await storeGrant(state, erin.id), await storeGrant(state, (await storePerson(state)).id)]
    const times = [5, 3, 3, 3, 9, 1]
    const sessions = times.map((time) => someSession(grant, { startedAt: at(time) }))
    await state.sessions.transact(async (tx) => {
      for (const session of [...sessions, someSession(other)]) await tx.insertSession(session, null)
    })
    const found: string[] = []
    for (let page = await state.evidence.sessionsOf(grant.id, null, 2); page.length > 0;) {
      found.push(...page.map(({ session }) => session.id))
      page = await state.evidence.sessionsOf(grant.id, page.at(-1)!.session, 2)
    }
    const inOrder = sessions.toSorted(
      (left, right) => left.startedAt - right.startedAt || (left.id < right.id ? -1 : 1),
    )
    expect(found).toEqual(inOrder.map(({ id }) => id))
    expect(await state.evidence.extensionsOf(grant.id, 10)).toEqual([])
  })
}
