// Goal: a gateway that is killed in the middle of sessions leaves a record that holds: the audit log is whole, the sessions
// are closed as what they are, the recordings are whole up to what was on the disk, and nobody is locked out.
// Method: SIGKILL for a gateway process with sessions at work; other gateways on its data; the real CLI as the judge.
import { globSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditVerification } from '../../src/audit/verify.ts'
import { verifyExitCodes } from '../../src/cli/verify.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway, type Gateway } from '../../src/gateway.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { Program } from '../clients/program.ts'
import { readKeys } from '../keys.ts'
import { startPostgres } from '../servers/postgres.ts'
import type { ConfigInput } from '../servers/gateway.ts'
import { startSeparateGateway, type SeparateGateway } from '../servers/separate-gateway.ts'
import { startSeparateSshGateway, type SeparateSshGateway } from '../servers/separate-ssh-gateway.ts'
import { isRoot } from './small-disk.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const stack = new AsyncDisposableStack()
let killed: SeparateGateway
let config: Config
let token: string
/** By recording: how many events were on the disk when the gateway was killed. */
const eventsBefore = new Map<string, number>()

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  const options = { postgres, configure: (input: ConfigInput) => void (input.log = { level: 'error' }) }
  const withSsh = isRoot ? await startSeparateSshGateway({ ...options, lengthMs: 3_600_000 }) : undefined
  killed = stack.use(withSsh ?? (await startSeparateGateway(options)))
  config = await loadConfig(killed.configFile, {})
  token = (await killed.enter(3_600_000)).token
  const ends = await startSessions()
  if (withSsh !== undefined) ends.push(...(await startSshSessions(withSsh)))
  for (const file of await recordings(ends.length)) eventsBefore.set(file, await eventsOnDisk(file))
  await killed.kill()
  await Promise.all(ends)
  await postgres.untilSessions({ usename: 'shop_reporting' }, 0)
  while (withSsh !== undefined && (await withSsh.sshd.running()).length > 0) await sleep(10)
})
afterAll(() => stack.disposeAsync())

test('the next gateway closes the sessions as stranded, in the state and in the audit log', async () => {
  await using gateway = await startGateway(config)
  const rows = await gateway.state.sessions.sessions({ limit: 10 })
  expect(rows.map((row) => fileOf(row)).toSorted()).toEqual([...eventsBefore.keys()].toSorted())
  for (const { session, end } of rows) {
    expect(end).toMatchObject({ by: 'gate', code: 'SHUTTING_DOWN', message: expect.stringContaining('without ending') })
    const events = await gateway.state.audit.search({ text: session.id, limit: 10 })
    const types = events.map(({ json }) => (JSON.parse(json) as { type: string }).type)
    expect(types.toSorted()).toEqual(['session.ended', 'session.started'])
  }
})

test('the recordings hold what was on the disk, and say that nobody sealed them', async () => {
  const keys = await readKeys(config.gateway.dataFolder)
  for (const [file, events] of eventsBefore) {
    const found = await verifyRecording(file, keys)
    expect(found).toMatchObject({ state: 'unsealed', problem: null })
    expect(found.events).toBeGreaterThanOrEqual(events)
  }
  const { status, stdout } = await curfew('verify', ...eventsBefore.keys())
  expect(stdout.match(/incomplete: not sealed, unchanged as far as it goes/g)).toHaveLength(eventsBefore.size)
  expect(status).toBe(verifyExitCodes.incomplete)
})

test('the audit log is whole, at the gateway and in an export', async () => {
  await using gateway = await startGateway(config)
  await logIn(gateway)
  const exported = join(dirname(killed.configFile), 'audit.jsonl')
  await writeFile(exported, (await curfew('audit', 'tail', '--lines', '0', '--json')).stdout)
  for (const words of [[], [exported, '--data', config.gateway.dataFolder]]) {
    const { status, stdout } = await curfew('audit', 'verify', '--json', ...words)
    expect(status, stdout).toBe(0)
    const { checkpoints, signedUpTo } = JSON.parse(stdout) as AuditVerification
    // The gateway of the first test was stopped, and signed the log as it stood.
    expect(checkpoints).toBeGreaterThan(0)
    expect(signedUpTo).toBeGreaterThan(0)
  }
})

test('who had a grant goes on under it', async () => {
  await using _ = await startGateway(config)
  const { client } = await killed.connect(token)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await client.end()
})

/** One idle, one in a transaction, one that never stops asking. @returns their ends */
async function startSessions(): Promise<Promise<unknown>[]> {
  const [idle, open, busy] = [await killed.connect(token), await killed.connect(token), await killed.connect(token)]
  await idle.client.query('select 1')
  await open.client.query('begin')
  await open.client.query('select count(*) from monthly_revenue')
  const asking = askOn(busy.client)
  return [idle.end, open.end, Promise.all([busy.end, asking])]
}

/** A shell at a prompt, and a terminal that is never still; sshd ends them when their connection does. @returns their ends */
async function startSshSessions(gateway: SeparateSshGateway): Promise<Promise<unknown>[]> {
  const [still, busy] = [
    stack.use(gateway.ssh('-tt', "PS1='ready> ' exec bash --norc -i")),
    stack.use(gateway.ssh('-tt', 'while :; do echo y; sleep 0.01; done')),
  ]
  await still.until(/ready> /)
  await busy.until(/(y\s+){10}/)
  return [still.exited(), busy.exited()]
}

async function askOn(client: pg.Client): Promise<void> {
  try {
    for (let n = 1; ; n++) await client.query('select $1::int', [n])
  } catch {
    // The connection has ended, which the test waits for.
  }
}

/** Waits until there are so many. */
async function recordings(count: number): Promise<string[]> {
  for (;;) {
    const found = globSync(join(config.gateway.dataFolder, 'recordings/**/*.curfew'))
    if (found.length === count) return found
    await sleep(10)
  }
}

/** Waits for the first. */
async function eventsOnDisk(file: string): Promise<number> {
  for (;;) {
    const { events } = await verifyRecording(file)
    if (events > 0) return events
    await sleep(10)
  }
}

function fileOf({ recording }: SessionRow): string {
  return join(config.gateway.dataFolder, 'recordings', recording!)
}

const sam: Person = {
  id: 'person-sam',
  issuer: 'http://127.0.0.1:9',
  subject: 'sam',
  email: 'sam@shop.example',
  name: 'Sam Okoye',
  groups: ['security'],
  seenAt: 0 as Instant,
}

/** Leaves the reviewer's session where `curfew login` does. */
async function logIn(gateway: Gateway): Promise<void> {
  await gateway.state.identity.transact((tx) => tx.savePerson(sam))
  const { text, token: made } = await gateway.identity.tokens.make(sam, {
    ...{ label: 'test', kind: 'cli', lengthMs: 3_600_000 },
  })
  const folder = join(home(), 'curfew')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const session = { gateway: killed.webUrl.origin, ca: killed.ca, token: text, person: 'sam@shop.example' }
  const lasting = { ...session, expiresAt: new Date(made.expiresAt).toISOString() }
  await writeFile(join(folder, 'session.json'), JSON.stringify(lasting), { mode: 0o600 })
}

function home(): string {
  return join(dirname(killed.configFile), 'home')
}

async function curfew(...words: string[]) {
  await using program = new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: home() } })
  return await program.exited()
}
