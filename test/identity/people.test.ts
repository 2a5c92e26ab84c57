import { expect, test } from 'vitest'
import { updatePerson } from '../../src/identity/people.ts'
import type { Change } from '../../src/kernel/change.ts'
import { systemClock } from '../../src/system.ts'
import { openWorld, people } from '../access/world.ts'

test('whatever policies look at in a person is kept, and told to every node when it changes', async () => {
  await using world = await openWorld()
  const { identity, changes } = world.state
  const heard: Change[] = []
  using _ = changes.subscribe((change) => void heard.push(change))
  const update = async (profile: Partial<typeof people.alice>) => {
    const known = (await identity.person(people.alice.id))!
    heard.length = 0
    await identity.transact((tx) => updatePerson(tx, known, { ...known, ...profile }, systemClock.now()))
    await new Promise((resolve) => setImmediate(resolve))
    return heard.map(({ kind }) => kind)
  }
  expect(await update({})).toEqual([])
  expect(await update({ claims: { department: ['data'], level: [] } })).toEqual(['person-changed'])
  expect(await identity.person(people.alice.id)).toMatchObject({ claims: { department: ['data'], level: [] } })
  expect(await update({ claims: { level: [], department: ['data'] } })).toEqual([])
  expect(await update({ claims: { department: ['ops'], level: [] } })).toEqual(['person-changed'])
  expect(await update({ email: 'alice@elsewhere.example' })).toEqual(['person-changed'])
  expect(await update({ groups: ['engineers', 'dba'] })).toEqual(['person-changed'])
  expect(await world.auditTypes()).toEqual(['person.groups-changed'])
})
