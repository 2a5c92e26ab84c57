// Goal: whatever a session is doing, and whatever ends it, the client reads why, nothing of it is left at the target,
// the recording is sealed, and the audit log has the end with its reason and latency. Who waits for an approval or a
// sign-in is ended with words, too.
// Method: a table of protocol x situation x cause against the real parts. SSH has its own file, with the same causes.
// All situations meet a cause together; each is looked at on its own.
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/ports.ts'
import type { Grant } from '../../src/access/states.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { Visitor } from '../clients/visitor.ts'
import { startTestGateway, type ConfigInput, type TestGateway, type TestRole } from '../servers/gateway.ts'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { causes, type Cause } from './causes.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'
import { situations, type Entered, type Entry, type Farewell, type Situation } from './situations.ts'

/** Long enough to reach all situations in, on a busy machine. */
const togetherMs = 10_000
const hourMs = 3_600_000
/** The longest is the grant's own time. */
const endsWithinMs = 25_000
const stack = new AsyncDisposableStack()
let gateway: TestGateway
let cases = 0

beforeAll(async () => {
  const data = await makeDataFolder(stack)
  const plaintextPort = await freePort()
  const postgres = stack.use(await startPostgres())
  const administrator = await makeAdministrator(postgres)
  gateway = stack.use(
    await startTestGateway({
      postgres,
      configure: (config) => {
        config.gateway.data = data
        config.listen.postgres?.push({ port: plaintextPort, plaintext: 'allow' })
        config.recording = { minFree: '32MiB' }
        config.identity.refreshEvery = '1s'
        withRoles(config, administrator)
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

/** Who makes a user for each grant. @returns where the password is. */
async function makeAdministrator(postgres: TestPostgres): Promise<string> {
  const secret = randomBytes(16).toString('hex')
  await postgres.query(`create role makes_users login createrole password '${secret}'`)
  await postgres.query('grant shop_reporting to makes_users with admin option')
  const file = join(postgres.folder, 'administrator')
  await writeFile(file, secret, { mode: 0o600 })
  return file
}

/** Of `reporting` each grant has a user of its own, of `admin` one kind of statement waits; `readonly` is plain. */
function withRoles({ resources }: ConfigInput, administrator: string): void {
  const shop = resources?.['prod-db']
  if (shop?.kind !== 'postgres') throw new Error('prod-db is a PostgreSQL server')
  // oxlint-disable-next-line unicorn/no-thenable -- a word of the file; it is never a function
  const rule = { name: 'truncating', when: { kinds: ['truncate'] }, then: 'ask' } as const
  Object.assign(shop.roles['admin']!, { guard: { rules: [rule] } })
  const makes = { login: 'makes_users', password: `file:${administrator}` }
  shop.roles['reporting'] = {
    databases: ['shop'],
    user: { administrator: makes, memberOf: ['shop_reporting'], keepFor: '0' },
  }
}

interface Inside {
  readonly situation: Situation
  readonly entered: Entered
  readonly session: SessionRow
}

const protocols = [...new Set(situations.map(({ protocol }) => protocol))]
describe.each(protocols)('%s', (protocol) => {
  const these = situations.filter((situation) => situation.protocol === protocol)
  describe.each(causes)('by $name', (cause) => {
    const needsRoot = cause.code === 'RECORDING_FAILED'
    const why = needsRoot ? ' (needs root to mount a small disk)' : ''
    const run = !needsRoot || isRoot
    let ended: ReadonlyMap<Situation, Promise<void>>

    beforeAll(async () => {
      if (run) ended = await cutOff(these, cause)
    })

    test.skipIf(!run).each(these)(`$name is cut off${why}`, (situation) => ended.get(situation))
  })
})

/** All of them together. @returns of each whether its end was as it should be. */
async function cutOff(these: readonly Situation[], cause: Cause): Promise<ReadonlyMap<Situation, Promise<void>>> {
  await using after = new AsyncDisposableStack()
  const grants = await grantsFor(new Set(these.map(roleOf)), cause)
  for (const { id } of grants) after.defer(() => endGrant(gateway, id))
  after.defer(revokeTokens)
  if (cause.cameBy === 'browser') await rememberSignIn()
  const entering = these.map((situation) => enter(situation, cause))
  await Promise.allSettled(entering)
  const inside = await Promise.all(entering)
  const sessions = inside.map(({ session }) => session.session.id)
  for (const grant of cause.ends === 'one grant' ? grants : grants.slice(0, 1)) {
    for (const session of cause.ends === 'one session' ? sessions : sessions.slice(0, 1)) {
      const cleanUp = await cause.happen({ gateway, grant, session })
      after.defer(async () => void (await cleanUp?.()))
    }
  }
  const ended = inside.map((one) => [one.situation, inTime(expectCut(one, cause))] as const)
  await Promise.allSettled(ended.map(([, end]) => end))
  return new Map(ended)
}

/** Nobody may have more than a hundred. */
async function revokeTokens(): Promise<void> {
  const { own } = gateway.gateway.identity
  const alice = await gateway.person('alice')
  const { tokens } = await own.list(alice.id)
  await Promise.all(tokens.filter(({ endedAt }) => endedAt === null).map(({ id }) => own.revoke(alice, id)))
}

async function grantsFor(roles: Iterable<TestRole>, cause: Cause): Promise<readonly Grant[]> {
  const grants: Grant[] = []
  const lengthMs = cause.grantMs === undefined ? hourMs : togetherMs
  for (const role of roles) grants.push(await gateway.grant('alice', role, lengthMs))
  return grants
}

function roleOf({ role = 'readonly' }: Situation): TestRole {
  return role
}

async function enter(situation: Situation, cause: Cause): Promise<Inside> {
  const application = `conformance-${++cases}`
  const entered = await situation.enter({
    gateway,
    application,
    ...(await credential(roleOf(situation), cause.cameBy)),
  })
  return { situation, entered, session: await liveSession(application) }
}

/** So that one whose end never comes says so itself. */
async function inTime(end: Promise<void>): Promise<void> {
  const late = sleep(endsWithinMs, undefined, { ref: false }).then(() => Promise.reject(new Error('it is not over')))
  await Promise.race([end, late])
}

async function expectCut({ situation, entered, session }: Inside, cause: Cause): Promise<void> {
  const words = await entered.farewell
  await gateway.postgres.untilSessions({ application_name: session.session.client.application }, 0)
  await entered.gone?.()
  if (situation.tellsAlways || words.sqlState !== undefined) expectReason(words, cause)
  await expectOnRecord(gateway, session, cause)
}

async function credential(role: TestRole, cameBy: Cause['cameBy']): Promise<Pick<Entry, 'user' | 'token'>> {
  if (cameBy === 'browser') return { user: role, token: undefined }
  return { user: `${role}.token`, token: await gateway.token('alice') }
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

function expectReason(words: Farewell, { code }: Cause): void {
  expect(words).toMatchObject({ sqlState: '57P01', severity: 'FATAL' })
  expect(words.hint).toMatch(code.startsWith('GRANT_') ? /https:.*\/ask\?resource=prod-db&role=/ : /\w/)
}

async function liveSession(application: string): Promise<SessionRow> {
  const live = await gateway.gateway.state.sessions.sessions({ live: true, limit: 100 })
  const row = live.find(({ session }) => session.client.application === application)
  expect(row, 'the session is live').toBeDefined()
  return row!
}

interface EndOfWaiting {
  readonly name: string
  readonly cameBy?: 'browser'
  readonly says: { readonly code: string; readonly message: RegExp; readonly hint: RegExp }
  /** @returns what puts the world right again. */
  readonly happen: () => Promise<(() => Promise<unknown>) | void>
}

const signedOut = { code: '57P01', message: /You signed out, or were signed out/, hint: /sign in|connect again/i }
const stopped = { code: '57P01', message: /shutting down/, hint: /\w/ }
const endsOfWaiting: readonly EndOfWaiting[] = [
  { name: 'a lock', says: { code: '57P01', message: /stolen laptop/, hint: /\w/ }, happen: () => happen('a lock') },
  {
    ...{ name: 'sign-out at the provider', cameBy: 'browser', says: signedOut },
    happen: () => gateway.provider.signOutEverywhere('alice'),
  },
  {
    ...{ name: 'leaving the group', cameBy: 'browser' },
    says: { code: '57P01', message: /Your groups no longer allow prod-db as readonly/, hint: /\w/ },
    happen: () => happen('leaving the group'),
  },
  { name: 'revoking the token', says: signedOut, happen: () => revokeOwn('tokens') },
  {
    name: 'denial',
    says: { code: '42501', message: /Your request was refused: not on a Friday/, hint: /https:.*\/requests\/request-/ },
    happen: () => decide('deny'),
  },
  { name: 'the stop of the gateway', says: stopped, happen: () => gateway.restart() },
]

describe('waiting for an approval is ended', () => {
  test.each(endsOfWaiting)('by $name', async ({ cameBy, says, happen: makeHappen }) => {
    const before = await sessionsSoFar()
    if (cameBy === 'browser') await rememberSignIn()
    const { user, token } = await credential('readonly', cameBy)
    // What was refused a short while ago is not asked again in the same words.
    const { refused } = await knock(/\/requests\/request-/, user, token, `-c curfew.reason=INC-${++cases}`)
    const cleanUp = await makeHappen()
    expect(await refused).toMatchObject({ severity: 'FATAL', code: says.code })
    expect((await refused).message).toMatch(says.message)
    expect((await refused).hint).toMatch(says.hint)
    expect(await sessionsSoFar()).toBe(before)
    await cleanUp?.()
    await callOffRequests()
  })
})

test('waiting for a sign-in is ended by the stop of the gateway', async () => {
  const before = await sessionsSoFar()
  await revokeOwn('bindings')
  const { refused } = await knock(/must show the code/, 'readonly')
  await gateway.restart()
  expect(await refused).toMatchObject({ severity: 'FATAL', code: stopped.code })
  expect(await sessionsSoFar()).toBe(before)
})

/** Comes to the door as a driver does. Resolves when the client has been told so. */
async function knock(told: RegExp, user: string, password?: string, options?: string) {
  const client = new pg.Client({
    ...{ host: 'localhost', port: gateway.postgresPort, user, database: 'prod-db', ssl: { ca: gateway.ca } },
    ...(password !== undefined && { password }),
    ...(options !== undefined && { options }),
  })
  client.on('error', () => undefined) // `connect` rejects with it, too
  const waits = Promise.withResolvers<void>()
  client.on('notice', ({ message = '' }) => told.test(message) && waits.resolve())
  const refused = client.connect().then(
    () => Promise.reject(new Error('it was let in')),
    (error: unknown) => error as pg.DatabaseError,
  )
  await Promise.race([waits.promise, refused.then((error) => Promise.reject(error))])
  return { refused }
}

async function sessionsSoFar(): Promise<number> {
  return (await gateway.gateway.state.sessions.sessions({ limit: 1000 })).length
}

/** A cause that touches the person, and needs no session to end. */
async function happen(name: 'a lock' | 'leaving the group') {
  const none = undefined as never
  return causes.find((cause) => cause.name === name)!.happen({ gateway, grant: none, session: none })
}

async function revokeOwn(what: 'tokens' | 'bindings'): Promise<void> {
  const alice = await gateway.person('alice')
  const { own } = gateway.gateway.identity
  for (const { id } of (await own.list(alice.id))[what]) await own.revoke(alice, id)
}

async function decide(verdict: 'deny'): Promise<void> {
  const bob = await gateway.person('bob')
  const [open] = await gateway.gateway.access.toDecide(bob)
  await gateway.gateway.access.decide(bob, open!.request.id, verdict, 'not on a Friday')
}

/** They outlive whoever waited. */
async function callOffRequests(): Promise<void> {
  const alice = await gateway.person('alice')
  for (const { id, state } of await gateway.gateway.access.requestsOf(alice, 50)) {
    if (state === 'requested') await gateway.gateway.access.cancel(alice, id)
  }
}
