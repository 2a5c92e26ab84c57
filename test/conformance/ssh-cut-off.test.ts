// Goal: whatever an SSH session is doing, and whatever ends it, the person reads why, nothing of it is left at the target,
// forwarded connections are closed, the recording is sealed, and the audit log has the end with its reason and latency.
// Method: a table of situation x cause against the real ssh, sftp and sshd, with the causes of every protocol.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionRow } from '../../src/sessions/session.ts'
import { Visitor } from '../clients/visitor.ts'
import { startSshTestGateway, type SshTestGateway } from '../servers/ssh-gateway.ts'
import { makeKey } from '../servers/sshd.ts'
import { causes, type Cause } from './causes.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'
import { sshSituations, type SshSituation } from './ssh-situations.ts'

const run = promisify(execFile)
const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let keys: string

beforeAll(async () => {
  if (!isRoot) return
  keys = await mkdtemp(join(tmpdir(), 'curfew-conformance-keys-'))
  stack.defer(() => rm(keys, { recursive: true }))
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
  const grant = await gateway.sshGrant('alice', 'open', cause.grantMs ?? 3_600_000)
  await using inside = new AsyncDisposableStack()
  const clients = await situation.enter({ gateway, mark, keyFile: await newKey(mark), stack: inside })
  const session = await onlyLiveSession()
  const cleanUp = await cause.happen({ gateway, grant, session: session.session.id })
  try {
    const ends = await Promise.all(clients.map((client) => client.exited()))
    for (const { status, stdout, stderr } of ends) {
      expect(status).not.toBe(0)
      expect(`${stdout}${stderr}`).toMatch(/curfew: |Received disconnect/)
    }
    await nothingLeft(mark)
    await expectOnRecord(gateway, session, cause)
  } finally {
    await cleanUp?.()
    await endGrant(gateway, grant.id)
  }
}

/** Alice signs in with a new browser, and a new key is bound to that. */
async function newKey(mark: string): Promise<string> {
  const file = join(keys, mark)
  await makeKey(file, 'ed25519')
  await using browser = new Visitor(gateway.ca)
  await browser.open(new URL('/sign-in', gateway.url), 'alice')
  await gateway.bind('alice', `${file}.pub`)
  return file
}

async function onlyLiveSession(): Promise<SessionRow> {
  const live = await gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
  expect(live).toHaveLength(1)
  return live[0]!
}

/** No connection at the target, and no program that one has started, not even one that has let go of it. */
async function nothingLeft(mark: string): Promise<void> {
  while ((await gateway.sshd.running()).length > 0) await sleep(10)
  while ((await processesWith(mark)).length > 0) await sleep(10)
}

async function processesWith(mark: string): Promise<readonly string[]> {
  const { stdout } = await run('pgrep', ['-af', mark]).catch(() => ({ stdout: '' })) // status 1: there are none
  return stdout.split('\n').filter((line) => line !== '' && !line.includes('pgrep'))
}
