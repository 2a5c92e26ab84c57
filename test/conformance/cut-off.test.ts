// Goal: whatever a session is doing, and whatever ends it, the client reads why, nothing of it is left at the target,
// the recording is sealed, and the audit log has the end with its reason and latency.
// Method: a table of protocol x situation x cause against the real parts. A new protocol adds situations.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionRow } from '../../src/sessions/session.ts'
import { readKeys } from '../keys.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import { Visitor } from '../clients/visitor.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { causes, type Cause } from './causes.ts'
import { advisoryLock, situations, type Entry, type Farewell, type Situation } from './situations.ts'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0
/** A disk of its own, small enough to be filled; only root may mount one. */
const diskBytes = 400 << 20
const stack = new AsyncDisposableStack()
let gateway: TestGateway
let cases = 0

beforeAll(async () => {
  const data = await mkdtemp(join(tmpdir(), 'curfew-conformance-'))
  stack.defer(() => rm(data, { recursive: true }))
  if (isRoot) {
    await mkdir(join(data, 'recordings'))
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'curfew-test', join(data, 'recordings')])
    stack.defer(() => run('umount', ['-l', join(data, 'recordings')]).then(() => undefined))
  }
  gateway = stack.use(
    await startTestGateway({
      configure: (config) => {
        config.gateway.data = data
        config.recording = { minFree: '32MiB' }
        config.identity.refreshEvery = '1s'
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

const protocols = [...new Set(situations.map(({ protocol }) => protocol))]
describe.each(protocols)('%s', (protocol) => {
  describe.each(situations.filter((situation) => situation.protocol === protocol))('$name', (situation) => {
    for (const cause of causes) {
      const needsRoot = cause.code === 'RECORDING_FAILED'
      const why = needsRoot ? ' (needs root to mount a small disk)' : ''
      test.skipIf(needsRoot && !isRoot)(`is cut off by ${cause.name}${why}`, () => cutOff(situation, cause))
    }
  })
})

async function cutOff(situation: Situation, cause: Cause): Promise<void> {
  const application = `conformance-${++cases}`
  const grant = await gateway.grant('alice', 'readonly', cause.grantMs ?? 3_600_000)
  const { farewell } = await situation.enter({ gateway, application, ...(await credential(cause)) })
  const session = await liveSession(application)
  const cleanUp = await cause.happen({ gateway, grant, session: session.session.id })
  try {
    const words = await farewell
    await gateway.postgres.untilSessions({ application_name: application }, 0)
    await nothingLocked()
    if (situation.tellsAlways || words.sqlState !== undefined) expectReason(words)
    await expectOnRecord(session, cause)
  } finally {
    await cleanUp?.()
    await endGrant(grant)
  }
}

async function credential({ cameBy }: Cause): Promise<Pick<Entry, 'user' | 'token'>> {
  if (cameBy === undefined) return { user: 'readonly.token', token: await gateway.token('alice') }
  await rememberSignIn()
  return { user: 'readonly', token: undefined }
}

/** Alice signs in with a new browser and has this address remembered. */
async function rememberSignIn(): Promise<void> {
  await using browser = new Visitor(gateway.ca)
  await browser.open(new URL('/sign-in', gateway.url), 'alice')
  const { inBand } = gateway.gateway.identity
  const person = await gateway.person('alice')
  const sessions = await gateway.gateway.state.identity.browserSessionsOf(person.id)
  const browserSession = sessions.toSorted((left, right) => right.createdAt - left.createdAt)[0]!
  const address = '127.0.0.1'
  const asks = { purpose: 'postgres', address, application: 'psql', resource: 'prod-db', role: 'readonly' } as const
  const signIn = await inBand.begin({ ...asks, secretHash: null })
  await inBand.confirm(signIn, { person, browserSession }, { address }, true)
}

function expectReason(words: Farewell): void {
  expect(words).toMatchObject({ sqlState: '57P01', severity: 'FATAL' })
  expect(words.hint).toMatch(/\w/)
}

async function liveSession(application: string): Promise<SessionRow> {
  const live = await gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
  const row = live.find(({ session }) => session.client.application === application)
  expect(row, 'the session is live').toBeDefined()
  return row!
}

/** A transaction that was open has let go. */
async function nothingLocked(): Promise<void> {
  const { rows } = await gateway.postgres.query('select pg_try_advisory_lock($1) as free', [advisoryLock])
  expect(rows).toEqual([{ free: true }])
  await gateway.postgres.query('select pg_advisory_unlock($1)', [advisoryLock])
}

async function expectOnRecord({ session, recording }: SessionRow, cause: Cause): Promise<void> {
  const { state, config } = { state: gateway.gateway.state, config: gateway.config }
  const { end } = await untilEnded(session.id)
  expect(end).toMatchObject({ by: 'gate', code: cause.code, cutLatencyMs: expect.any(Number) as number })
  const folder = join(config.gateway.dataFolder, 'recordings')
  const verdict = await verifyRecording(join(folder, recording!), await readKeys(config.gateway.dataFolder))
  // On a disk that is nearly full there may be no room for the seal; then the recording says that it has none.
  expect(cause.code === 'RECORDING_FAILED' ? ['sealed', 'unsealed'] : ['sealed']).toContain(verdict.state)
  const [event] = await state.audit.search({ types: ['session.ended'], text: session.id, limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({
    data: { code: cause.code, cutLatencyMs: expect.any(Number) as number },
  })
}

async function untilEnded(id: SessionRow['session']['id']): Promise<SessionRow> {
  for (;;) {
    const row = await gateway.gateway.state.sessions.session(id)
    if (row?.end) return row
    await sleep(5)
  }
}

async function endGrant(grant: { readonly id: `grant-${string}` }): Promise<void> {
  const { access } = gateway.gateway
  await access.sweep()
  const stored = await gateway.gateway.state.access.grant(grant.id)
  if (stored?.state === 'active') await access.handBack(await gateway.person('alice'), grant.id)
}
