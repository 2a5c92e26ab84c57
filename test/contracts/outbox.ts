import { describe, expect, test } from 'vitest'
import type { Message, NewMessage, Notice, Settlement } from '../../src/access/outbox.ts'
import type { RequestId } from '../../src/kernel/ids.ts'
import type { State } from '../../src/store/state.ts'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'
import { at, someEvent, storePerson } from './samples.ts'

const event = someEvent('notification.tested')

function someNotice(over: Partial<Notice> = {}): Notice {
  const id = random.id('notice')
  return {
    id,
    type: 'request.opened',
    at: at(10),
    subject: 'request-x',
    data: { request: { id: 'request-x' } },
    ...over,
  }
}

function someMessage(notice: Notice, over: Partial<NewMessage> = {}): NewMessage {
  const to = { channel: 'mail', recipient: 'bob@example.com', audience: 'deciders' } as const
  return { id: random.id('message'), notice: notice.id, ...to, readyAt: at(100), ...over }
}

const settled: Settlement = {
  ...{ state: 'sent', dueAt: at(100), attempts: 1, problem: null, settledAt: at(150), reference: 'C1:2' },
}
const mail = { channel: 'mail', recipient: null } as const

/** What every Outbox must do. */
export function outboxContract(makePlace: MakePlace): void {
  planning(makePlace)
  sending(makePlace)
  receivers(makePlace)
}

async function announce(state: State, request: RequestId): Promise<void> {
  await state.access.transact((tx) => tx.announce({ kind: 'request-opened', request }))
}

function planning(makePlace: MakePlace): void {
  describe('planning', () => {
    test('changes are looked at from where telling began, by kind, in order', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { outbox } = state
      await announce(state, 'request-before')
      expect(await outbox.open(false)).toBe(0)
      const begun = await outbox.open(true)
      expect(await outbox.changesAfter(begun, ['request-opened'], 9)).toEqual([])
      for (const id of ['request-1', 'request-2', 'request-3'] as const) await announce(state, id)
      const found = await outbox.changesAfter(begun, ['request-opened'], 2)
      expect(found.map(({ change }) => change)).toEqual([
        { kind: 'request-opened', request: 'request-1' },
        { kind: 'request-opened', request: 'request-2' },
      ])
      expect(await outbox.changesAfter(begun, ['lock-placed'], 9)).toEqual([])
      expect(await outbox.open(true)).toBe(begun) // somebody who goes on begins nowhere else
      await outbox.open(false)
      expect(await outbox.open(true)).toBeGreaterThan(found[1]!.number)
    })

    test('a step is made once, with all that it writes or nothing', async () => {
      await using place = await makePlace()
      const { outbox } = await place.open()
      const from = await outbox.open(true)
      const notice = someNotice()
      const message = someMessage(notice)
      const step = { from, to: from + 3, notices: [notice], messages: [message] }
      const steps = await Promise.all([outbox.plan(step), outbox.plan(step)])
      expect(steps.toSorted((left, right) => Number(left) - Number(right))).toEqual([false, true])
      expect(await outbox.open(true)).toBe(from + 3)
      const bad = someMessage(someNotice()) // its notice is not there
      await expect(outbox.plan({ from: from + 3, to: from + 4, notices: [], messages: [bad] })).rejects.toThrow()
      expect(await outbox.open(true)).toBe(from + 3)
      expect((await outbox.due(mail, at(100), 9)).map((queued) => queued.notice)).toEqual([notice])
    })

    test('people are those with an address who came lately, the latest first', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const early = await storePerson(state, { seenAt: at(10) })
      const late = await storePerson(state, { seenAt: at(30) })
      await storePerson(state, { seenAt: at(40), email: null })
      expect(await state.outbox.people(at(10), 9)).toEqual([late, early])
      expect(await state.outbox.people(at(11), 9)).toEqual([late])
      expect(await state.outbox.people(at(10), 1)).toEqual([late])
    })
  })
}

async function queued(state: State, over: Partial<NewMessage>[]): Promise<{ notice: Notice; messages: NewMessage[] }> {
  const notice = someNotice()
  const messages = over.map((one) => someMessage(notice, one))
  await state.outbox.add(notice, messages, event)
  return { notice, messages }
}

function sending(makePlace: MakePlace): void {
  describe('sending', () => {
    test('what waits and is due comes by lane, the longest due first', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { messages } = await queued(state, [
        { readyAt: at(300), recipient: 'late@example.com' },
        { readyAt: at(200), recipient: 'early@example.com' },
        { channel: 'webhook', recipient: 'a', readyAt: at(50) },
        { channel: 'webhook', recipient: 'b', readyAt: at(60) },
      ])
      const [late, early, a] = messages
      const ids = async (lane: Parameters<typeof state.outbox.due>[0], until: number, limit = 9) =>
        (await state.outbox.due(lane, at(until), limit)).map(({ message }) => message.id)
      expect(await ids(mail, 299)).toEqual([early!.id])
      expect(await ids(mail, 300)).toEqual([early!.id, late!.id])
      expect(await ids(mail, 300, 1)).toEqual([early!.id])
      expect(await ids({ channel: 'webhook', recipient: 'a' }, 300)).toEqual([a!.id])
      expect(await state.outbox.nextDue(mail)).toBe(200)
      expect(await state.outbox.nextDue({ channel: 'slack', recipient: null })).toBeNull()
      expect(await state.outbox.waiting(at(200))).toEqual([
        { channel: 'mail', recipient: 'early@example.com', waiting: 1, oldestReadyAt: 200 },
        { channel: 'webhook', recipient: 'a', waiting: 1, oldestReadyAt: 50 },
        { channel: 'webhook', recipient: 'b', waiting: 1, oldestReadyAt: 60 },
      ])
    })

    test('a message is settled once; its event is written with it or not at all', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { messages } = await queued(state, [{}])
      const { id } = messages[0]!
      const waits: Settlement = {
        ...settled,
        state: 'waiting',
        dueAt: at(900),
        problem: 'no',
        settledAt: null,
        reference: null,
      }
      await state.outbox.settle(id, waits, null)
      expect(await state.outbox.nextDue(mail)).toBe(900)
      await state.outbox.settle(id, { ...settled, attempts: 2 }, null)
      await state.outbox.settle(id, { ...settled, state: 'given-up', attempts: 3 }, someEvent('notification.given-up'))
      const asked: Message = { ...messages[0]!, ...settled, attempts: 2 }
      expect(await state.outbox.asked('request-x')).toEqual([asked])
      expect((await state.outbox.recent(9)).map(({ message }) => message)).toEqual([asked])
      expect(await state.audit.search({ types: ['notification.given-up'], limit: 9 })).toEqual([])
      expect(await state.outbox.asked('request-y')).toEqual([])
    })
  })
}

function receivers(makePlace: MakePlace): void {
  describe('receivers', () => {
    test('who is switched off gets nothing of what waits; others do', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const hook = (recipient: string) => ({ channel: 'webhook', recipient }) as const
      const { messages } = await queued(state, [hook('gone'), hook('here'), { recipient: 'gone' }])
      const off = { recipient: 'gone', place: 'there', at: at(500) }
      await state.outbox.switchOff(off, someEvent('notification.receiver-switched-off'))
      await state.outbox.switchOff(off, event)
      expect(await state.outbox.switchedOff()).toEqual([off])
      expect(await state.outbox.due(hook('gone'), at(900), 9)).toEqual([])
      expect((await state.outbox.due(hook('here'), at(900), 9)).map(({ message }) => message.id)).toEqual([
        messages[1]!.id,
      ])
      expect((await state.outbox.due(mail, at(900), 9)).map(({ message }) => message.id)).toEqual([messages[2]!.id])
      await state.outbox.switchOn('gone', event)
      expect(await state.outbox.switchedOff()).toEqual([])
    })
  })
}
