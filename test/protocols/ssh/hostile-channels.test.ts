// Goal: neither end of a session can make the gateway keep more and more: listening addresses, channels of the target.
import { expect, test } from 'vitest'
import { sshBoolean, sshByte, SshReader, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import { Channels } from '../../../src/protocols/ssh/relay/channel.ts'
import { FromClient } from '../../../src/protocols/ssh/relay/from-client.ts'
import { FromTarget } from '../../../src/protocols/ssh/relay/from-target.ts'
import type { RelayHost } from '../../../src/protocols/ssh/relay/host.ts'
import { Replies } from '../../../src/protocols/ssh/relay/replies.ts'
import { forwardTap } from '../../../src/protocols/ssh/taps/command-tap.ts'
import type { SshAllowance } from '../../../src/resources/catalogue.ts'
import { memoryPair, type MemoryTransport, MessageClient } from './memory-transport.ts'

const noRecorder: RelayHost['recorder'] = {
  active: false,
  full: false,
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
  return { host, client: new MessageClient(client.client), target: new MessageClient(target.server) }
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
