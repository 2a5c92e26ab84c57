// Goal: a person without a grant is asked on the spot, once, and the connection goes on when it is decided.
// Method: the real access room over a real store; a gate that looks for the grant; a person who answers from a list.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { Subject } from '../../../src/kernel/observable.ts'
import { admitAsking, type AdmitDeps, type Asked } from '../../../src/protocols/ssh/auth/admit.ts'
import type { Admission } from '../../../src/sessions/admission.ts'
import { systemClock } from '../../../src/system.ts'
import { openWorld, people, type World } from '../../access/world.ts'

let world: World
beforeAll(async () => void (world = await openWorld()))
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const request of await world.access.requestsOf(people.alice, 50)) {
    if (request.state === 'requested') await world.access.cancel(people.alice, request.id)
  }
  for (const grant of await world.access.livingGrants(people.alice.id)) {
    await world.access.handBack(people.alice, grant.id)
  }
})

class Person implements Asked {
  readonly identified = {
    person: people.alice.id,
    personName: 'alice@example.com',
    credential: 'browser-1',
    browserSession: 'browser-1',
  } as const
  readonly client = { protocol: 'ssh', address: '192.0.2.7', port: 1, application: 'x', tls: false } as const
  isInteractive = true
  readonly said: string[] = []
  readonly shown: string[] = []
  readonly questions: { readonly instruction: string; readonly prompts: readonly string[] }[] = []
  readonly #answers: (readonly string[] | undefined)[]
  onAsk: (() => Promise<void>) | undefined
  readonly untilShown = Promise.withResolvers<void>()

  constructor(...answers: (readonly string[] | undefined)[]) {
    this.#answers = answers
  }

  say(text: string): void {
    this.said.push(text)
  }

  show(title: string, instruction: string): Promise<void> {
    this.shown.push(`${title}\n${instruction}`)
    this.untilShown.resolve()
    return Promise.resolve()
  }

  async ask(_title: string, instruction: string, prompts: readonly { text: string }[]) {
    this.questions.push({ instruction, prompts: prompts.map(({ text }) => text) })
    await this.onAsk?.()
    return this.#answers.shift()
  }
}

const ended: unknown[] = []
const gate: AdmitDeps['gate'] = {
  async admit({ identified, resource, role }) {
    const [grant] = await world.state.access.activeGrants(identified.person, resource, role)
    if (grant === undefined) throw new Fault('NO_GRANT', 'no grant', { hint: 'the link' })
    const end = (how: unknown) => Promise.resolve(void ended.push(how))
    return { deadline: new Subject<Instant>(grant.expiresAt), end } as unknown as Admission
  },
}

function come(person: Person, role: string, more: Partial<AdmitDeps> = {}, signal = new AbortController().signal) {
  const identity = { person: (id: typeof people.alice.id) => world.state.identity.person(id) }
  const deps: AdmitDeps = { gate, access: world.access, identity, waitMs: 60_000, clock: systemClock, ...more }
  return admitAsking(person, { resource: 'prod-db', role }, signal, deps)
}

const own = () => world.access.requestsOf(people.alice, 50)
const open = async () => (await own()).filter(({ state }) => state === 'requested')

test('what needs nobody is asked and given at once', async () => {
  const person = new Person(['a reason', ''])
  const admission = await come(person, 'reporting')
  expect(person.questions).toMatchObject([{ prompts: ['Reason: ', 'How long? [1m] '] }])
  expect(person.questions[0]!.instruction).toContain('https://gw.example.com/ask?resource=prod-db&role=reporting')
  expect(person.shown).toEqual([])
  expect(person.said).toEqual([
    expect.stringMatching(/^curfew: access to prod-db as reporting until .* UTC \(1 min\)$/),
  ])
  expect((await own())[0]).toMatchObject({ reason: 'a reason', lengthMs: 60_000, origin: 'ssh at 192.0.2.7' })
  const again = new Person()
  expect((await come(again, 'reporting')).deadline.value).toBe(admission.deadline.value)
  expect([again.said, again.questions]).toEqual([[], []])
})

test('what needs somebody waits, tells where, and goes on', async () => {
  const person = new Person(['a reason', '30m'])
  const coming = come(person, 'readonly')
  await person.untilShown.promise
  const [request] = await open()
  expect(person.shown[0]).toContain(`https://gw.example.com/requests/${request!.id}`)
  expect(person.shown[0]).toContain('one of approvers')
  await world.access.decide(people.bob, request!.id, 'approve', '')
  await coming
  expect(person.said[0]).toContain('(30 min)')
})

test('a refusal comes with its reason', async () => {
  const person = new Person(['a reason', ''])
  const coming = come(person, 'readonly')
  const refused = expect(coming).rejects.toMatchObject({
    code: 'REQUEST_DENIED',
    message: expect.stringMatching(/not today/),
  })
  await person.untilShown.promise
  await world.access.decide(people.bob, (await open())[0]!.id, 'deny', 'not today')
  await refused
})

test('what cannot be is asked again, alone, and at last refused', async () => {
  const better = new Person(['a reason', 'soon'], ['5h'], ['10m'])
  await come(better, 'reporting')
  expect(better.questions.map(({ prompts }) => prompts)).toEqual([
    ['Reason: ', 'How long? [1m] '],
    ['How long? [1m] '],
    ['How long? [1m] '],
  ])
  expect(better.questions[1]!.instruction).toContain('"soon" is no length.')
  expect(better.questions[2]!.instruction).toContain('at most 1 h')
  const stubborn = new Person(['a reason', '9h'], ['9h'], ['9h'])
  await expect(come(stubborn, 'admin')).rejects.toMatchObject({ code: 'LENGTH_REFUSED' })
  expect(await open()).toEqual([])
})

test('whoever leaves the reason empty asks on the page', async () => {
  const person = new Person(['', 'whatever'])
  const coming = come(person, 'readonly')
  await person.untilShown.promise
  expect(await open()).toEqual([])
  expect(person.questions.map(({ instruction }) => instruction)).toEqual([
    expect.stringContaining('To ask on the page instead'),
  ])
  expect(person.shown[0]).toContain('https://gw.example.com/ask?')
  const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 60_000, reason: 'r', ticket: null, startsAt: null }
  const request = await world.access.ask(people.alice, { ...wish, origin: 'browser' })
  await world.access.decide(people.bob, request.id, 'approve', '')
  await coming
})

test('an open request is waited for, not doubled', async () => {
  const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 60_000, reason: 'r', ticket: null, startsAt: null }
  const before = new Person()
  const request = await world.access.ask(people.alice, { ...wish, origin: 'browser' })
  const coming = come(before, 'readonly')
  await before.untilShown.promise
  expect(before.questions).toEqual([])
  const during = new Person(['a reason', ''])
  during.onAsk = async () => void (await world.access.ask(people.alice, { ...wish, role: 'admin', origin: 'browser' }))
  const stop = new AbortController()
  const other = come(during, 'admin', {}, stop.signal)
  await during.untilShown.promise
  expect(await open()).toHaveLength(2)
  stop.abort(new Error('gone'))
  await expect(other).rejects.toThrow('gone')
  await world.access.decide(people.bob, request.id, 'approve', '')
  await coming
})

test('a client that cannot be asked reads the link first, and is refused', async () => {
  const person = new Person(undefined)
  person.isInteractive = false
  await expect(come(person, 'readonly')).rejects.toMatchObject({ code: 'NO_GRANT', hint: 'the link' })
  expect(person.said[0]).toContain('https://gw.example.com/ask?resource=prod-db&role=readonly')
})

test('a client that answers nothing, but waits, is let wait', async () => {
  const person = new Person(undefined)
  const stop = new AbortController()
  const coming = come(person, 'readonly', {}, stop.signal)
  await person.untilShown.promise
  stop.abort(new Error('gone'))
  await expect(coming).rejects.toThrow('gone')
})

test('nobody is waited for who thinks, once the listener stops', async () => {
  const person = new Person()
  person.onAsk = () => new Promise(() => undefined)
  const stop = new AbortController()
  const coming = come(person, 'readonly', {}, stop.signal)
  while (person.questions.length === 0) await new Promise(setImmediate)
  stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  await expect(coming).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
})

test('nobody is asked where nothing is waited for, or the name leads nowhere', async () => {
  const person = new Person()
  await expect(come(person, 'readonly', { waitMs: 0 })).rejects.toMatchObject({ code: 'NO_GRANT' })
  await expect(come(person, 'readonyl')).rejects.toMatchObject({
    code: 'ROLE_UNKNOWN',
    hint: expect.stringMatching(/"readonly"/),
  })
  expect([person.said, person.questions]).toEqual([[], []])
})

test('an admission that comes too late is given back', async () => {
  const stop = new AbortController()
  const late: AdmitDeps['gate'] = {
    async admit(ask) {
      const admission = await gate.admit(ask)
      stop.abort(new Error('gone'))
      return admission
    },
  }
  await come(new Person(['a reason', '']), 'reporting')
  await expect(come(new Person(), 'reporting', { gate: late }, stop.signal)).rejects.toThrow('gone')
  expect(ended).toEqual([{ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 }])
})
