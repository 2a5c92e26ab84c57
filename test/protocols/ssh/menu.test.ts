// Goal: whoever names no resource sees what there is, and gets to it; what the client sends is bounded and in order.
// Method: the real menu over transports in memory and a real access room; a client that sends messages by hand.
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAccess } from '../../../src/access/create-access.ts'
import type { Access } from '../../../src/access/access.ts'
import type { Change } from '../../../src/kernel/change.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import { Subject } from '../../../src/kernel/observable.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import type { AdoptedChannel, Conversation } from '../../../src/protocols/ssh/conversation.ts'
import { serveMenu, type MenuDeps, type Within } from '../../../src/protocols/ssh/menu/serve-menu.ts'
import { createCatalogue, type SshResource, type SshRole } from '../../../src/resources/catalogue.ts'
import type { Admission } from '../../../src/sessions/admission.ts'
import { riskDefaults } from '../../../src/policy/risk.ts'
import type { Policy } from '../../../src/policy/rules.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { HandClock } from '../../clock.ts'
import { openWorld, people, policies, quiet, silent, type World } from '../../access/world.ts'
import { ChannelClient, jumpFields } from './channel-client.ts'
import { memoryPair } from './memory-transport.ts'
import { stepOf } from '../../../src/policy/approval.ts'

const role = (name: string): SshRole => ({
  kind: 'ssh',
  name,
  description: `as ${name}`,
  login: name,
  key: null,
  allow: ['shell'],
  recordInput: false,
  recording: 'strict',
})
const resource = (name: string, ...roles: readonly string[]): SshResource => ({
  kind: 'ssh',
  name,
  description: '',
  labels: {},
  host: 'localhost',
  port: 22,
  hostKeys: { fingerprints: [], knownHosts: null, authorities: [] },
  keepalives: null,
  roles: Object.fromEntries(roles.map((each) => [each, role(each)])),
})
const policy = (name: string, resources: readonly string[], approval: Policy['approval']): Policy => ({
  ...policies[0]!,
  name,
  what: { resources, labels: {}, roles: null },
  approval,
  reason: 'optional',
})
const somebody = { kind: 'people', steps: [stepOf(1, ['approvers'])] } as const

let world: World
let access: Access
beforeAll(async () => {
  world = await openWorld()
  access = createAccess({
    store: world.state.access,
    history: world.state.history,
    risk: riskDefaults,
    changes: world.state.changes,
    catalogue: createCatalogue([
      resource('web-1', 'ops', 'root'),
      resource('web-2', 'ops'),
      { ...resource('files', 'mover'), roles: { mover: { ...role('mover'), allow: ['sftp'] } } },
      resource('secret', 'ops'),
      ...world.catalogue.resources,
    ]),
    rules: {
      policies: [
        policy('web', ['web-1', 'files'], { kind: 'none' }),
        policy('asked', ['web-2'], somebody),
        ...policies,
      ],
    },
    staff: { reviewers: [], operators: [] },
    settings: { requestMs: 3_600_000 },
    publicUrl: new URL('https://gw.example.com'),
    person: (id) => world.state.identity.person(id),
    peopleByEmail: (email) => world.state.identity.peopleByEmail(email),
    clock: systemClock,
    random: systemRandom,
    metrics: silent,
  })
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const grant of await access.livingGrants(people.alice.id)) await access.handBack(people.alice, grant.id)
})

const identified = {
  person: people.alice.id,
  personName: 'alice@example.com',
  credential: 'browser-1',
  browserSession: 'browser-1',
} as const
const conversation = {
  identified,
  wanted: { kind: 'menu' },
  client: { protocol: 'ssh', address: '192.0.2.7', port: 1, application: 'x', tls: false },
} as unknown as Conversation

function begin(more: Partial<MenuDeps> = {}, wanted: Conversation['wanted'] = { kind: 'menu' }) {
  const { client, server } = memoryPair()
  const started: { admission: Admission; adopted: AdoptedChannel }[] = []
  const nested: { stream: Duplex; within: Within }[] = []
  const ended: unknown[] = []
  const stop = new AbortController()
  const listeners = new Set<(change: Change) => void>()
  const state = { stands: true }
  const deps: MenuDeps = {
    access,
    identity: { person: (id) => world.state.identity.person(id), stands: () => Promise.resolve(state.stands) },
    gate: {
      async admit(ask) {
        const [grant] = await world.state.access.activeGrants(ask.identified.person, ask.resource, ask.role)
        if (grant === undefined) throw new Fault('NO_GRANT', 'no grant')
        const end = (how: unknown) => Promise.resolve(void ended.push(how))
        return { deadline: new Subject<Instant>(grant.expiresAt), end } as unknown as Admission
      },
    },
    waitMs: 60_000,
    clock: systemClock,
    changes: {
      subscribe(listener) {
        listeners.add(listener)
        return { [Symbol.dispose]: () => void listeners.delete(listener) }
      },
    },
    log: quiet,
    stopping: stop.signal,
    clientHost: 'gw.example.com',
    port: () => 2222,
    startSession(admission, adopted) {
      expect(server.onMessage).toBeNull()
      started.push({ admission, adopted })
      return Promise.resolve()
    },
    serveNested(stream, within) {
      nested.push({ stream, within })
      return new Promise((resolve) => stream.once('close', resolve))
    },
    ...more,
  }
  const done = serveMenu(server, { ...conversation, wanted }, deps)
  done.catch(() => undefined)
  const announce = (change: Change) => listeners.forEach((listener) => listener(change))
  return { ssh: new ChannelClient(client), client, server, started, nested, ended, stop, state, done, announce }
}

async function atMenu(stage: ReturnType<typeof begin>, columns = 100) {
  const channel = await stage.ssh.open('session')
  channel.pty(columns)
  channel.request('shell', true)
  await channel.until('q to quit: ')
  return channel
}

test('a terminal shows who, what, and how it stands', async () => {
  const stage = begin()
  const channel = await atMenu(stage)
  expect(channel.text).toContain('you are alice@example.com.\r\n')
  expect(channel.text).toMatch(/1 {2}web-1 +ops +needs nobody +as ops\r\n/)
  expect(channel.text).toMatch(/3 {2}web-2 +ops +needs one of approvers/)
  expect(channel.text).toMatch(/prod-db +readonly +PostgreSQL/)
  expect(channel.text).not.toContain('secret')
  channel.type('q\r')
  await channel.untilClosed()
  expect(channel.status).toBe(0)
  channel.close()
  stage.client.destroy()
  await stage.done
})

test('a choice is asked for, given, and goes on as a session with all that the channel had', async () => {
  const stage = begin()
  const channel = await stage.ssh.open('session', { windowBytes: 50_000, packetBytesMax: 9000 })
  channel.request('env', false, sshString('LANG'), sshString('C'))
  channel.pty()
  channel.request('window-change', false, ...[90, 20, 0, 0].map(sshUint32))
  channel.request('window-change', false, ...[80, 25, 0, 0].map(sshUint32))
  channel.request('shell', true)
  await channel.until('quit: ')
  channel.type('1\rbecause\r\r')
  await stage.done
  await channel.until('curfew: access to web-1 as ops until')
  const { adopted } = stage.started[0]!
  expect(adopted).toMatchObject({ clientChannel: 0, ownChannel: channel.peer, clientPacketBytesMax: 9000 })
  const kinds = adopted.requests.map((whole) => whole.subarray(9, 9 + whole.readUInt32BE(5)).toString())
  expect(kinds).toEqual(['env', 'pty-req', 'window-change', 'shell'])
  expect(adopted.requests[2]!.readUInt32BE(adopted.requests[2]!.length - 16)).toBe(80)
  const sent = 50_000 - Buffer.byteLength(channel.text)
  expect(adopted.clientWindowBytes).toBe(sent)
  expect(adopted.grantedWindowBytes).toBe(channel.windowBytes - '1\rbecause\r\r'.length)
  expect(adopted.typed.length).toBe(0)
  expect((await access.requestsOf(people.alice, 1))[0]).toMatchObject({ reason: 'because', role: 'ops' })
})

test('what is typed behind a choice is for the target', async () => {
  const wish = { resource: 'web-1', role: 'root', lengthMs: 60_000, reason: '', ticket: null, startsAt: null }
  await access.ask(people.alice, { ...wish, origin: 'test' })
  const stage = begin()
  const channel = await atMenu(stage)
  expect(channel.text).toMatch(/web-1 +root +active, 1 min left/)
  channel.type('root@web-1\rls -l\rexi')
  await stage.done
  expect(stage.started[0]!.adopted.typed.toString()).toBe('ls -l\rexi')
})

test('Ctrl-C stops waiting, a refusal is read, and the menu goes on', async () => {
  const stage = begin()
  const channel = await atMenu(stage)
  channel.type('3\rplease\r\r')
  await channel.until('Ctrl-C stops waiting')
  channel.type('\x03')
  await channel.until('stays open')
  channel.text = ''
  channel.type('web-2\r')
  await channel.until('/requests/')
  const open = (await access.requestsOf(people.alice, 10)).filter(({ state }) => state === 'requested')
  expect(open).toHaveLength(1)
  channel.text = ''
  await access.decide(people.bob, open[0]!.id, 'deny', 'not today')
  await channel.until('q to quit: ')
  expect(channel.text).toContain('not today')
  channel.type('web-1\r')
  await channel.until('web-1 has the roles ops, root. Type a number, a part of a name, or role@resource.')
  channel.type('7\rl\r')
  await channel.until('"7" is none of these')
  await channel.until('RESOURCE')
})

test('hanging up ends the wait, and an admission that comes too late is given back', async () => {
  const stage = begin()
  const channel = await atMenu(stage)
  channel.type('3\rplease\r\r')
  await channel.until('Ctrl-C stops waiting')
  channel.close()
  stage.client.destroy()
  await stage.done
  expect(stage.started).toEqual([])
})

test.each([
  ['ls', 0, /web-1 +ops +needs nobody/],
  ['status', 0, /web-1/],
  ['whoami', 0, /^alice@example\.com\n$/],
  ['help', 0, /ssh -p 2222 ROLE@RESOURCE@gw\.example\.com/],
  ['uptime', 1, /"uptime" needs a resource[\s\S]*ssh -p 2222 ops@web-1@gw\.example\.com/],
])('ssh gw %s', async (command, status, words) => {
  const stage = begin()
  const channel = await stage.ssh.open('session')
  channel.request('exec', true, sshString(command))
  await channel.untilClosed()
  expect(channel.status).toBe(status)
  expect(status === 0 ? channel.text : channel.errors).toMatch(words)
  expect(status === 0 ? channel.errors : channel.text).toBe('')
  channel.close()
})

test('without a terminal the table is all there is', async () => {
  const stage = begin()
  const channel = await stage.ssh.open('session')
  channel.request('shell', true)
  await channel.untilClosed()
  expect(channel.text).toMatch(/web-1[\s\S]*Connect with: ssh -p 2222 ops@web-1@/)
  expect(channel.status).toBe(0)
})

test('a subsystem ends with words', async () => {
  const channel = await begin().ssh.open('session')
  channel.request('subsystem', true, sshString('sftp'))
  await channel.untilClosed()
  expect(channel.errors).toContain('name what you want to reach')
  expect(channel.status).toBe(1)
})

test('a user name that was meant to name something is told of, and nothing runs for it here', async () => {
  const misnamed = { kind: 'menu', misnamed: 'Ops@web-1' } as const
  const words = '"Ops@web-1" is no role@resource: names have 1 to 63 of a-z, 0-9, "-" and "_".'
  for (const [what, ...fields] of [
    ['exec', sshString('whoami')],
    ['subsystem', sshString('sftp')],
    ['shell'],
  ] as const) {
    const channel = await begin({}, misnamed).ssh.open('session')
    channel.request(what, true, ...fields)
    await channel.untilClosed()
    expect(channel.errors).toContain(`curfew: ${words}\nConnect with: ssh -p 2222 ROLE@RESOURCE@`)
    expect([channel.text, channel.status]).toEqual(['', 1])
  }
  expect((await atMenu(begin({}, misnamed))).text).toContain(words)
})

test('who chooses what other clients reach reads how', async () => {
  const connect = { clientHost: 'gw.example.com', sshPort: () => 2222, postgresPort: () => 5433 }
  const channel = await atMenu(begin({ connect }))
  channel.type('prod-db\r')
  await channel.until('prod-db (PostgreSQL) is not reached by SSH. It is reached with:\r\n  psql "host=gw.')
})

test('output waits for the client to open its window', async () => {
  const channel = await begin().ssh.open('session', { windowBytes: 10, packetBytesMax: 4 })
  channel.request('exec', true, sshString('whoami'))
  while (channel.text.length < 10) await channel.step()
  expect(channel.text).toBe('alice@exam')
  expect(channel.status).toBeUndefined()
  channel.adjust(3)
  channel.adjust(100)
  await channel.untilClosed()
  expect(channel.text).toBe('alice@example.com\n')
})

test('how other clients get there is said where it is known', async () => {
  const connect = { clientHost: 'gw.example.com', sshPort: () => 2222, postgresPort: () => 5433 }
  const channel = await atMenu(begin({ connect }))
  expect(channel.text).toMatch(/ {2}psql "host=gw\.example\.com port=5433 user=\w+ dbname=prod-db sslmode=verify-full"/)
  expect(channel.text.match(/psql/g)).toHaveLength(1)
})

test('a role without a shell is not entered; what to type is said', async () => {
  const channel = await atMenu(begin())
  channel.type('files\r')
  await channel.until('mover on files has no shell')
  await channel.until('sftp -P 2222 mover@files@gw.example.com')
})

test('a menu at which nothing is done closes, whatever keepalives come; a jump keeps it open', async () => {
  const clock = new HandClock(Date.now())
  const idle = begin({ clock })
  const channel = await atMenu(idle)
  clock.pass(14 * 60_000)
  idle.ssh.messages.send(Buffer.of(80), sshString('keepalive@openssh.com'), Buffer.of(0))
  channel.type('l\r')
  await channel.until('RESOURCE')
  clock.pass(10 * 60_000)
  expect(idle.client.gone.aborted).toBe(false)
  clock.pass(20 * 60_000)
  await idle.done
  expect(idle.client.goodbye?.description).toBe('Nothing was chosen. Connect again.')

  const busy = begin({ clock })
  await busy.ssh.jump('web-1')
  clock.pass(120 * 60_000)
  await new Promise(setImmediate)
  expect(busy.client.gone.aborted).toBe(false)
  busy.client.destroy()
})

test('a sign-in that ends ends the menu, with words, and so does the gateway', async () => {
  const out = begin()
  const channel = await atMenu(out)
  out.announce({ kind: 'signed-out', person: identified.person, browserSession: null })
  await channel.untilClosed()
  expect(channel.errors).toContain('You signed out')
  await out.done
  expect(out.client.goodbye?.description).toContain('You signed out')

  const stopped = begin()
  await atMenu(stopped)
  stopped.stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  await stopped.done
  expect(stopped.client.goodbye?.description).toContain('shutting down')

  const unnoticed = begin()
  const at = await atMenu(unnoticed)
  unnoticed.state.stands = false
  at.type('1\r')
  await unnoticed.done
  expect(unnoticed.client.goodbye?.description).toContain('sign-in has ended')
})

test('a connection with other channels does not become a session', async () => {
  const stage = begin()
  const channel = await atMenu(stage)
  const jump = await stage.ssh.jump('web-1')
  channel.type('1\r')
  await channel.until('Other channels of this connection are in use')
  jump.close()
})

test('global requests are answered, other channels refused', async () => {
  const { ssh, client } = begin()
  const { messages } = ssh
  messages.send(Buffer.of(80), sshString('keepalive@openssh.com'), Buffer.of(1))
  expect(await messages.next()).toEqual(Buffer.of(82))
  messages.send(Buffer.of(80), sshString('no-more-sessions@openssh.com'), Buffer.of(0))
  for (const type of ['x11', 'tun@openssh.com', 'direct-streamlocal@openssh.com', 'forwarded-tcpip']) {
    ssh.sendOpen(type)
    expect((await messages.next())[0]).toBe(92)
  }
  messages.send(Buffer.of(50, 1, 2, 3)) // too late, and ignored
  const opened = []
  for (let count = 0; count < 17; count++) {
    ssh.sendOpen('session')
    opened.push((await messages.next())[0])
  }
  expect(opened).toEqual([...Array.from({ length: 16 }, () => 91), 92])
  client.destroy()
})

test.each([
  ['data for no channel', [Buffer.of(94, 0, 0, 0, 9, 0, 0, 0, 0)]],
  ['a message of the target', [Buffer.of(91, 0, 0, 0, 0)]],
  ['a channel that takes no packets', [Buffer.concat([Buffer.of(90), sshString('session'), Buffer.alloc(12)])]],
  ['a message that is cut', [Buffer.of(90, 0, 0)]],
  ['a service request', [Buffer.of(5, 0, 0, 0, 0)]],
])('%s ends the connection', async (_name, messages) => {
  const { client, ssh, done } = begin()
  for (const message of messages) ssh.messages.send(message)
  await done
  expect(client.goodbye?.reason).toBe('PROTOCOL_ERROR')
})

test('more than the window takes ends the connection', async () => {
  const stage = begin()
  const jump = await stage.ssh.jump('web-1')
  for (let sent = 0; sent <= jump.windowBytes; sent += 32_768) jump.data(Buffer.alloc(32_768))
  await stage.done
  expect(stage.client.goodbye?.reason).toBe('PROTOCOL_ERROR')
})

test('no sequence of messages brings anything down', async () => {
  const number = fc.constantFrom(0, 1, 2 ** 30, 2 ** 30 + 1).map(sshUint32)
  const word = fc
    .constantFrom('session', 'direct-tcpip', 'shell', 'exec', 'pty-req', 'window-change', 'x')
    .map(sshString)
  const junk = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const piece = fc
    .tuple(fc.integer({ min: 80, max: 100 }), fc.array(fc.oneof(number, word, junk), { maxLength: 6 }))
    .map(([type, fields]) => Buffer.concat([Buffer.of(type), ...fields]))
  const opening = Buffer.concat([Buffer.of(90), sshString('session'), ...[0, 9000, 900].map(sshUint32)])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(piece, fc.constant(opening)), { maxLength: 20 }), async (messages) => {
      const stage = begin()
      for (const message of messages) stage.ssh.messages.send(Buffer.from(message))
      await new Promise(setImmediate)
      stage.client.destroy()
      await stage.done
      expect(stage.started).toEqual([])
    }),
    { numRuns: 300 },
  )
})

// ---- jumps

test('a jump goes to a resource that may be seen, with any port and domain; others are refused with words', async () => {
  const stage = begin()
  await stage.ssh.jump('web-1')
  await stage.ssh.jump('web-2.internal.example')
  expect(stage.nested.map(({ within }) => within)).toEqual([
    { identified, resource: 'web-1' },
    { identified, resource: 'web-2' },
  ])
  for (const [host, words] of [
    ['web-3', /There is no resource "web-3"[\s\S]*"web-1"/],
    ['secret', /There is no resource "secret"/],
    ['prod-db', /There is no resource "prod-db"/],
    ['127.0.0.1', /There is no resource/],
  ] as const) {
    stage.ssh.sendOpen('direct-tcpip', { rest: jumpFields(host) })
    const refusal = await stage.ssh.messages.next()
    expect(refusal[0]).toBe(92)
    expect(refusal.toString()).toMatch(words)
  }
  expect(stage.nested).toHaveLength(2)
})

test('bytes of a jump come through whole, at the pace of whoever reads', async () => {
  const stage = begin()
  const jump = await stage.ssh.jump('web-1', { windowBytes: 1000 })
  const { stream } = stage.nested[0]!
  const sent = randomBytes(jump.windowBytes)
  for (let at = 0; at < sent.length; at += 30_000) jump.data(sent.subarray(at, at + 30_000))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(stage.ssh.messages.unread).toBe(0) // nothing read, nothing granted
  const got: Buffer[] = []
  let gotBytes = 0
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    got.push(chunk as Buffer)
    gotBytes += (chunk as Buffer).length
    if (gotBytes === sent.length) break
  }
  expect(Buffer.concat(got).equals(sent)).toBe(true)
  await jump.step()
  expect(jump.added).toBeGreaterThan(jump.windowBytes / 2)

  expect(stream.write(Buffer.alloc(2500, 'x'))).toBeTypeOf('boolean')
  while (jump.text.length < 1000) await jump.step()
  expect(stream.writableLength).toBeGreaterThan(0)
  jump.adjust(5000)
  while (jump.text.length < 2500) await jump.step()
})

test('either half of a jump closes alone', async () => {
  const stage = begin()
  const jump = await stage.ssh.jump('web-1')
  const { stream } = stage.nested[0]!
  jump.data(Buffer.from('last words'))
  jump.eof()
  const read: Buffer[] = []
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) read.push(chunk as Buffer)
  expect(Buffer.concat(read).toString()).toBe('last words')
  expect(stream.writable).toBe(true)
  stream.end('and mine')
  await jump.untilClosed()
  expect(jump.text).toBe('and mine')
  expect(jump.types).toContain(96)
  jump.close()
})

test('a client that closes a jump, or goes, ends the stream', async () => {
  for (const end of ['close', 'go'] as const) {
    const stage = begin()
    const jump = await stage.ssh.jump('web-1')
    const closed = new Promise((resolve) => stage.nested[0]!.stream.once('close', resolve))
    if (end === 'close') jump.close()
    else stage.client.destroy()
    await closed
    stage.client.destroy()
    await stage.done
  }
})
