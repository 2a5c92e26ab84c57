// Goal: what the log tells of some ids is found from about an instant on, however long the log and wherever the clock was.
import { expect, test } from 'vitest'
import { auditEvent, theGateway } from '../../src/audit/event.ts'
import { eventsAbout } from '../../src/evidence/events-about.ts'
import { at } from '../contracts/samples.ts'
import { makeSqlitePlace } from '../store/place.ts'

const hourMs = 3_600_000

test('events are found in order, up to the one that is asked for', async () => {
  await using place = await makeSqlitePlace()
  const { audit } = await place.open()
  const minutes = Array.from({ length: 3000 }, (_, index) => index)
  const about = (index: number) =>
    index % 100 === 7 ? { session: `session-${index % 300}` } : { session: 'session-x' }
  await audit.append(
    minutes.map((index) => auditEvent('session.started', at(index * 60_000), theGateway, about(index))),
  )
  const find = async (since: number, upTo: number) =>
    (await Array.fromAsync(eventsAbout(audit, ['session-7', 'session-107'], { since: at(since), upTo }))).map(
      ({ sequence }) => sequence,
    )
  const all = minutes.filter((index) => [7, 107].includes(index % 300)).map((index) => index + 1)
  expect(await find(0, 3000)).toEqual(all)
  expect(await find(0, 400)).toEqual([8, 108, 308])
  // An hour before is looked at, too: the clock may have been set back.
  expect(await find(10 * hourMs, 1000)).toEqual(all.filter((sequence) => sequence > 540 && sequence <= 1000))
  expect(await find(100 * hourMs, 3000)).toEqual([])
  expect(await find(0, 0)).toEqual([])
})
