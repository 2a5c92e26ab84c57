import { describe, expect, test } from 'vitest'
import type { Requested, Terms } from '../../src/access/states.ts'
import type { Fault } from '../../src/kernel/fault.ts'
import { stepOf, type Step } from '../../src/policy/approval.ts'
import type { State } from '../../src/store/state.ts'
import type { MakePlace } from './place.ts'
import { approved, at, someDecision, someGrant, storePerson, storeRequest } from './samples.ts'

const code = (expected: Fault['code']) => expect.objectContaining({ name: 'Fault', code: expected })
const called: Step = {
  ...stepOf(1, ['b']),
  escalate: { afterMs: 500, to: { from: ['c'], allOf: [], named: [], manager: false } },
}
const approval = { kind: 'people', steps: [stepOf(2, ['a']), called] } as const

/** What every AccessStore must do about approvals in steps, whatever the use cases try. */
export function approvalStepsContract(makePlace: MakePlace): void {
  describe('steps', () => {
    test('are passed one after the other, each with its people', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const request = await storeRequest(state, (await storePerson(state)).id, { approval })
      const second: Requested = { ...request, step: 1, stepSince: at(3000) }
      await expect(update(state, second)).rejects.toEqual(code('NOT_ALLOWED'))
      await decideIn(state, request, 0)
      await expect(update(state, second)).rejects.toEqual(code('NOT_ALLOWED'))
      await expect(decideIn(state, request, 1)).rejects.toEqual(code('REQUEST_CLOSED'))
      await decideIn(state, request, 0)
      await expect(update(state, approved(request))).rejects.toEqual(code('NOT_ALLOWED'))
      await update(state, second)
      expect(await state.access.request(request.id)).toEqual(second)
      await expect(decideIn(state, request, 0)).rejects.toEqual(code('REQUEST_CLOSED'))
      await expect(update(state, request)).rejects.toEqual(code('REQUEST_CLOSED'))
      await expect(update(state, approved({ ...second, step: 2 }))).rejects.toEqual(code('NOT_ALLOWED'))
      await decideIn(state, request, 1)
      await update(state, approved({ ...second, step: 2 }))
    })

    test('call others once, when they have waited for so long and the request is not over', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const { access } = state
      const first = await storeRequest(state, (await storePerson(state)).id, { approval })
      await storeRequest(state, first.person)
      const over = await storeRequest(state, first.person, { approval, step: 1, stepSince: at(0), lapsesAt: at(3300) })
      expect(await access.requestsToEscalate(at(90_000))).toEqual([])
      expect(await access.requestsToEscalate(at(3299))).toEqual([over])
      for (let count = 0; count < 2; count++) await decideIn(state, first, 0)
      const second: Requested = { ...first, step: 1, stepSince: at(3000) }
      await update(state, second)
      expect(await access.requestsToEscalate(at(3499))).toEqual([])
      expect(await access.requestsToEscalate(at(3500))).toEqual([second])
      const escalated: Requested = { ...second, escalatedAt: at(3500) }
      await update(state, escalated)
      expect(await access.requestsToEscalate(at(80_000))).toEqual([])
      await expect(update(state, { ...escalated, escalatedAt: at(3600) })).rejects.toEqual(code('REQUEST_CLOSED'))
      expect(await access.request(first.id)).toEqual(escalated)
    })

    test('leave a grant of the role that was asked for, or that an approver made of it', async () => {
      await using place = await makePlace()
      const state = await place.open()
      const request = await storeRequest(state, (await storePerson(state)).id)
      const terms: Terms = {
        lengthMs: 1000,
        startsAt: at(5000),
        role: 'viewer',
        databases: ['a'],
        networks: ['10.0.0.0/8'],
      }
      const decision = someDecision(request.id, (await storePerson(state)).id, { terms })
      await state.access.transact(async (tx) => {
        await tx.insertDecision(decision)
        await tx.updateRequest(approved({ ...request, step: 1 }))
      })
      expect(await state.access.decisionsOn(request.id)).toEqual([decision])
      const grant = (role: string) => state.access.transact((tx) => tx.insertGrant(someGrant(request, { role })))
      await expect(grant('admin')).rejects.toEqual(code('GRANT_IN_WRONG_STATE'))
      await grant('viewer')
    })
  })
}

function update(state: State, request: Parameters<typeof approved>[0] | ReturnType<typeof approved>): Promise<void> {
  return state.access.transact((tx) => tx.updateRequest(request))
}

async function decideIn(state: State, { id }: Requested, step: number): Promise<void> {
  const decision = someDecision(id, (await storePerson(state)).id, { step })
  await state.access.transact((tx) => tx.insertDecision(decision))
}
