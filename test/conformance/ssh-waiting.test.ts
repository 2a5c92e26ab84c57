// Goal: who waits at the door, or came by way of the menu or a jump, is ended like everybody else: with words, with
// nothing opened at the target, and with no session left.
// Method: the real ssh at a terminal, waiting for an approval or a sign-in, or inside by choice or by jump; what happens
// is what really happens, through the door that people use.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Program } from '../clients/program.ts'
import { atTerminal } from '../protocols/ssh/at-terminal.ts'
import { startSshTestGateway, type SshTestGateway } from '../servers/ssh-gateway.ts'
import { makeKey } from '../servers/sshd.ts'
import { causes, type Cause } from './causes.ts'
import { endGrant, expectOnRecord } from './on-record.ts'
import { isRoot } from './small-disk.ts'
import { makeKeyFolder, newBoundKey } from './ssh-key.ts'

const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let keys: string
let configFile: string
let keysMade = 0

beforeAll(async () => {
  if (!isRoot) return
  keys = await makeKeyFolder(stack)
  gateway = stack.use(
    await startSshTestGateway({
      sshd: { login: 'curfew-test', extraConfig: ['LogLevel VERBOSE'] },
      configure: (config) => (config.identity.refreshEvery = '1s'),
    }),
  )
  configFile = join(keys, 'ssh_config')
  const place = `HostName localhost\n  Port ${gateway.sshPort}`
  const known = `StrictHostKeyChecking yes\n  UserKnownHostsFile ${gateway.knownHostsFile}\n  IdentitiesOnly yes`
  await writeFile(configFile, `Host gw\n  ${place}\n  User alice\nHost *\n  ${known}\n`)
})
afterAll(() => stack.disposeAsync())

interface EndOfWaiting {
  readonly name: string
  readonly says: RegExp
  /** @returns what puts the world right again. */
  readonly happen: () => Promise<(() => Promise<unknown>) | void>
}

const signedOut = /curfew: You signed out, or were signed out\./
const stopped = /curfew: The gateway is shutting down\./

const endsOfWaiting: readonly EndOfWaiting[] = [
  { name: 'a lock', says: /curfew: .*stolen laptop/, happen: () => happen('a lock') },
  { name: 'sign-out at the provider', says: signedOut, happen: () => gateway.provider.signOutEverywhere('alice') },
  {
    name: 'leaving the group',
    says: /curfew: Your groups no longer allow web-1 as asked\./,
    happen: () => happen('leaving the group'),
  },
  { name: "revoking the key's binding", says: signedOut, happen: revokeBindings },
  { name: 'denial', says: /curfew: Your request was refused: not on a Friday/, happen: deny },
  { name: 'the stop of the gateway', says: stopped, happen: () => gateway.restart() },
]

describe.runIf(isRoot)('waiting for an approval is ended (needs root, as sshd does)', () => {
  test.each(endsOfWaiting)('by $name', async ({ says, happen: makeHappen }) => {
    const before = await traces()
    await using program = ssh(await boundKey(), '-l', 'asked@web-1', 'gw')
    await program.until(/Reason: /)
    program.send('the disk is full')
    await program.until(/How long\?/)
    program.send('')
    await program.until(/\/requests\/request-/)
    await endsWithWords(program, makeHappen, says)
    expect(await traces()).toEqual(before)
    await callOffRequests()
  })
})

test.runIf(isRoot)('waiting for a sign-in is ended by the stop of the gateway (needs root, as sshd does)', async () => {
  const before = await traces()
  const key = join(keys, `key-${++keysMade}`)
  await makeKey(key, 'ed25519')
  await using program = ssh(key, '-l', 'open@web-1', 'gw')
  await program.until(/must show the code/)
  await endsWithWords(program, () => gateway.restart(), stopped)
  expect(await traces()).toEqual(before)
})

const causesWithin = causes.filter(({ code, cameBy }) => code === 'LOCKED' || (code === 'SIGNED_OUT' && cameBy))

describe.runIf(isRoot)('a session from the menu is ended (needs root, as sshd does)', () => {
  test.each(causesWithin)('by $name', (cause) => {
    return cutOff(cause, async (key) => {
      const program = ssh(key, 'gw')
      await program.until(/q to quit: /)
      program.send('open@web-1')
      program.send('echo $((40+2))-inside; exec sleep 600')
      await program.until(/42-inside/)
      return program
    })
  })
})

describe.runIf(isRoot)('a session through a jump is ended (needs root, as sshd does)', () => {
  test.each(causesWithin)('by $name', (cause) => {
    return cutOff(cause, async (key) => {
      const program = ssh(
        key,
        '-o',
        `ProxyCommand=ssh -F ${configFile} -i ${key} -W %h:%p gw`,
        '-l',
        'open',
        'web-1',
        'echo begun; exec sleep 600',
      )
      await program.until(/begun/)
      return program
    })
  })
})

async function cutOff(cause: Cause, enter: (key: string) => Promise<Program>): Promise<void> {
  const key = await boundKey()
  const grant = await gateway.sshGrant('alice', 'open')
  await using inside = new AsyncDisposableStack()
  inside.defer(() => endGrant(gateway, grant.id))
  const program = inside.use(await enter(key))
  const [row, ...others] = await liveSessions()
  expect(others).toEqual([])
  const cleanUp = await cause.happen({ gateway, grant, session: row!.session.id })
  inside.defer(async () => void (await cleanUp?.()))
  const { status, stdout } = await program.exited()
  expect(status).not.toBe(0)
  await expect.poll(() => gateway.sshd.running(), { timeout: 5000 }).toEqual([])
  const { message } = await expectOnRecord(gateway, row!, cause)
  expect(stdout).toContain(`curfew: ${message}`)
}

async function endsWithWords(program: Program, makeHappen: EndOfWaiting['happen'], says: RegExp): Promise<void> {
  const cleanUp = await makeHappen()
  try {
    await program.until(says)
    expect((await program.exited()).status).toBe(255)
  } finally {
    await cleanUp?.()
  }
}

async function boundKey(): Promise<string> {
  return newBoundKey(gateway, join(keys, `key-${++keysMade}`))
}

function ssh(key: string, ...words: readonly string[]): Program {
  return atTerminal(['ssh', '-F', configFile, '-i', key, ...words])
}

function liveSessions() {
  return gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
}

/** What somebody who only waits leaves nowhere: sessions, and connections to the target. */
async function traces() {
  return {
    sessions: (await gateway.gateway.state.sessions.sessions({ limit: 100 })).length,
    connections: gateway.sshd.log().split('Connection from').length,
  }
}

/** A cause that touches the person, and needs no session to end. */
async function happen(name: 'a lock' | 'leaving the group') {
  const none = undefined as never
  return causes.find((cause) => cause.name === name)!.happen({ gateway, grant: none, session: none })
}

async function revokeBindings(): Promise<void> {
  const alice = await gateway.person('alice')
  const { own } = gateway.gateway.identity
  for (const { id } of (await own.list(alice.id)).bindings) await own.revoke(alice, id)
}

async function deny(): Promise<void> {
  const bob = await gateway.person('bob')
  const [open] = await gateway.gateway.access.toDecide(bob)
  await gateway.gateway.access.decide(bob, open!.request.id, 'deny', 'not on a Friday')
}

/** They outlive whoever waited, and the next to come would wait for them without being asked. */
async function callOffRequests(): Promise<void> {
  const alice = await gateway.person('alice')
  for (const { id, state } of await gateway.gateway.access.requestsOf(alice, 50)) {
    if (state === 'requested') await gateway.gateway.access.cancel(alice, id)
  }
}
