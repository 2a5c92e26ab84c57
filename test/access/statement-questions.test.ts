// Goal: a statement that waits is answered once, in time, by somebody else; the database refuses the rest by itself.
// Method: the access room over the real store; time is turned by hand.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { QuestionWish } from '../../src/access/put-question.ts'
import type { Person } from '../../src/identity/person.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { HandClock } from '../clock.ts'
import { openRaw } from '../store/raw.ts'
import { openWorld, people, type World } from './world.ts'

const { alice, bob, carol, dave, olga, mallory } = people
const minuteMs = 60_000

async function session({ access, state }: World, who: Person, role: string, clock: HandClock) {
  const wish = { resource: 'prod-db', role, lengthMs: 30 * minuteMs, reason: 'a test', ticket: null, startsAt: null }
  const request = await access.ask(who, { ...wish, origin: 'test' })
  if (role === 'readonly') await access.decide(bob, request.id, 'approve', '')
  const grant = (await state.access.grantOf(request.id))!
  const id: SessionId = `session-${who.subject}-${role}`
  const about = { person: who.id, personName: who.email!, resource: 'prod-db', role, grant: grant.id }
  await state.sessions.transact((tx) =>
    tx.insertSession(
      {
        ...{ id, ...about, database: 'shop', node: 'test', credential: 'token-1', browserSession: null },
        ...{
          startedAt: clock.now(),
          client: { protocol: 'postgres', address: '203.0.113.9', port: 1, application: '', tls: true },
        },
      },
      null,
    ),
  )
  return { id, ...about }
}

async function open(role = 'readonly') {
  const clock = new HandClock()
  const world = await openWorld(clock)
  const asking = await session(world, alice, role, clock)
  const gaveUp = new AbortController()
  const wish: QuestionWish = {
    ...{ session: asking, sql: 'truncate t', rule: 'truncating', about: 'truncate on t', message: null },
    ...{ askers: null, waitMs: 5 * minuteMs },
  }
  const ask = (more: Partial<QuestionWish> = {}) => world.access.questions.ask({ ...wish, ...more }, gaveUp.signal)
  const { questions } = world.access
  return { world, clock, gaveUp, wish, ask, questions, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

test('those who decide on the request answer it, once', async () => {
  await using place = await open()
  const { ask, questions, world } = place
  const { id, answer } = await ask()
  for (const who of [bob, carol, dave]) expect(await questions.countFor(who)).toBe(1)
  for (const who of [alice, olga, mallory]) expect(await questions.countFor(who)).toBe(0)
  await expect(questions.decide(alice, id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
  await expect(questions.decide(mallory, id, 'approve', '')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(questions.decide(olga, id, 'approve', '')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  expect(await questions.decide(carol, id, 'approve', 'fine')).toMatchObject({ question: { state: 'approved' } })
  expect(await answer).toEqual({ answer: 'approved', by: 'carol@example.com', comment: 'fine' })
  await expect(questions.decide(bob, id, 'refuse', '')).rejects.toMatchObject({ code: 'QUESTION_CLOSED' })
  const types = await world.auditTypes()
  expect(types.filter((type) => type.startsWith('statement.'))).toEqual(['statement.asked', 'statement.answered'])
  expect(types.filter((type) => type === 'decision.refused')).toHaveLength(4)
})

test('those whom the guard names, and only they', async () => {
  await using place = await open('reporting')
  await expect(place.ask()).rejects.toMatchObject({ code: 'APPROVER_UNKNOWN' })
  const askers = { from: ['operators'], allOf: [], named: ['alice@example.com'], manager: false }
  const { id, answer } = await place.ask({ askers })
  expect(await place.questions.countFor(bob)).toBe(0)
  await expect(place.questions.decide(alice, id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
  await place.questions.decide(olga, id, 'refuse', 'no')
  expect(await answer).toEqual({ answer: 'refused', by: 'olga@example.com', comment: 'no' })
})

test('who is locked, or comes from a locked address, agrees to nothing', async () => {
  await using place = await open()
  const { access } = place.world
  const { id } = await place.ask()
  const nobody = { person: null, resource: null, role: null }
  const ofBob = await access.placeLock(olga, { ...nobody, person: bob.id }, 'drill')
  await access.placeLock(olga, { ...nobody, address: '198.51.100.0/24' }, 'drill')
  await expect(place.questions.decide(bob, id, 'approve', '')).rejects.toMatchObject({ code: 'LOCKED' })
  const from = { address: '198.51.100.9' }
  await expect(place.questions.decide(carol, id, 'approve', '', from)).rejects.toMatchObject({ code: 'LOCKED' })
  await access.liftLock(olga, ofBob.id)
  await place.questions.decide(bob, id, 'approve', '')
})

test('silence at its time is an answer; so is giving up', async () => {
  await using place = await open()
  const { ask, clock, questions, gaveUp } = place
  const late = await ask()
  clock.pass(5 * minuteMs - 1)
  expect(await questions.countFor(bob)).toBe(1)
  clock.pass(1)
  expect(await late.answer).toEqual({ answer: 'lapsed' })
  await expect(questions.decide(bob, late.id, 'approve', '')).rejects.toMatchObject({ code: 'QUESTION_CLOSED' })
  const dropped = await ask()
  gaveUp.abort()
  expect(await dropped.answer).toEqual({ answer: 'given-up' })
  await expect.poll(async () => (await questions.view(bob, dropped.id)).question.state).toBe('given-up')
  expect((await questions.closed(bob, 10)).map(({ question }) => question.state).sort()).toEqual(['given-up', 'lapsed'])
  expect(await questions.closed(mallory, 10)).toEqual([])
})

test('what a stopped gateway left is swept away when its time comes', async () => {
  await using place = await open()
  const { world, clock } = place
  const { id } = await place.ask()
  // The one that waits belongs to a process that is gone; another one looks.
  const raw = openRaw(join(world.folder, 'state.db'))
  expect(raw.prepare('select state from statement_questions where id = ?').get(id)).toEqual({ state: 'waiting' })
  raw.close()
  clock.jump(6 * minuteMs)
  expect(await world.access.sweep()).toBeGreaterThan(0)
  expect((await place.questions.view(bob, id)).question.state).toBe('lapsed')
})

test('one person cannot have any number of statements wait', async () => {
  await using place = await open()
  for (let count = 0; count < 20; count++) await place.ask()
  await expect(place.ask()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  place.gaveUp.abort()
})

test('one person cannot have others told again and again of what they give up', async () => {
  await using place = await open()
  const giveUp = async () => {
    const gaveUp = new AbortController()
    const { answer } = await place.questions.ask(place.wish, gaveUp.signal)
    gaveUp.abort()
    await answer
  }
  for (let count = 0; count < 20; count++) await giveUp()
  await expect(giveUp()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  place.clock.pass(10 * minuteMs)
  await giveUp()
})

test('a long statement is kept as its beginning', async () => {
  await using place = await open()
  const { id } = await place.ask({ sql: 'x'.repeat(100_000) })
  const { question } = await place.questions.view(bob, id)
  expect([question.sql.length, question.sqlChars]).toEqual([65_536, 100_000])
  place.gaveUp.abort()
})

test('the database itself refuses a second word, a late one, one’s own, changing and deleting', async () => {
  await using place = await open()
  const { id } = await place.ask()
  const raw = openRaw(join(place.world.folder, 'state.db'))
  const run =
    (sql: string, ...values: (string | number)[]) =>
    () =>
      raw.prepare(sql).run(...values)
  const decide = 'update statement_questions set state = ?, decided_by = ?, closed_at = ? where id = ?'
  const now = place.clock.now()
  expect(run(decide, 'approved', alice.id, now, id)).toThrow('SELF_APPROVAL')
  expect(run(decide, 'approved', bob.id, now + 5 * minuteMs, id)).toThrow('QUESTION_CLOSED')
  expect(run("update statement_questions set sql = 'select 1' where id = ?", id)).toThrow()
  expect(run('delete from statement_questions')).toThrow('nothing is ever deleted')
  run(decide, 'refused', bob.id, now, id)()
  expect(run(decide, 'approved', bob.id, now, id)).toThrow('QUESTION_CLOSED')
  raw.close()
  place.gaveUp.abort()
})
