// Goal: a target that hangs up as soon as it has said everything (many appliances do) has said it, however slowly the client reads.
// Method: a relay between a target in memory and a client with real transports that reads when the test says so.
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { sshBoolean, sshByte, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import { Subject } from '../../../src/kernel/observable.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { Relay, type RelayParts } from '../../../src/protocols/ssh/relay/relay.ts'
import { forwardTap } from '../../../src/protocols/ssh/taps/command-tap.ts'
import { acceptTransport, openTransport } from '../../../src/protocols/ssh/transport-over-library.ts'
import type { Transport } from '../../../src/protocols/ssh/transport.ts'
import { quiet } from '../../access/world.ts'
import { HandClock } from '../../clock.ts'
import { memoryPair, MessageClient } from './memory-transport.ts'
import { anyKey } from './pass-through.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))
const blocks = 24
const block = Buffer.alloc(32_000, 'x')

async function realPair(): Promise<{ readonly client: Transport; readonly server: Transport }> {
  const [near, far] = duplexPair()
  const signal = AbortSignal.timeout(10_000)
  const [client, server] = await Promise.all([
    openTransport(near, { signal, verifyHostKey: () => undefined }),
    acceptTransport(far, { signal, hostKeys: [anyKey] }),
  ])
  return { client, server }
}

/** One session whose command runs; the client does not read. */
async function running() {
  const clock = new HandClock()
  const cut = new AbortController()
  const [{ client, server }, memory] = [await realPair(), memoryPair()]
  const target = new MessageClient(memory.server)
  const got: Buffer[] = []
  client.onMessage = (message) => got.push(Buffer.from(message))
  const admission = {
    session: { resource: 'web-1', role: 'ops' },
    cutOff: cut.signal,
    deadline: new Subject(0 as Instant),
    onWarning: () => ({ [Symbol.dispose]: () => undefined }),
    recorder: { active: false, full: false },
    told: () => undefined,
    afterTold: (teardown: () => void) => teardown(),
  } as unknown as RelayParts['admission']
  const role = { kind: 'ssh', name: 'ops', allow: ['exec'] } as unknown as RelayParts['role']
  const ends = { client: server, target: memory.client, admission, role, adopted: null }
  const relay = new Relay({ ...ends, clock, log: quiet, newTap: forwardTap })
  const end = relay.run()
  client.send(Buffer.concat([sshByte(90), sshString('session'), ...[3, 10_000_000, 32_768].map(sshUint32)]))
  await target.next()
  target.send(sshByte(91), ...[3, 0, 100_000, 32_768].map(sshUint32))
  client.send(Buffer.concat([sshByte(98), sshUint32(0), sshString('exec'), sshBoolean(false), sshString('show all')]))
  await target.next()
  client.pause()
  return { clock, cut, client, target, got, end }
}

function sayAllAndHangUp(target: MessageClient): void {
  for (let count = 0; count < blocks; count++) target.send(sshByte(94), sshUint32(3), sshString(block))
  target.send(sshByte(98), sshUint32(3), sshString('exit-status'), sshBoolean(false), sshUint32(7))
  target.send(sshByte(97), sshUint32(3))
  target.transport.destroy()
}

async function untilGone(client: Transport): Promise<Error> {
  if (!client.gone.aborted) await new Promise((resolve) => client.gone.addEventListener('abort', resolve))
  return client.gone.reason as Error
}

const bytesIn = (got: readonly Buffer[]) =>
  got.filter(([type]) => type === 94).reduce((sum, message) => sum + message.length - 9, 0)

test('what a target said before it hung up reaches a client that reads slowly, with its exit status', async () => {
  const { clock, client, target, got, end } = await running()
  sayAllAndHangUp(target)
  await settled()
  clock.pass(5000)
  await settled()
  client.resume()
  expect((await untilGone(client)).message).toContain('web-1 ended the connection')
  expect(bytesIn(got)).toBe(blocks * block.length)
  expect(got.slice(-2).map(([type]) => type)).toEqual([98, 97])
  expect(await end).toMatchObject({ by: 'target', bytesFromTarget: blocks * block.length })
})

test('a client that reads nothing is given up', async () => {
  const { clock, target, end, client } = await running()
  sayAllAndHangUp(target)
  await settled()
  clock.pass(30_000)
  expect(await end).toMatchObject({ by: 'target' })
  clock.pass(1000)
  client.resume()
  await untilGone(client)
})

test('a cut does not wait for it', async () => {
  const { clock, cut, target, end, client } = await running()
  sayAllAndHangUp(target)
  await settled()
  cut.abort(new Fault('KILLED', 'ended'))
  expect(await end).toMatchObject({ by: 'gate' })
  clock.pass(1250)
  client.resume()
  await untilGone(client)
})
