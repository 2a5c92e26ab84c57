// Goal: whatever an SSH session is doing, and whatever ends it, the person reads why, nothing of it is left at the target,
// forwarded connections are closed, the recording is sealed, and the audit log has the end with its reason and latency.
// Method: a table of situation x cause against the real ssh, sftp and sshd, with the causes of every protocol.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asciiLine } from '../../src/protocols/ssh/texts.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import { startSshTestGateway, type SshTestGateway } from '../servers/ssh-gateway.ts'
import { causes, type Cause } from './causes.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'
import { makeKeyFolder, newBoundKey } from './ssh-key.ts'
import { sshSituations, type SshSituation } from './ssh-situations.ts'

const run = promisify(execFile)
/** Long enough to reach any situation in. */
const shortGrantMs = 2000
const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let keys: string

beforeAll(async () => {
  if (!isRoot) return
  keys = await makeKeyFolder(stack)
  gateway = stack.use(
    await startSshTestGateway({
      data: await makeDataFolder(stack),
      sshd: { login: 'curfew-test', extraConfig: ['LogLevel INFO'] },
      configure: (config) => {
        config.recording = { minFree: '32MiB' }
        config.identity.refreshEvery = '1s'
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

describe.each(sshSituations)('$name', (situation) => {
  for (const cause of causes) {
    test.skipIf(!isRoot)(`is cut off by ${cause.name} (needs root to start sshd)`, () => cutOff(situation, cause))
  }
})

async function cutOff(situation: SshSituation, cause: Cause): Promise<void> {
  const mark = `mark-${randomBytes(8).toString('hex')}`
  const keyFile = await newBoundKey(gateway, join(keys, mark))
  await using inside = new AsyncDisposableStack()
  const grant = await gateway.sshGrant('alice', 'open', cause.grantMs === undefined ? 3_600_000 : shortGrantMs)
  inside.defer(() => endGrant(gateway, grant.id))
  inside.defer(() => endProcesses(mark))
  const { clients, through } = await situation.enter({ gateway, mark, keyFile, stack: inside })
  const session = await onlyLiveSession()
  const cleanUp = await cause.happen({ gateway, grant, session: session.session.id })
  inside.defer(async () => void (await cleanUp?.()))
  const exits = await Promise.all(clients.map((client) => client.exited()))
  await through?.closed
  await nothingLeft(mark)
  const { message } = await expectOnRecord(gateway, session, cause)
  for (const { status, stdout, stderr } of exits) {
    expect(status).not.toBe(0)
    expect(stdout + stderr).toContain(asciiLine(message))
  }
}

async function onlyLiveSession(): Promise<SessionRow> {
  const live = await gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
  expect(live).toHaveLength(1)
  return live[0]!
}

/** No connection at the target, and no program that one has started, not even one that has let go of it. */
async function nothingLeft(mark: string): Promise<void> {
  const soon = { timeout: 5000, interval: 20 }
  await expect.poll(() => gateway.sshd.running(), soon).toEqual([])
  await expect.poll(() => processesWith(mark), soon).toEqual([])
}

async function processesWith(mark: string): Promise<readonly string[]> {
  const { stdout } = await run('pgrep', ['-af', mark]).catch(() => ({ stdout: '' })) // status 1: there are none
  return stdout.split('\n').filter((line) => line !== '' && !line.includes('pgrep'))
}

/** What a case that failed has left. */
async function endProcesses(mark: string): Promise<void> {
  for (const line of await processesWith(mark)) process.kill(Number.parseInt(line, 10), 'SIGKILL')
}
