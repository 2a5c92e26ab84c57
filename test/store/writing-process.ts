import { writeSync } from 'node:fs'
import type { GrantId } from '../../src/kernel/ids.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import { systemClock } from '../../src/system.ts'
import { someEvent, someSession } from '../contracts/samples.ts'
import { silence } from './place.ts'

// A process of its own, for sqlite-processes.test.ts: starts sessions, many at once, and dies in the middle of it.
// node writing-process.ts FOLDER GRANT COUNT
// prints the id of each session as soon as it was acknowledged, and ends by SIGKILL right behind number COUNT.

const [folder, grantId, count] = process.argv.slice(2) as [string, GrantId, string]
let acknowledged = 0
const state = await openSqliteState({ folder, clock: systemClock, log: silence })
const grant = await state.access.grant(grantId)
if (grant === undefined) throw new Error('there is no such grant')
await Promise.all(Array.from({ length: 16 }, writeOn))

async function writeOn(): Promise<never> {
  for (;;) {
    const session = someSession(grant!)
    await state.sessions.transact(async (tx) => {
      await tx.insertSession(session, null)
      await tx.record(someEvent('session.started', { session: session.id }))
      await tx.announce({ kind: 'session-opened', session: session.id })
    })
    writeSync(1, `${session.id}\n`)
    acknowledged += 1
    if (acknowledged === Number(count)) process.kill(process.pid, 'SIGKILL')
  }
}
