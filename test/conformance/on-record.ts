import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { GrantId } from '../../src/kernel/ids.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { readKeys } from '../keys.ts'
import type { TestGateway } from '../servers/gateway.ts'
import type { Cause } from './causes.ts'

/**
 * The session's end is written with its reason and latency, in its row and in the audit log, and its recording is sealed.
 * @returns the reason's words.
 */
export async function expectOnRecord(
  { gateway: { state }, config }: TestGateway,
  { session, recording }: SessionRow,
  cause: Pick<Cause, 'code'>,
): Promise<{ readonly message: string }> {
  const { end } = await untilEnded(state, session.id)
  expect(end).toMatchObject({ by: 'gate', code: cause.code, cutLatencyMs: expect.any(Number) as number })
  const folder = join(config.gateway.dataFolder, 'recordings')
  const verdict = await verifyRecording(join(folder, recording!), await readKeys(config.gateway.dataFolder))
  // On a disk that is nearly full there may be no room for the seal; then the recording says that it has none.
  expect(cause.code === 'RECORDING_FAILED' ? ['sealed', 'unsealed'] : ['sealed']).toContain(verdict.state)
  const [event] = await state.audit.search({ types: ['session.ended'], text: session.id, limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({
    data: { code: cause.code, cutLatencyMs: expect.any(Number) as number },
  })
  return { message: end!.message! }
}

async function untilEnded(
  { sessions }: TestGateway['gateway']['state'],
  id: SessionRow['session']['id'],
): Promise<SessionRow> {
  for (;;) {
    const row = await sessions.session(id)
    if (row?.end) return row
    await sleep(5)
  }
}

/** Of Alice, if it still holds. */
export async function endGrant(gateway: TestGateway, grant: GrantId): Promise<void> {
  const { access, state } = gateway.gateway
  await access.sweep()
  const stored = await state.access.grant(grant)
  if (stored?.state === 'active') await access.handBack(await gateway.person('alice'), grant)
}
