// Goal: two gateways on one database cannot both take a step, and no race gives more than everybody agreed to.
// Method: two processes, each with people for both steps, decide on the same requests at the same moment, and sweep.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { everyEvent, firstBroken } from '../contracts/chain.ts'
import { systemClock } from '../../src/system.ts'
import { inSteps, type Voice } from './deciding-process.ts'
import { openWorld, people, type World } from './world.ts'

const { alice, bob, carol, sam } = people
const ann = { ...sam, id: 'person-ann', subject: 'ann', email: 'ann@example.com' } as const
const script = fileURLToPath(new URL('./deciding-process.ts', import.meta.url))
const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 60_000, ticket: null, startsAt: null, origin: 'test' }

const voices: readonly (readonly Voice[])[] = [
  [
    { person: bob.id, terms: { lengthMs: 30_000 }, refuses: false },
    { person: ann.id, terms: { networks: ['10.0.0.0/8'] }, refuses: false },
  ],
  [
    { person: carol.id, terms: { lengthMs: 40_000 }, refuses: true },
    { person: sam.id, terms: { networks: ['192.0.2.0/24'] }, refuses: false },
  ],
]

test('each step of each request has one winner among two processes, and the grant is what the winners agreed to', async () => {
  await using world = await openWorld(systemClock, 3_600_000, { policies: [inSteps] })
  await world.state.identity.transact((tx) => tx.savePerson(ann))
  const asking = Array.from({ length: 20 }, (_, index) => world.access.ask(alice, { ...wish, reason: `${index}` }))
  const ids = (await Promise.all(asking)).map(({ id }) => id)
  const outcomes = await race(world, ids)
  expect(outcomes).toHaveLength(4 * ids.length)
  const said = new Set(outcomes.map((line) => line.split(' ')[2]))
  expect([...said].filter((word) => !expected.includes(word!))).toEqual([])

  // it was a race: people of both processes were first somewhere
  const winners = new Set(outcomes.filter((line) => line.endsWith(' approve')).map((line) => line.split(' ')[1]))
  for (const own of voices) expect(own.some(({ person }) => winners.has(person))).toBe(true)

  for (const id of ids) await checkRequest(world, id, outcomes)
  const events = await everyEvent(world.state.audit)
  expect(firstBroken(events)).toBeUndefined()
  const called = events
    .map(({ json }) => JSON.parse(json) as { type: string; data: { request: string } })
    .filter(({ type }) => type === 'request.escalated')
  expect(new Set(called.map(({ data }) => data.request)).size).toBe(called.length)
})

/** What a decision may come to. */
const expected = ['approve', 'deny', 'ALREADY_DECIDED', 'REQUEST_CLOSED', 'NOT_ALLOWED']

async function checkRequest(world: World, id: `request-${string}`, outcomes: readonly string[]): Promise<void> {
  const { access } = world.state
  const [request, decisions, grant] = [await access.request(id), await access.decisionsOn(id), await access.grantOf(id)]
  const won = outcomes.filter((line) => line.startsWith(id) && /(approve|deny)$/.test(line))
  expect(decisions.map(({ person, verdict }) => `${id} ${person} ${verdict}`).toSorted()).toEqual(won.toSorted())
  if (request?.state === 'denied') {
    expect([decisions.map(({ verdict }) => verdict), grant]).toEqual([['deny'], undefined])
    return
  }
  expect(request?.state).toBe('approved')
  const [first, second] = decisions.toSorted((left, right) => left.step - right.step)
  expect([decisions.length, first?.step, second?.step]).toEqual([2, 0, 1])
  expect(grant).toMatchObject({ lengthMs: first!.terms!.lengthMs, networks: second!.terms!.networks })
}

/** @returns what each person got to hear, a line each. */
async function race({ folder }: World, ids: readonly string[]): Promise<readonly string[]> {
  // From both ends, so that they meet.
  const children = voices.map((own, index) => {
    const inOrder = index === 0 ? ids : ids.toReversed()
    return spawn(process.execPath, [script, folder, JSON.stringify(own), ...inOrder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
  })
  const outputs = children.map(({ stdout }) => createInterface({ input: stdout })[Symbol.asyncIterator]())
  for (const output of outputs) expect((await output.next()).value).toBe('ready')
  const ends = children.map((child) => once(child, 'exit'))
  for (const child of children) child.stdin.write('go\n')
  const lines = (
    await Promise.all(outputs.map((output) => Array.fromAsync({ [Symbol.asyncIterator]: () => output })))
  ).flat()
  expect((await Promise.all(ends)).map(([code]) => code as unknown)).toEqual([0, 0])
  return lines
}
