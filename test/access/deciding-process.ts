import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { noTerms } from '../../src/access/terms.ts'
import type { Terms } from '../../src/access/states.ts'
import type { Person } from '../../src/identity/person.ts'
import { asFault } from '../../src/kernel/fault.ts'
import type { PersonId, RequestId } from '../../src/kernel/ids.ts'
import { stepOf } from '../../src/policy/approval.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import { systemClock } from '../../src/system.ts'
import { accessOver, policies, quiet } from './world.ts'

// A process of its own, for processes.test.ts: its people decide on one request after the other, as fast as they can.
// node deciding-process.ts FOLDER VOICES REQUEST…   prints `ready`, waits for a line, prints `REQUEST PERSON OUTCOME`.

/** What one person says; those who refuse do so on every third request. */
export interface Voice {
  readonly person: PersonId
  readonly terms: Partial<Terms>
  readonly refuses: boolean
}

const operators = { from: ['operators'], allOf: [], named: [], manager: false }
/** The second step calls others at once. */
export const inSteps: Policy = {
  ...policies[0]!,
  approval: {
    kind: 'people',
    steps: [stepOf(1, ['approvers']), { ...stepOf(1, ['security']), escalate: { afterMs: 1, to: operators } }],
  },
}

const pauseMs = 20

if (import.meta.main) await main(process.argv.slice(2))

async function main([folder = '', voices = '', ...requests]: readonly string[]): Promise<void> {
  await using state = await openSqliteState({ folder, clock: systemClock, log: quiet })
  const access = accessOver(state, systemClock, 3_600_000, { policies: [inSteps] })
  writeSync(1, 'ready\n')
  await once(process.stdin, 'data')
  process.stdin.destroy()
  const words = (JSON.parse(voices) as readonly Voice[]).map(async (voice) => {
    for (const [index, id] of requests.entries()) {
      await say(voice, id as RequestId, index)
      await delay(pauseMs) // SQLite gives its lock to whoever asks at the right moment, which is who has just had it
    }
  })
  let over = false
  const sweeping = (async () => {
    while (!over) await Promise.all([access.sweep(), delay(pauseMs)])
  })()
  await Promise.all(words)
  over = true
  await sweeping

  async function say({ person: name, terms, refuses }: Voice, id: RequestId, index: number): Promise<void> {
    const person = (await state.identity.person(name))!
    const verdict = refuses && index % 3 === 0 ? 'deny' : 'approve'
    writeSync(1, `${id} ${name} ${await untilSettled(person, id, verdict, terms)}\n`)
  }

  /** Those of the second step wait until it is their turn. */
  async function untilSettled(person: Person, id: RequestId, verdict: 'approve' | 'deny', terms: Partial<Terms>) {
    const isLater = person.groups.includes('security')
    while (isLater && (await isAtFirstStep(id))) await delay(1)
    try {
      await access.decide(person, id, verdict, '', undefined, verdict === 'approve' ? { ...noTerms, ...terms } : null)
      return verdict
    } catch (error) {
      return asFault(error)?.code ?? String(error)
    }
  }

  async function isAtFirstStep(id: RequestId): Promise<boolean> {
    const request = await state.access.request(id)
    return request?.state === 'requested' && request.step === 0
  }
}
