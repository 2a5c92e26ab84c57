import { expect, test } from 'vitest'
import type { Change } from '../../src/kernel/change.ts'
import type { State } from '../../src/store/state.ts'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'

/** What every ChangeFeed must do. */
export function changeFeedContract(makePlace: MakePlace): void {
  test('each committed change comes once, in order, before its transaction resolves', async () => {
    await using place = await makePlace()
    const state = await place.open()
    await announce(state, someChange())
    const heard = listen(state)
    const changes = Array.from({ length: 300 }, someChange)
    for (const change of changes.slice(0, 3)) {
      await announce(state, change)
      expect(heard.at(-1)).toEqual(change)
    }
    await Promise.all(changes.slice(3).map((change) => announce(state, change)))
    place.clock.pass(1000)
    await state.healthy()
    expect(heard).toEqual(changes)
  })

  test('a listener that throws, or has gone, does not keep others from hearing', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const gone = listen(state)
    state.changes.subscribe(() => {
      throw new Error('a bad listener')
    })
    const subscription = state.changes.subscribe((change) => gone.push(change))
    subscription[Symbol.dispose]()
    const heard = listen(state)
    const change = someChange()
    await announce(state, change)
    expect(heard).toEqual([change])
    expect(gone).toEqual([change])
  })

  // Goal: what one process commits reaches the others by the poll, in the order of the commits, each once.
  test('changes of several states over one store reach all of them, in one order', async () => {
    await using place = await makePlace()
    const [one, other] = [await place.open(), await place.open()]
    const [byOne, byOther] = [listen(one), listen(other)]
    const changes = Array.from({ length: 60 }, someChange)
    await Promise.all(changes.map((change, index) => announce(index % 2 === 0 ? one : other, change)))
    const [toOne, toOther] = [someChange(), someChange()]
    await announce(other, toOne)
    await announce(one, toOther)
    await expect
      .poll(() => {
        place.clock.pass(1000)
        return [byOne.length, byOther.length]
      })
      .toEqual([62, 62])
    expect(byOne).toEqual(byOther)
    expect(new Set(byOne.map((change) => JSON.stringify(change))).size).toBe(62)
  })

  test('what was committed before the state was opened is not told', async () => {
    await using place = await makePlace()
    const first = await place.open()
    await announce(first, someChange())
    const second = await place.open()
    const heard = listen(second)
    const change = someChange()
    await announce(second, change)
    expect(heard).toEqual([change])
  })
}

function listen(state: State): Change[] {
  const heard: Change[] = []
  state.changes.subscribe((change) => heard.push(change))
  return heard
}

function announce(state: State, change: Change): Promise<void> {
  return state.sessions.transact((tx) => tx.announce(change))
}

function someChange(): Change {
  return { kind: 'session-killed', session: random.id('session'), by: 'op@example.com', comment: 'ß' }
}
