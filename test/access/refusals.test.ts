// Goal: nobody fills the audit log by being refused, or hides one refusal behind others. Method: the access room over the real
// store, with its clock turned by hand.
import { expect, test } from 'vitest'
import type { AuditEvent } from '../../src/audit/event.ts'
import { refusalsMax } from '../../src/access/refusals.ts'
import { HandClock } from '../clock.ts'
import { openWorld, people, silent, type World } from './world.ts'

const { alice, bob } = people
const wish = { resource: 'prod-db', reason: '', ticket: null, startsAt: null, origin: 'test', lengthMs: 60_000 }

async function events({ state }: World): Promise<readonly AuditEvent[]> {
  return (await state.audit.events(0, 10_000)).map(({ json }) => JSON.parse(json) as AuditEvent)
}

async function refuse({ access }: World, times: number, role = 'readonly', who = alice): Promise<void> {
  for (let time = 0; time < times; time++) await expect(access.ask(who, { ...wish, role })).rejects.toThrow()
}

test('a loop of refused requests leaves few events, and how many more there were', async () => {
  const counted: string[] = []
  const metrics = { ...silent, add: (name: string) => void counted.push(name) }
  const clock = new HandClock()
  await using world = await openWorld(clock, 3_600_000, { metrics })
  await refuse(world, 60)
  expect(await events(world)).toHaveLength(refusalsMax)
  expect(counted.filter((name) => name === 'curfew_refusals_total')).toHaveLength(60)

  await refuse(world, 1, 'nothing')
  await refuse(world, 1, 'readonly', bob)
  await expect(world.access.decide(alice, 'request-unknown', 'approve', '')).rejects.toThrow()
  const others = (await events(world)).slice(refusalsMax)
  expect(others.map(({ type, data }) => [type, data['code']])).toEqual([
    ['request.refused', 'ROLE_UNKNOWN'],
    ['request.refused', 'RESOURCE_UNKNOWN'],
    ['decision.refused', 'REQUEST_UNKNOWN'],
  ])

  clock.pass(59_999)
  await world.access.sweep()
  expect(await events(world)).toHaveLength(refusalsMax + 3)
  clock.pass(1)
  await world.access.sweep()
  await world.access.sweep()
  const last = (await events(world)).slice(refusalsMax + 3)
  expect(last).toMatchObject([
    {
      type: 'refusals.left-out',
      person: alice.id,
      data: { of: 'request.refused', code: 'REASON_REQUIRED', leftOut: 60 - refusalsMax },
    },
  ])
})

test('who goes on in the next minute is on record again, with those before', async () => {
  const clock = new HandClock()
  await using world = await openWorld(clock)
  await refuse(world, refusalsMax + 2)
  clock.pass(60_000)
  await refuse(world, 1)
  const last = (await events(world)).slice(refusalsMax)
  expect(last.map(({ type, data }) => [type, data['leftOut']])).toEqual([
    ['refusals.left-out', 2],
    ['request.refused', undefined],
  ])
})
