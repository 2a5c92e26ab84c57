import { once } from 'node:events'
import { writeSync } from 'node:fs'
import type { PersonId, RequestId } from '../../src/kernel/ids.ts'
import { asFault } from '../../src/kernel/fault.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import { systemClock } from '../../src/system.ts'
import { approved, someDecision, someEvent, someGrant } from '../contracts/samples.ts'
import { silence } from './place.ts'

// A process of its own, for sqlite-processes.test.ts: approves every request that it is given, as fast as it can.
// node approving-process.ts FOLDER PERSON REQUEST…   prints `ready`, waits for a line, prints one outcome a line.

const [folder, person, ...requests] = process.argv.slice(2) as [string, PersonId, ...RequestId[]]
await using state = await openSqliteState({ folder, clock: systemClock, log: silence })
writeSync(1, 'ready\n')
await once(process.stdin, 'data')
process.stdin.destroy()
await Promise.all(requests.map(async (id) => writeSync(1, `${id} ${await approve(id)}\n`)))

async function approve(id: RequestId): Promise<string> {
  try {
    await state.access.transact(async (tx) => {
      const request = await tx.request(id)
      if (request?.state !== 'requested') throw new Error('closed')
      await tx.insertDecision(someDecision(id, person))
      await tx.updateRequest(approved(request))
      await tx.insertGrant(someGrant(request))
      await tx.record(someEvent('request.approved', { request: id }))
      await tx.announce({ kind: 'request-closed', request: id, state: 'approved' })
    })
    return 'won'
  } catch (error) {
    return asFault(error)?.code ?? String(error)
  }
}
