import { describe, expect, test } from 'vitest'
import type { Grant, Request } from '../../src/access/states.ts'
import { Fault } from '../../src/kernel/fault.ts'
import type { State } from '../../src/store/state.ts'
import { systemRandom as random } from '../../src/system.ts'
import type { MakePlace } from './place.ts'
import {
  approved,
  at,
  someDecision,
  someEvent,
  someGrant,
  someLock,
  somePerson,
  someRequest,
  someSession,
  storeGrant,
  storePerson,
  storeRequest,
} from './samples.ts'
import { stepOf } from '../../src/policy/approval.ts'

const code = (expected: Fault['code']) => expect.objectContaining({ name: 'Fault', code: expected })

/** What every AccessStore must do. */
export function accessStoreContract(makePlace: MakePlace): void {
  requests(makePlace)
  decisions(makePlace)
  grants(makePlace)
  locks(makePlace)
  transactions(makePlace)
}

function requests(makePlace: MakePlace): void {
  describe('requests', () => {
    test('come back as they were written, and in order', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { access } = state
      const person = await storePerson(state)
      const first = await storeRequest(state, person.id, { askedAt: at(10), startsAt: at(50) })
      const second = await storeRequest(state, person.id, { askedAt: at(20), ticket: null })
      const third = await storeRequest(state, person.id, { askedAt: at(30), lapsesAt: at(40) })
      expect(await access.request(first.id)).toEqual(first)
      expect(await access.request(random.id('request'))).toBeUndefined()
      expect(await access.requestsOf(person.id, 2)).toEqual([third, second])
      expect(await access.openRequests()).toEqual([first, second, third])
      expect(await access.requestsToLapse(at(39))).toEqual([])
      expect(await access.requestsToLapse(at(40))).toEqual([third])
      const lapsed: Request = { ...third, state: 'lapsed', closedAt: at(40) }
      const cancelled: Request = { ...first, state: 'cancelled', closedAt: at(41) }
      await access.transact(async (tx) => {
        await tx.updateRequest(lapsed)
        await tx.updateRequest(cancelled)
      })
      expect(await access.closedRequests(9)).toEqual([cancelled, lapsed])
      expect(await access.closedRequests(1)).toEqual([cancelled])
      expect(await access.openRequests()).toEqual([second])
    })

    const ends = ['approved', 'denied', 'cancelled', 'lapsed'] as const
    test.each(ends)('take one step, to %s, and no other after it', async (end) => {
      await using place = await makePlace()
      const state = await place.open()
      const { request, approver } = await askedAndSeconded(state)
      const closed: Request = { ...request, state: end, closedAt: at(3000) }
      await state.access.transact((tx) => tx.updateRequest(closed))
      expect(await state.access.request(request.id)).toEqual(closed)
      for (const next of [request, ...ends.map((to): Request => ({ ...request, state: to, closedAt: at(4000) }))]) {
        await expect(state.access.transact((tx) => tx.updateRequest(next))).rejects.toEqual(code('REQUEST_CLOSED'))
      }
      const late = someDecision(request.id, somePerson().id)
      await storePerson(state, { id: late.person })
      await expect(state.access.transact((tx) => tx.insertDecision(late))).rejects.toEqual(code('REQUEST_CLOSED'))
      expect(await state.access.request(request.id)).toEqual(closed)
      expect(await state.access.decisionsOn(request.id)).toEqual([expect.objectContaining({ person: approver.id })])
    })

    test('are not approved by fewer people than they take, nor begin approved', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { request } = await askedAndSeconded(state, 2)
      await expect(state.access.transact((tx) => tx.updateRequest(approved(request)))).rejects.toEqual(
        code('NOT_ALLOWED'),
      )
      const born = approved(someRequest(request.person))
      await expect(state.access.transact((tx) => tx.insertRequest(born))).rejects.toEqual(code('REQUEST_CLOSED'))
      const unknown = approved(someRequest(request.person, { approval: { kind: 'none' } }))
      await expect(state.access.transact((tx) => tx.updateRequest(unknown))).rejects.toEqual(code('REQUEST_UNKNOWN'))
    })

    test('keep what was asked for, whatever an update says', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { request } = await askedAndSeconded(state)
      const longer = approved({ ...request, lengthMs: request.lengthMs * 10 })
      await expect(state.access.transact((tx) => tx.updateRequest(longer))).rejects.toEqual(code('STORE_FAILED'))
      expect(await state.access.request(request.id)).toEqual(request)
    })
  })
}

async function askedAndSeconded(state: State, people = 1) {
  const [person, approver] = [await storePerson(state), await storePerson(state)]
  const approval = { kind: 'people', steps: [stepOf(people, ['approvers'])] } as const
  const request = await storeRequest(state, person.id, { approval })
  await state.access.transact((tx) => tx.insertDecision(someDecision(request.id, approver.id)))
  return { request, approver }
}

function decisions(makePlace: MakePlace): void {
  describe('decisions', () => {
    test('come back oldest first', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const request = await storeRequest(state, (await storePerson(state)).id)
      const later = someDecision(request.id, (await storePerson(state)).id, { at: at(20), verdict: 'deny' })
      const earlier = someDecision(request.id, (await storePerson(state)).id, { at: at(10), comment: '' })
      await state.access.transact(async (tx) => {
        await tx.insertDecision(later)
        await tx.insertDecision(earlier)
        expect(await tx.decisionsOn(request.id)).toEqual([earlier, later])
      })
      expect(await state.access.decisionsOn(request.id)).toEqual([earlier, later])
    })

    test('are never on one’s own request, and one a person', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { request, approver } = await askedAndSeconded(state, 2)
      const own = someDecision(request.id, request.person)
      await expect(state.access.transact((tx) => tx.insertDecision(own))).rejects.toEqual(code('SELF_APPROVAL'))
      const again = someDecision(request.id, approver.id, { verdict: 'deny' })
      await expect(state.access.transact((tx) => tx.insertDecision(again))).rejects.toEqual(code('ALREADY_DECIDED'))
      expect(await state.access.decisionsOn(request.id)).toHaveLength(1)
    })

    // Goal: two approvers at one instant do not both make a grant. Method: both transactions read, then write.
    test('of two people at one instant: the database lets one win', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const request = await storeRequest(state, (await storePerson(state)).id)
      const approvers = await Promise.all(Array.from({ length: 8 }, () => storePerson(state)))
      const outcomes = await Promise.allSettled(
        approvers.map((approver) =>
          state.access.transact(async (tx) => {
            const stored = await tx.request(request.id)
            await tx.insertDecision(someDecision(request.id, approver.id))
            await tx.updateRequest(approved(request))
            await tx.insertGrant(someGrant(request))
            return stored
          }),
        ),
      )
      const losers = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown)
      expect(losers).toEqual(Array.from({ length: 7 }, () => code('REQUEST_CLOSED')))
      expect(await state.access.decisionsOn(request.id)).toHaveLength(1)
      expect(await state.access.livingGrants()).toHaveLength(1)
    })
  })
}

function grants(makePlace: MakePlace): void {
  describe('grants', () => {
    test('come back as they were written, and are found', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const [person, other] = [await storePerson(state), await storePerson(state)]
      const short = await storeGrant(state, person.id, { startsAt: at(10), expiresAt: at(100) })
      const long = await storeGrant(state, person.id, { startsAt: at(20), expiresAt: at(200) })
      const theirs = await storeGrant(state, other.id, { startsAt: at(30), expiresAt: at(300), role: 'admin' })
      const { access } = state
      expect(await access.grant(short.id)).toEqual(short)
      expect(await access.grantOf(long.request)).toEqual(long)
      expect(await access.grant(random.id('grant'))).toBeUndefined()
      expect(await access.livingGrants()).toEqual([short, long, theirs])
      expect(await access.livingGrants(person.id)).toEqual([short, long])
      expect(await access.grantsOf(person.id, 1)).toEqual([long])
      expect(await access.activeGrants(person.id, 'prod-db', 'readonly')).toEqual([long, short])
      expect(await access.activeGrants(person.id, 'prod-db', 'admin')).toEqual([])
      expect(await access.grantsToSettle(at(99))).toEqual([])
      expect(await access.grantsToSettle(at(200))).toEqual([short, long])
    })

    test('of one person on one resource are found with their sessions, the newest first', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const [person, other] = [await storePerson(state), await storePerson(state)]
      const first = await storeGrant(state, person.id, { startsAt: at(10) })
      const second = await storeGrant(state, person.id, { startsAt: at(20), role: 'admin' })
      const third = await storeGrant(state, person.id, { startsAt: at(30) })
      const elsewhere = await storeGrant(state, person.id, { startsAt: at(40), resource: 'staging' })
      const theirs = await storeGrant(state, other.id, { startsAt: at(50) })
      const { access } = state
      expect(await access.pastGrants(person.id, 'prod-db', third.request, 9)).toEqual([second, first])
      expect(await access.pastGrants(person.id, 'prod-db', theirs.request, 2)).toEqual([third, second])
      const begun = async (grant: Grant, startedAt: number, recording: string | null) => {
        const session = someSession(grant, { startedAt: at(startedAt) })
        await state.sessions.transact((tx) => tx.insertSession(session, recording))
        return { session, end: null, recording }
      }
      const early = await begun(first, 11, null)
      const late = await begun(first, 13, 'late.curfew')
      const between = await begun(second, 21, null)
      await begun(elsewhere, 41, null)
      await begun(theirs, 51, null)
      const both = [first.id, second.id]
      expect(await access.sessionsUnder(person.id, both, at(11), 9)).toEqual([between, late, early])
      expect(await access.sessionsUnder(person.id, both, at(12), 1)).toEqual([between])
      expect(await access.sessionsUnder(person.id, [first.id], at(12), 9)).toEqual([late])
      expect(await access.sessionsUnder(other.id, both, at(0), 9)).toEqual([])
      expect(await access.sessionsUnder(person.id, [], at(0), 9)).toEqual([])
    })

    test('that start later are settled from their start on', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const { state: _, ...grant } = await storeScheduled(state, person.id)
      expect(await state.access.activeGrants(person.id, 'prod-db', 'readonly')).toEqual([])
      expect(await state.access.grantsToSettle(at(2999))).toEqual([])
      expect(await state.access.grantsToSettle(at(3000))).toEqual([{ ...grant, state: 'scheduled' }])
    })

    const over = { endedAt: at(5000), endedBy: null, comment: null }
    const legal: Record<string, readonly string[]> = {
      scheduled: ['active', 'expired', 'revoked', 'ended'],
      active: ['expired', 'revoked', 'ended'],
    }
    const states = ['scheduled', 'active', 'expired', 'revoked', 'ended'] as const
    test.each(states)('take only legal steps from %s', async (from) => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      for (const to of states) {
        const grant = from === 'scheduled' ? await storeScheduled(state, person.id) : await storeGrant(state, person.id)
        const inState = (name: Grant['state']): Grant =>
          name === 'scheduled' || name === 'active' ? { ...grant, state: name } : { ...grant, ...over, state: name }
        if (!(from in legal)) await state.access.transact((tx) => tx.updateGrant(inState(from)))
        const step = state.access.transact((tx) => tx.updateGrant(inState(to)))
        if (legal[from]?.includes(to)) await step
        else await expect(step).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
        expect(await state.access.grant(grant.id)).toEqual(inState(legal[from]?.includes(to) ? to : from))
      }
    })

    test('are extended by what was approved, and not moved to another role', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const grant = await storeGrant(state, (await storePerson(state)).id)
      const move = (over: Partial<Grant>) =>
        state.access.transact((tx) => tx.updateGrant({ ...grant, ...over } as Grant))
      const later = { expiresAt: at(3_703_000), lengthMs: 3_700_000 }
      await expect(move(later)).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      const extension = await storeExtension(state, grant, 100_000)
      await expect(storeExtension(state, grant, 100_000)).rejects.toEqual(code('STORE_FAILED'))
      await expect(move(later)).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      await state.access.transact((tx) => tx.updateRequest(approved(extension)))
      await expect(move({ ...later, expiresAt: at(3_703_001) })).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      await expect(move({ ...later, role: 'admin' })).rejects.toEqual(code('STORE_FAILED'))
      await move(later)
      expect(await state.access.grant(grant.id)).toEqual({ ...grant, ...later })
      const unknown = { ...grant, id: random.id('grant') }
      await expect(state.access.transact((tx) => tx.updateGrant(unknown))).rejects.toEqual(code('GRANT_UNKNOWN'))
    })

    test('whose clock waits for the first use begin with it, once and in time', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const life = { clock: 'first-use', expiresAt: at(90_000), useBy: at(90_000), lengthMs: 600_000 } as const
      const grant = await storeGrant(state, (await storePerson(state)).id, life)
      const move = (over: Partial<Grant>) =>
        state.access.transact((tx) => tx.updateGrant({ ...grant, ...over } as Grant))
      const session = someSession(grant, { startedAt: at(80_000) })
      const begin = () => state.sessions.transact((tx) => tx.insertSession(session, null))
      const refused = code('GRANT_IN_WRONG_STATE')
      await expect(begin()).rejects.toEqual(refused)
      await expect(move({ expiresAt: at(680_000) })).rejects.toEqual(refused)
      await expect(move({ firstUsedAt: at(90_000), expiresAt: at(690_000) })).rejects.toEqual(refused)
      await expect(move({ firstUsedAt: at(80_000), expiresAt: at(680_001) })).rejects.toEqual(refused)
      expect(await state.access.grantsToSettle(at(89_999))).toEqual([])
      expect(await state.access.grantsToSettle(at(90_000))).toEqual([grant])
      await move({ firstUsedAt: at(80_000), expiresAt: at(680_000) })
      await begin()
      await expect(move({ firstUsedAt: at(81_000), expiresAt: at(681_000) })).rejects.toEqual(code('STORE_FAILED'))
      expect(await state.access.grantsToSettle(at(90_000))).toEqual([])
    })

    test('for one session have one, and what is unused is found', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const grant = await storeGrant(state, (await storePerson(state)).id, { uses: 'once', useBy: at(9000) })
      const begin = () => state.sessions.transact((tx) => tx.insertSession(someSession(grant), null))
      await expect(begin()).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      expect(await state.access.grantsToSettle(at(9000))).toEqual([grant])
      await state.access.transact((tx) => tx.updateGrant({ ...grant, firstUsedAt: at(4000) }))
      await begin()
      await expect(begin()).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      expect(await state.access.grantsToSettle(at(9000))).toEqual([])
    })

    test('exist only for an approved request, once, and as it was asked', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { request } = await askedAndSeconded(state)
      const insert = (grant: Grant) => state.access.transact((tx) => tx.insertGrant(grant))
      await expect(insert(someGrant(request))).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      await state.access.transact((tx) => tx.updateRequest(approved(request)))
      await expect(insert(someGrant(request, { role: 'admin' }))).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      await insert(someGrant(request))
      await expect(insert(someGrant(request))).rejects.toEqual(code('STORE_FAILED'))
    })
  })
}

function storeExtension(state: State, { id, person }: Grant, lengthMs: number) {
  return storeRequest(state, person, { kind: 'extension', extends: id, approval: { kind: 'none' }, lengthMs })
}

async function storeScheduled(state: State, person: Request['person']): Promise<Grant> {
  const request = someRequest(person, { approval: { kind: 'none' } })
  const grant: Grant = { ...someGrant(request), state: 'scheduled' }
  await state.access.transact(async (tx) => {
    await tx.insertRequest(approved(request))
    await tx.insertGrant(grant)
  })
  return grant
}

function locks(makePlace: MakePlace): void {
  test('locks stand until they are lifted, once', async () => {
    await using place = await makePlace()
    const state = await place.open()
    const operator = await storePerson(state)
    const lock = someLock(operator.id)
    const other = someLock(operator.id, {
      scope: { person: operator.id, group: 'engineering', resource: null, role: 'admin', address: '203.0.113.0/24' },
      placedAt: at(6000),
    })
    await state.access.transact(async (tx) => {
      await tx.insertLock(lock)
      await tx.insertLock(other)
    })
    expect(await state.access.standingLocks()).toEqual([lock, other])
    const lift = () => state.access.transact((tx) => tx.liftLock(lock.id, operator.id, at(7000)))
    expect([await lift(), await lift()]).toEqual([true, false])
    expect(await state.access.standingLocks()).toEqual([other])
    expect(await state.access.lock(lock.id)).toEqual({ ...lock, liftedBy: operator.id, liftedAt: at(7000) })
    const empty = someLock(operator.id, { scope: { person: null, resource: null, role: null } })
    await expect(state.access.transact((tx) => tx.insertLock(empty))).rejects.toEqual(code('STORE_FAILED'))
  })
}

function transactions(makePlace: MakePlace): void {
  describe('a transaction', () => {
    test('that throws leaves nothing behind: no row, no audit event, no change', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const heard: unknown[] = []
      using _listening = state.changes.subscribe((change) => heard.push(change))
      const request = someRequest(person.id)
      const bug = new Error('thought better of it')
      const work = state.access.transact(async (tx) => {
        await tx.insertRequest(request)
        await tx.record(someEvent('request.opened'))
        await tx.announce({ kind: 'request-opened', request: request.id })
        expect(await tx.request(request.id)).toEqual(request)
        throw bug
      })
      await expect(work).rejects.toBe(bug)
      expect(await state.access.request(request.id)).toBeUndefined()
      expect(await state.audit.events(0, 9)).toEqual([])
      await state.audit.append([someEvent()])
      expect(await state.audit.head()).toMatchObject({ sequence: 1 })
      place.clock.pass(1000)
      await state.healthy()
      expect(heard).toEqual([])
    })

    test('that meets a refusal leaves nothing behind, even if its work goes on', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const request = someRequest(person.id)
      const work = state.access.transact(async (tx) => {
        await tx.insertRequest(request)
        await expect(tx.insertDecision(someDecision(request.id, person.id))).rejects.toEqual(code('SELF_APPROVAL'))
        await tx.record(someEvent())
      })
      await expect(work).rejects.toEqual(code('SELF_APPROVAL'))
      expect(await state.access.request(request.id)).toBeUndefined()
      expect(await state.audit.events(0, 9)).toEqual([])
    })

    test('is not seen from outside before it is whole', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const request = someRequest(person.id)
      await state.access.transact(async (tx) => {
        await tx.insertRequest(request)
        expect(await tx.request(request.id)).toEqual(request)
        expect(await state.access.request(request.id)).toBeUndefined()
      })
      expect(await state.access.request(request.id)).toEqual(request)
    })

    test('is over when its work is: what comes later is refused', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const tx = await state.access.transact((inside) => Promise.resolve(inside))
      await expect(tx.insertRequest(someRequest(person.id))).rejects.toThrow('over')
      await expect(tx.record(someEvent())).rejects.toThrow('over')
    })

    test('whose work hangs is undone, and the next one runs', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const person = await storePerson(state)
      const request = someRequest(person.id)
      const { promise: inserted, resolve } = Promise.withResolvers<void>()
      const stuck = state.access.transact(async (tx) => {
        await tx.insertRequest(request)
        resolve()
        await new Promise(() => {})
      })
      const next = state.access.transact((tx) => tx.request(request.id))
      await inserted
      place.clock.pass(10_000)
      await expect(stuck).rejects.toEqual(code('STORE_FAILED'))
      expect(await next).toBeUndefined()
    })
  })
}
