// Goal: whatever a session is doing, and whatever ends it, the client reads why, nothing of it is left at the target,
// the recording is sealed, and the audit log has the end with its reason and latency.
// Method: a table of protocol x situation x cause against the real parts. SSH has its own file, with the same causes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/ports.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { Visitor } from '../clients/visitor.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { causes, type Cause } from './causes.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'
import { advisoryLock, situations, type Entry, type Farewell, type Situation } from './situations.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway
let cases = 0

beforeAll(async () => {
  const data = await makeDataFolder(stack)
  const plaintextPort = await freePort()
  gateway = stack.use(
    await startTestGateway({
      configure: (config) => {
        config.gateway.data = data
        config.listen.postgres?.push({ port: plaintextPort, plaintext: 'allow' })
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
    // Time ends a grant in the same way whatever its session does, and takes seconds to.
    for (const cause of causes.filter(({ grantMs }) => grantMs === undefined || situation.awaitsExpiry === true)) {
      const needsRoot = cause.code === 'RECORDING_FAILED'
      const why = needsRoot ? ' (needs root to mount a small disk)' : ''
      test.skipIf(needsRoot && !isRoot)(`is cut off by ${cause.name}${why}`, () => cutOff(situation, cause))
    }
  })
})

async function cutOff(situation: Situation, cause: Cause): Promise<void> {
  const application = `conformance-${++cases}`
  const grant = await gateway.grant('alice', 'readonly', cause.grantMs ?? 3_600_000)
  const { farewell, others } = await situation.enter({ gateway, application, ...(await credential(cause)) })
  const session = await liveSession(application)
  const cleanUp = await cause.happen({ gateway, grant, session: session.session.id })
  try {
    const words = await farewell
    await gateway.postgres.untilSessions({ application_name: application }, 0)
    await nothingLocked()
    await others
    if (situation.tellsAlways || words.sqlState !== undefined) expectReason(words)
    await expectOnRecord(gateway, session, cause)
  } finally {
    await cleanUp?.()
    await endGrant(gateway, grant.id)
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
