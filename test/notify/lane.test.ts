// Goal: what fails is tried again later and later, given up in the end, and holds up nobody else.
// Method: the real store, a clock turned by hand, and senders that answer as told.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { auditEvent, theGateway } from '../../src/audit/event.ts'
import type { NewMessage, Notice, Outbox } from '../../src/access/outbox.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { backoffMs } from '../../src/notify/backoff.ts'
import { Lane, type Deliver } from '../../src/notify/lane.ts'
import { sent, type Outcome } from '../../src/notify/outcome.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { systemRandom as random } from '../../src/system.ts'
import { makeSqlitePlace, silence } from '../store/place.ts'

const hourMs = 3_600_000

async function stage(giveUpMs = 24 * hourMs, around: (outbox: Outbox) => Partial<Outbox> = () => ({})) {
  await using stack = new AsyncDisposableStack()
  const place = stack.use(await makeSqlitePlace())
  const { outbox: kept, audit } = await place.open()
  const outbox: Outbox = Object.assign(Object.create(kept) as Outbox, around(kept))
  const { clock } = place
  const metrics = createMetrics()
  const deps = { outbox, giveUpMs, clock, random, log: silence, metrics }
  const all = stack.move()
  return {
    ...{ outbox, audit, clock, metrics },
    queue: (recipient: string, readyAt: Instant = clock.now()) => queue(outbox, recipient, readyAt, clock.now()),
    lane: (recipient: string | null, deliver: Deliver, width = 2) =>
      all.use(new Lane(deps, { channel: 'webhook', recipient }, width, deliver)),
    message: async (id: string) => (await outbox.recent(100)).find(({ message }) => message.id === id)?.message,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

async function queue(outbox: Outbox, recipient: string, readyAt: Instant, now: Instant) {
  const id = random.id('notice')
  const notice: Notice = { id, type: 'test', at: now, subject: id, data: {} }
  const message: NewMessage = {
    ...{ id: random.id('message'), notice: id, channel: 'webhook', recipient, audience: 'subscriber', readyAt },
  }
  await outbox.add(notice, [message], auditEvent('notification.tested', now, theGateway))
  return message.id
}

test('the wait doubles up to half an hour, and between half and all of it is taken', () => {
  expect([1, 2, 3, 4, 9, 10, 11, 99].map((attempts) => backoffMs(attempts, 1) / 1000)).toEqual([
    ...[5, 10, 20, 40, 1280, 1800, 1800, 1800],
  ])
  fc.assert(
    fc.property(fc.nat(1e6), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (attempts, chance) => {
      const waitMs = backoffMs(attempts, chance)
      expect(waitMs).toBeGreaterThanOrEqual(backoffMs(attempts, 1) / 2)
      expect(waitMs).toBeLessThanOrEqual(backoffMs(attempts, 1))
    }),
  )
})

test('what fails is tried again when its wait is over and not before, and then is sent', async () => {
  await using on = await stage()
  const id = await on.queue('siem')
  const outcomes: Outcome[] = [{ kind: 'failed', problem: 'no' }, { kind: 'failed', problem: 'still no' }, sent]
  const tried: number[] = []
  const lane = on.lane('siem', async () => {
    tried.push(on.clock.monotonicMs())
    return outcomes[tried.length - 1]!
  })
  lane.wake()
  await expect.poll(async () => (await on.message(id))?.attempts).toBe(1)
  for (const attempts of [1, 2]) {
    const { dueAt, problem } = (await on.message(id))!
    expect(problem).toBe(outcomes[attempts - 1]!.kind === 'failed' ? ['no', 'still no'][attempts - 1] : null)
    const waitMs = dueAt - on.clock.now()
    expect(waitMs).toBeGreaterThanOrEqual(backoffMs(attempts, 0))
    await expect.poll(() => on.clock.timers).toBeGreaterThan(0)
    on.clock.pass(waitMs - 1)
    lane.wake()
    expect(tried).toHaveLength(attempts)
    await expect
      .poll(async () => {
        on.clock.pass(1)
        return (await on.message(id))?.attempts
      })
      .toBe(attempts + 1)
  }
  expect(await on.message(id)).toMatchObject({ state: 'sent', attempts: 3, problem: null })
  expect(await on.metrics.text()).toContain('curfew_notifications_total{channel="webhook",outcome="retried"} 2')
})

test('after the time to give up it is given up, with an audit event', async () => {
  await using on = await stage(hourMs)
  const id = await on.queue('siem')
  const lane = on.lane('siem', async () => ({ kind: 'failed', problem: 'nobody there' }))
  lane.wake()
  await expect.poll(async () => (await on.message(id))?.attempts).toBe(1)
  on.clock.pass(hourMs)
  await expect
    .poll(async () => {
      lane.wake()
      return (await on.message(id))?.state
    })
    .toBe('given-up')
  const [event] = await on.audit.search({ types: ['notification.given-up'], limit: 9 })
  expect(JSON.parse(event!.json)).toMatchObject({ data: { message: id, recipient: 'siem', problem: 'nobody there' } })
})

test('a receiver that never answers holds up neither others nor, beyond its width, itself', async () => {
  await using on = await stage()
  const ids = [await on.queue('dead'), await on.queue('dead'), await on.queue('dead')]
  const good = await on.queue('good')
  let held = 0
  const dead = on.lane('dead', async (_queued, signal) => {
    held += 1
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return { kind: 'failed', problem: 'cut off' }
  })
  const alive = on.lane('good', async () => sent)
  dead.wake()
  alive.wake()
  await expect.poll(async () => (await on.message(good))?.state).toBe('sent')
  await expect.poll(() => held).toBe(2)
  dead.wake()
  await dead[Symbol.asyncDispose]()
  expect(held).toBe(2)
  // A stop decides nothing: all three are due for the next run.
  const due = await on.outbox.due({ channel: 'webhook', recipient: 'dead' }, on.clock.now(), 9)
  expect(due.map(({ message }) => `${message.id} ${message.attempts}`).toSorted()).toEqual(
    ids.map((id) => `${id} 0`).toSorted(),
  )
})

test('a message that is sent while the store is being asked is not sent once more for its old answer', async () => {
  const [answers, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let asked = 0
  await using on = await stage(hourMs, (outbox) => ({
    due: async (...words) => {
      const due = await outbox.due(...words)
      asked += 1
      if (asked === 2) {
        answered.resolve()
        await answers.promise
      }
      return due
    },
  }))
  const id = await on.queue('siem')
  const sending = Promise.withResolvers<Outcome>()
  let calls = 0
  const lane = on.lane('siem', () => {
    calls += 1
    return sending.promise
  })
  lane.wake()
  await expect.poll(() => calls).toBe(1)
  lane.wake()
  await answered.promise
  sending.resolve(sent)
  await expect.poll(async () => (await on.message(id))?.state).toBe('sent')
  answers.resolve()
  await expect.poll(() => asked).toBeGreaterThanOrEqual(3)
  expect(calls).toBe(1)
})

test('a receiver that asks for quiet gets it, for everything', async () => {
  await using on = await stage()
  await on.queue('siem')
  let calls = 0
  const lane = on.lane(
    'siem',
    async () => {
      calls += 1
      return calls === 1 ? { kind: 'failed', problem: 'too many', pauseMs: 90_000 } : sent
    },
    1,
  )
  lane.wake()
  await expect.poll(async () => (await on.outbox.recent(9)).length).toBe(1)
  const second = await on.queue('siem')
  lane.wake()
  await expect.poll(() => on.clock.timers).toBeGreaterThan(0)
  on.clock.pass(60_000)
  expect(calls).toBe(1)
  await expect
    .poll(async () => {
      on.clock.pass(10_000)
      return (await on.message(second))?.state
    })
    .toBe('sent')
})

test('quiet that was asked for is over in time, also when the clock is set back meanwhile', async () => {
  await using on = await stage()
  const first = await on.queue('siem')
  let calls = 0
  const lane = on.lane('siem', async () => {
    calls += 1
    return calls === 1 ? { kind: 'failed', problem: 'too many', pauseMs: 30_000 } : sent
  })
  lane.wake()
  await expect.poll(async () => (await on.message(first))?.attempts).toBe(1)
  on.clock.jump(-6 * hourMs)
  const second = await on.queue('siem')
  lane.wake()
  await expect.poll(() => on.clock.timers).toBeGreaterThan(0)
  on.clock.pass(31_000)
  lane.wake()
  await expect.poll(async () => (await on.message(second))?.state).toBe('sent')
})

test('one notice is sent to one recipient once, however often it is planned', async () => {
  await using on = await stage()
  const id = await on.queue('siem')
  const [queued] = await on.outbox.due({ channel: 'webhook', recipient: null }, on.clock.now(), 9)
  const again = { ...queued!.message, id: random.id('message') }
  await on.outbox.add(queued!.notice, [again], auditEvent('notification.tested', on.clock.now(), theGateway))
  const due = await on.outbox.due({ channel: 'webhook', recipient: null }, on.clock.now(), 9)
  expect(due.map(({ message }) => message.id)).toEqual([id])
  const step = { from: 0, to: 5, notices: [], messages: [] }
  expect(await on.outbox.plan(step)).toBe(true)
  expect(await on.outbox.plan(step)).toBe(false)
})
