// Goal: neither end of a session can make the gateway keep more and more: listening addresses, channels of the target.
import { expect, test } from 'vitest'
import { sshBoolean, sshByte, SshReader, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import { adopt } from '../../../src/protocols/ssh/relay/adopt.ts'
import { Channels, RelayChannel } from '../../../src/protocols/ssh/relay/channel.ts'
import { dismissTarget, noteEnds } from '../../../src/protocols/ssh/relay/dismiss-target.ts'
import { FromClient } from '../../../src/protocols/ssh/relay/from-client.ts'
import { FromTarget } from '../../../src/protocols/ssh/relay/from-target.ts'
import type { RelayHost, TapWish } from '../../../src/protocols/ssh/relay/host.ts'
import { Replies } from '../../../src/protocols/ssh/relay/replies.ts'
import { forwardTap } from '../../../src/protocols/ssh/taps/command-tap.ts'
import type { SshAllowance } from '../../../src/resources/catalogue.ts'
import { quiet } from '../../access/world.ts'
import { HandClock } from '../../clock.ts'
import { memoryPair, type MemoryTransport, MessageClient } from './memory-transport.ts'

const noRecorder: RelayHost['recorder'] = {
  active: false,
  full: false,
  isFullAt: () => false,
  event: () => undefined,
  bytes: () => undefined,
  encoded: () => undefined,
  drained: () => Promise.resolve(),
  seal: () => Promise.resolve(),
}

interface Place {
  readonly host: RelayHost
  readonly client: MessageClient
  readonly target: MessageClient
  readonly fromClient: FromClient
  readonly fromTarget: FromTarget
}

function place(...allow: readonly SshAllowance[]): Place {
  const [client, target] = [memoryPair(), memoryPair()]
  const host: RelayHost = {
    client: client.server,
    target: target.client,
    role: {
      kind: 'ssh',
      name: 'ops',
      description: '',
      login: 'ops',
      key: null,
      allow,
      recordInput: false,
      recording: 'strict',
    },
    recorder: noRecorder,
    channels: new Channels(),
    globalReplies: new Replies((reply) => client.server.send(reply)),
    listening: new Set(),
    agentWanted: false,
    newTap: forwardTap,
    recorded: () => undefined,
    channelOver: (channel) => host.channels.remove(channel),
  }
  const [fromClient, fromTarget] = [new FromClient(host), new FromTarget(host)]
  client.server.onMessage = (bytes) => fromClient.take(bytes)
  target.client.onMessage = (bytes) => fromTarget.take(bytes)
  const ends = { client: new MessageClient(client.client), target: new MessageClient(target.server) }
  return { host, ...ends, fromClient, fromTarget }
}

function listen(client: MessageClient, port: number, wantReply: boolean): void {
  client.send(sshByte(80), sshString('tcpip-forward'), sshBoolean(wantReply), sshString('localhost'), sshUint32(port))
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const gone = ({ goodbye }: MemoryTransport) => goodbye?.description ?? ''

test('addresses to listen on are bounded, whether answers are wanted or not', async () => {
  const { host, client, target } = place('forward-remote')
  for (let port = 1; port <= 3000; port++) listen(client, port, false)
  await settled()
  expect(host.listening.size).toBeLessThanOrEqual(1000)
  expect(target.unread).toBeLessThanOrEqual(1000)
  listen(client, 4000, true)
  expect((await client.next())[0]).toBe(82)
  expect(gone(client.transport)).toBe('')
})

test('what is no longer listened on makes room', async () => {
  const { host, client } = place('forward-remote')
  for (let port = 1; port <= 1000; port++) listen(client, port, false)
  client.send(sshByte(80), sshString('cancel-tcpip-forward'), sshBoolean(false), sshString('localhost'), sshUint32(7))
  listen(client, 2000, false)
  await settled()
  expect(host.listening.has('localhost:2000')).toBe(true)
})

test('a target opens no more channels than a client may', async () => {
  const { host, client, target } = place('forward-remote')
  listen(client, 8080, false)
  await settled()
  const fields = [sshString('localhost'), sshUint32(8080), sshString('10.0.0.9'), sshUint32(1)]
  for (let number = 0; number < 3000; number++) {
    target.send(sshByte(90), sshString('forwarded-tcpip'), ...[number, 65_536, 32_768].map(sshUint32), ...fields)
  }
  await settled()
  expect(host.channels.count).toBeLessThanOrEqual(1000)
  await target.next() // its own listening
  const refusal = new SshReader(await target.next())
  expect([refusal.byte(), refusal.uint32(), refusal.uint32()]).toEqual([92, 1000, 4])
})

/** What has come and nobody has read. */
async function allAt(end: MessageClient): Promise<readonly Buffer[]> {
  const all: Buffer[] = []
  while (end.unread > 0) all.push(await end.next())
  return all
}
const typesAt = async (end: MessageClient) => (await allAt(end)).map(([type]) => type)

const ownNumber = 3
const opened = (client: MessageClient, target: MessageClient, numbers: readonly number[]) => {
  client.send(sshByte(90), sshString('session'), ...[numbers[0]!, 100_000, 32_768].map(sshUint32))
  target.send(sshByte(91), ...[numbers[0]!, numbers[1]!, 100_000, 32_768].map(sshUint32))
}
const run = (client: MessageClient, number: number, what: string, command: string) =>
  client.send(sshByte(98), sshUint32(number), sshString(what), sshBoolean(true), sshString(command))
const data = (client: MessageClient, number: number, text: string) =>
  client.send(sshByte(94), sshUint32(number), sshString(text))

test('what the target does not run may be asked for in another way, and nothing sent in between comes to it', async () => {
  const { client, target } = place('exec', 'sftp')
  opened(client, target, [ownNumber, 0])
  await settled()
  run(client, 0, 'subsystem', 'sftp')
  await settled()
  target.send(sshByte(100), sshUint32(ownNumber))
  await settled()
  data(client, 0, 'early')
  run(client, 0, 'exec', 'sftp-server')
  await settled()
  target.send(sshByte(99), sshUint32(ownNumber))
  data(client, 0, 'in time')
  run(client, 0, 'exec', 'a second one')
  await settled()
  const atTarget = await allAt(target)
  expect(atTarget.map(([type]) => type)).toEqual([90, 98, 98, 94])
  expect(atTarget[3]!.subarray(9).toString()).toBe('in time')
  const atClient = await allAt(client)
  // Confirmed, failed, the room of what was thrown away given back, begun, and no second one.
  expect(atClient.map(([type]) => type)).toEqual([91, 100, 93, 99, 100])
  expect(atClient[2]!.readUInt32BE(5)).toBe('early'.length)
})

test('a terminal that was asked for hides no SFTP, and one that was refused is none', async () => {
  const { host, client, target } = place('exec', 'sftp')
  const wishes: TapWish[] = []
  Object.assign(host, { newTap: (wish: TapWish) => (wishes.push(wish), forwardTap()) })
  const terminal = (number: number) => {
    const size = [80, 24, 0, 0].map(sshUint32)
    client.send(
      sshByte(98),
      sshUint32(number),
      sshString('pty-req'),
      sshBoolean(true),
      sshString('x'),
      ...size,
      sshString(''),
    )
  }
  opened(client, target, [ownNumber, 0])
  opened(client, target, [ownNumber + 1, 1])
  await settled()
  terminal(0)
  run(client, 0, 'subsystem', 'sftp')
  terminal(1)
  await settled()
  target.send(sshByte(100), sshUint32(ownNumber + 1))
  await settled()
  run(client, 1, 'exec', 'cat')
  await settled()
  expect(wishes.map(({ command, hasTerminal }) => [command, hasTerminal])).toEqual([
    ['sftp', false],
    ['cat', false],
  ])
})

test('nothing runs on what was sent for something that did not run', async () => {
  const { client, target } = place('exec', 'shell')
  opened(client, target, [ownNumber, 0])
  await settled()
  run(client, 0, 'subsystem', 'nothing')
  // Some targets (Dropbear) keep it for what runs later, and the recording has it with what did not run.
  data(client, 0, 'rm -r /')
  await settled()
  target.send(sshByte(100), sshUint32(ownNumber))
  await settled()
  run(client, 0, 'exec', 'sh')
  await settled()
  const atTarget: Buffer[] = []
  while (target.unread > 0) atTarget.push(await target.next())
  expect(atTarget.map(([type]) => type)).toEqual([90, 98, 94])
  const atClient: number[] = []
  while (client.unread > 0) atClient.push((await client.next())[0]!)
  expect(atClient).toEqual([91, 100, 100])
})

// Goal: what is refused on one connection of many (ControlMaster) harms none of the others. A channel's number is free
// again when it was closed both ways, and the ends are not equally far.
test('a client may use the number of a refused channel again before the target has closed that', async () => {
  const { host, client, target } = place('shell')
  opened(client, target, [ownNumber, 0])
  await settled()
  run(client, 0, 'exec', 'id')
  client.send(sshByte(97), sshUint32(0))
  client.send(sshByte(90), sshString('session'), ...[ownNumber, 100_000, 32_768].map(sshUint32))
  await settled()
  expect(gone(client.transport)).toBe('')
  expect(await typesAt(target)).toEqual([90, 97])
  target.send(sshByte(97), sshUint32(ownNumber))
  await settled()
  expect(await typesAt(target)).toEqual([90])
  target.send(sshByte(91), ...[ownNumber, 1, 100_000, 32_768].map(sshUint32))
  await settled()
  expect(await typesAt(client)).toEqual([91, 99, 95, 98, 96, 97, 91])
  run(client, 1, 'shell', '')
  await settled()
  expect(await typesAt(target)).toEqual([98])
  expect(host.channels.count).toBe(1)
})

test('a target keeps the number of a refused channel until the client has closed that', async () => {
  const { client, target } = place('shell')
  opened(client, target, [ownNumber, 0])
  await settled()
  run(client, 0, 'exec', 'id')
  await settled()
  expect(await typesAt(client)).toEqual([91, 99, 95, 98, 96, 97])
  expect(await typesAt(target)).toEqual([90])
  client.send(sshByte(97), sshUint32(0))
  await settled()
  expect(await typesAt(target)).toEqual([97])
})

test('but only for one channel more, and none of any size', async () => {
  for (const more of [Buffer.alloc(0), Buffer.alloc(10_000)]) {
    const { client, target } = place('shell')
    opened(client, target, [ownNumber, 0])
    await settled()
    run(client, 0, 'exec', 'id')
    client.send(sshByte(97), sshUint32(0))
    const again = () =>
      client.send(sshByte(90), sshString('session'), ...[ownNumber, 100_000, 32_768].map(sshUint32), more)
    again()
    if (more.length === 0) again()
    await settled()
    expect(gone(client.transport)).toContain('used twice')
  }
})

test('what a target sends where nothing runs is recorded', async () => {
  const { host, client, target } = place('exec', 'sftp')
  const recorded: string[] = []
  const bytes = (code: string, _facts: object, data: Uint8Array) =>
    void recorded.push(`${code} ${Buffer.from(data).toString()}`)
  Object.assign(host, { recorder: { ...noRecorder, active: true, bytes } })
  opened(client, target, [ownNumber, 0])
  await settled()
  const say = (text: string) => target.send(sshByte(94), sshUint32(ownNumber), sshString(text))
  say('before')
  run(client, 0, 'subsystem', 'sftp')
  await settled()
  target.send(sshByte(100), sshUint32(ownNumber))
  say('after')
  target.send(sshByte(95), sshUint32(ownNumber), sshUint32(1), sshString('why'))
  await settled()
  expect(recorded).toEqual(['=o before', '=o after', '=e why'])
  const types: number[] = []
  while (client.unread > 0) types.push((await client.next())[0]!)
  expect(types).toEqual([91, 94, 100, 94, 95])
})

test('a channel that is gone at the target keeps nothing else from being ended there', async () => {
  const { host, target } = place('exec', 'forward-local')
  const channel = (number: number, kind: 'session' | 'forward-local', facts: Partial<RelayChannel> = {}) => {
    const one = Object.assign(new RelayChannel(number, kind, null, () => undefined), facts)
    host.channels.nameForClient(one, number)
    host.channels.nameForTarget(one, number)
    return one
  }
  channel(1, 'forward-local')
  channel(2, 'forward-local', { clientClosed: true })
  channel(3, 'session', { isRunning: true, clientClosed: true })
  channel(4, 'session', { isRunning: true })
  channel(5, 'session', { isRunning: true })
  noteEnds(host.target, host.channels)
  for (const number of [1, 5]) target.send(sshByte(97), sshUint32(number))
  await settled()
  void dismissTarget(host.target, host.channels.all(), { clock: new HandClock(), log: quiet })
  await settled()
  const sent: string[] = []
  while (target.unread > 0) {
    const reader = new SshReader(await target.next())
    sent.push(`${reader.byte()} to ${reader.uint32()}`)
  }
  expect(sent).toEqual(['98 to 4', '98 to 4', '93 to 4', '98 to 3', '98 to 3', '93 to 3'])
})

test('a target with less room than the menu gave gets what is typed there, as it takes it', async () => {
  const { host, client, target, fromClient, fromTarget } = place('shell')
  const menusNumber = 2 ** 30 + 1
  host.client.onMessage = null
  const adopted = {
    clientChannel: ownNumber,
    ownChannel: menusNumber,
    clientWindowBytes: 100_000,
    clientPacketBytesMax: 32_768,
    grantedWindowBytes: 20,
    requests: [Buffer.concat([sshByte(98), sshUint32(menusNumber), sshString('shell'), sshBoolean(true)])],
    typed: Buffer.from('ls;'),
  }
  adopt(adopted, host, {
    fromClient,
    fromTarget,
    listen: (take) => (host.client.onMessage = take),
    hear: (take) => (host.target.onMessage = take),
  })
  await settled()
  const said = async () => {
    await settled()
    const all: string[] = []
    while (target.unread > 0) {
      const message = await target.next()
      all.push(message[0] === 94 ? message.subarray(9).toString() : String(message[0]))
    }
    return all
  }
  expect(await said()).toEqual(['90'])
  target.send(sshByte(91), ...[ownNumber, 0, 5, 32_768].map(sshUint32))
  data(client, menusNumber, 'echo hello')
  expect(await said()).toEqual(['98', 'ls;', 'ec'])
  client.send(sshByte(98), sshUint32(menusNumber), sshString('signal'), sshBoolean(false), sshString('INT'))
  client.send(sshByte(93), sshUint32(menusNumber), sshUint32(100))
  expect(await said()).toEqual(['98', '93'])
  const makeRoom = (bytes: number) => target.send(sshByte(93), sshUint32(ownNumber), sshUint32(bytes))
  makeRoom(4)
  expect(await said()).toEqual(['ho h'])
  client.send(sshByte(96), sshUint32(menusNumber))
  makeRoom(30)
  expect(await said()).toEqual(['ello', '96'])
  // 20 were given, 10 of them are used, and the target has room for 26: 16 more are the client's.
  const toClient: Buffer[] = []
  while (client.unread > 0) toClient.push(await client.next())
  expect(toClient.map((message) => [message[0], message.readUInt32BE(5)])).toEqual([[93, 16]])
})

test('a target that takes smaller packets than the menu gets no larger ones', async () => {
  const { host, client, target, fromClient, fromTarget } = place('shell')
  const menusNumber = 2 ** 30 + 1
  host.client.onMessage = null
  const names = { clientChannel: ownNumber, ownChannel: menusNumber }
  const sizes = { clientWindowBytes: 100_000, clientPacketBytesMax: 32_768, grantedWindowBytes: 50 }
  const requests = [Buffer.concat([sshByte(98), sshUint32(menusNumber), sshString('shell'), sshBoolean(true)])]
  adopt({ ...names, ...sizes, requests, typed: Buffer.alloc(0) }, host, {
    fromClient,
    fromTarget,
    listen: (take) => (host.client.onMessage = take),
    hear: (take) => (host.target.onMessage = take),
  })
  await settled()
  target.send(sshByte(91), ...[ownNumber, 0, 1000, 8].map(sshUint32))
  await settled()
  await allAt(target)
  const texts = async () => (await allAt(target)).map((message) => message.subarray(9).toString())
  // Behind the menu's window, too, and however small the pieces are.
  for (let round = 0; round < 3; round++) {
    data(client, menusNumber, 'a line of more than eight')
    await settled()
    expect(await texts()).toEqual(['a line o', 'f more t', 'han eigh', 't'])
  }
  data(client, menusNumber, 'just fit')
  data(client, menusNumber, '')
  await settled()
  expect(await texts()).toEqual(['just fit', ''])
})

test('a target that runs no shell after a choice in the menu ends the terminal, with words', async () => {
  const { host, client, target, fromClient, fromTarget } = place('shell')
  const menusNumber = 2 ** 30 + 1
  host.client.onMessage = null
  const names = { clientChannel: ownNumber, ownChannel: menusNumber }
  const sizes = { clientWindowBytes: 100_000, clientPacketBytesMax: 32_768, grantedWindowBytes: 50 }
  const asked = (type: string) =>
    Buffer.concat([
      sshByte(98),
      sshUint32(menusNumber),
      sshString(type),
      sshBoolean(true),
      sshString(''),
      sshString(''),
    ])
  adopt({ ...names, ...sizes, requests: [asked('env'), asked('shell')], typed: Buffer.alloc(0) }, host, {
    fromClient,
    fromTarget,
    listen: (take) => (host.client.onMessage = take),
    hear: (take) => (host.target.onMessage = take),
  })
  await settled()
  target.send(sshByte(91), ...[ownNumber, 0, 1000, 32_768].map(sshUint32))
  await settled()
  target.send(sshByte(100), sshUint32(ownNumber))
  await settled()
  const said = await allAt(client)
  // Room for what the target takes more than the menu, and no answer: the client has had it.
  expect(said.map(([type]) => type)).toEqual([93, 95, 98, 96, 97])
  expect(said[1]!.toString('latin1')).toContain('curfew: the target runs no shell')
  expect(said[2]!.readUInt32BE(said[2]!.length - 4)).toBe(255)
  await allAt(target)
  client.send(sshByte(97), sshUint32(menusNumber))
  await settled()
  expect(await typesAt(target)).toEqual([97])
})

test('a shell that runs after a choice in the menu is answered to nobody, but what is asked later is', async () => {
  const { host, client, target, fromClient, fromTarget } = place('shell')
  const menusNumber = 2 ** 30 + 1
  host.client.onMessage = null
  const names = { clientChannel: ownNumber, ownChannel: menusNumber }
  const sizes = { clientWindowBytes: 100_000, clientPacketBytesMax: 32_768, grantedWindowBytes: 1000 }
  const requests = [Buffer.concat([sshByte(98), sshUint32(menusNumber), sshString('shell'), sshBoolean(true)])]
  adopt({ ...names, ...sizes, requests, typed: Buffer.alloc(0) }, host, {
    fromClient,
    fromTarget,
    listen: (take) => (host.client.onMessage = take),
    hear: (take) => (host.target.onMessage = take),
  })
  await settled()
  target.send(sshByte(91), ...[ownNumber, 0, 1000, 32_768].map(sshUint32))
  await settled()
  target.send(sshByte(99), sshUint32(ownNumber))
  run(client, menusNumber, 'exec', 'a second one')
  await settled()
  expect(await typesAt(client)).toEqual([100])
  expect(gone(target.transport)).toBe('')
})

test('more than the menu gave ends the connection', async () => {
  const { host, client, target, fromClient, fromTarget } = place('shell')
  host.client.onMessage = null
  const sizes = { clientWindowBytes: 100_000, clientPacketBytesMax: 32_768, grantedWindowBytes: 20 }
  const names = { clientChannel: ownNumber, ownChannel: 2 ** 30 + 1 }
  const requests = [Buffer.concat([sshByte(98), sshUint32(0), sshString('shell'), sshBoolean(true)])]
  adopt({ ...names, ...sizes, requests, typed: Buffer.alloc(0) }, host, {
    fromClient,
    fromTarget,
    listen: (take) => (host.client.onMessage = take),
    hear: (take) => (host.target.onMessage = take),
  })
  await settled()
  target.send(sshByte(91), ...[ownNumber, 0, 5, 32_768].map(sshUint32))
  data(client, names.ownChannel, 'x'.repeat(21))
  await settled()
  expect(gone(client.transport)).toContain('more than the window takes')
})
