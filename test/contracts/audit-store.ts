import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, chainStart } from '../../src/audit/chain.ts'
import { auditTypes, type AuditEvent, type AuditValue } from '../../src/audit/event.ts'
import { everyEvent, firstBroken } from './chain.ts'
import type { MakePlace } from './place.ts'
import { at, someEvent } from './samples.ts'

const values = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.string()),
) as fc.Arbitrary<AuditValue>
const events: fc.Arbitrary<AuditEvent> = fc.record({
  type: fc.constantFrom(...auditTypes),
  at: fc.nat().map(at),
  person: fc.constantFrom(null, 'person-a' as const),
  personName: fc.option(fc.string({ unit: 'grapheme' })),
  data: fc.dictionary(fc.string({ minLength: 1 }), values, { maxKeys: 5 }),
})

/** What every AuditStore must do. */
export function auditStoreContract(makePlace: MakePlace): void {
  // Goal: whatever is appended, in whatever company, ends in one chain without gaps that anybody can recompute.
  test('the chain holds for any events, appended at once, with one failing among them', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const expected: string[] = []
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(events, { maxLength: 3 }), { maxLength: 6 }), async (batches) => {
        const before = batches.map((batch) => state.audit.append(batch))
        const failing = state.access.transact(async (tx) => {
          for (const event of batches.flat()) await tx.record(event)
          await tx.openRequests() // what was recorded has reached the database
          throw new Error('undone')
        })
        const after = batches.map((batch) => state.audit.append(batch))
        await expect(failing).rejects.toThrow('undone')
        await Promise.all([...before, ...after])
        expected.push(...[...batches, ...batches].flat().map(canonicalJson))
      }),
      { numRuns: 40 },
    )
    const all = await everyEvent(state.audit)
    expect(all.map(({ json }) => json)).toEqual(expected)
    expect(firstBroken(all)).toBeUndefined()
    const last = all.at(-1)
    expect(await state.audit.head()).toEqual({ sequence: last?.sequence ?? 0, hash: last?.hash ?? chainStart })
    const reopened = await place.open()
    await reopened.audit.append([someEvent()])
    await state.audit.append([someEvent()])
    expect(firstBroken(await everyEvent(state.audit))).toBeUndefined()
  })

  test('an empty log has the start of the chain as its head', async () => {
    await using place = await makePlace()
    const { audit } = await place.open()
    expect(await audit.head()).toEqual({ sequence: 0, hash: chainStart })
    await audit.append([])
    expect(await audit.events(0, 10)).toEqual([])
  })

  test('events are paged forwards and searched backwards', async () => {
    await using place = await makePlace()
    const { audit } = await place.open()
    const types = ['lock.placed', 'session.started', 'session.ended', 'session.started', 'lock.lifted'] as const
    await audit.append(types.map((type, index) => someEvent(type, { note: `Number ${index + 1} 100%_` })))
    const numbers = async (found: ReturnType<typeof audit.search>) => (await found).map(({ sequence }) => sequence)
    expect(await numbers(audit.events(1, 2))).toEqual([2, 3])
    expect(await numbers(audit.search({ limit: 2 }))).toEqual([5, 4])
    expect(await numbers(audit.search({ limit: 9, before: 3 }))).toEqual([2, 1])
    expect(await numbers(audit.search({ limit: 9, types: ['session.started', 'lock.lifted'] }))).toEqual([5, 4, 2])
    expect(await numbers(audit.search({ limit: 9, types: [] }))).toEqual([])
    expect(await numbers(audit.search({ limit: 9, text: 'nUMBER 3' }))).toEqual([3])
    expect(await numbers(audit.search({ limit: 9, text: '0%_' }))).toEqual([5, 4, 3, 2, 1])
    expect(await numbers(audit.search({ limit: 9, text: '%', types: ['session.ended'] }))).toEqual([3])
    expect(await numbers(audit.search({ limit: 9, text: 'absent' }))).toEqual([])
  })

  test('what mentions an id is found, as a whole value and nowhere else', async () => {
    await using place = await makePlace()
    const { audit } = await place.open()
    const facts = [
      { grant: 'grant-a' },
      { note: 'of grant-a', list: ['grant-a'] },
      { holder: 'grant-b', other: null },
      { request: "it's \u0000 odd" },
    ]
    await audit.append(facts.map((data) => someEvent('session.started', data)))
    const numbers = async (ids: readonly string[], after = 0, upTo = 9) =>
      (await audit.mentioning(ids, after, upTo)).map(({ sequence }) => sequence)
    expect(await numbers(['grant-a', 'grant-b', 'grant-c'])).toEqual([1, 3])
    expect(await numbers(["it's \u0000 odd"])).toEqual([4])
    expect(await numbers(['grant-a', 'grant-b'], 1, 2)).toEqual([])
    expect(await numbers(['grant-a', 'grant-b'], 1, 3)).toEqual([3])
    expect(await numbers([])).toEqual([])
  })

  test('checkpoints come back in the order they were added', async () => {
    await using place = await makePlace()
    const { audit } = await place.open()
    await audit.append([someEvent(), someEvent()])
    const checkpoints = [1, 2, 2].map((sequence, index) => ({ sequence, jws: `e.y.${index}` }))
    for (const checkpoint of checkpoints) await audit.addCheckpoint(checkpoint)
    expect(await audit.checkpoints()).toEqual(checkpoints)
    expect(await audit.checkpointFrom(1)).toEqual(checkpoints[0])
    expect(await audit.checkpointFrom(2)).toEqual(checkpoints[1])
    expect(await audit.checkpointFrom(3)).toBeUndefined()
    await expect(audit.addCheckpoint({ sequence: 3, jws: 'of nothing' })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    })
  })
}
