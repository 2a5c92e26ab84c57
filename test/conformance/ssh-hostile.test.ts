// Goal: nothing that somebody unknown sends to the SSH listener, and no rule that somebody known breaks, stops the
// gateway, slows others, or stays behind in it.
// Method: as for PostgreSQL: every attack at once and again, while a session echoes line after line. Unknown attackers
// must be sent away; known ones must be sent away or bounded. Afterwards the process must be as before.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sshBoolean, sshByte, sshString, sshUint32 } from '../../src/identity/ssh/wire.ts'
import { startupMessage } from '../../src/protocols/postgres/startup.ts'
import { connectRaw, type RawSsh } from '../clients/raw-ssh.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSeparateSshGateway, type SeparateSshGateway } from '../servers/separate-ssh-gateway.ts'
import { EchoingSession } from './echoing-session.ts'
import { isRoot } from './small-disk.ts'

const stack = new AsyncDisposableStack()
let gateway: SeparateSshGateway
/** Of connections that have not signed in, from one address. */
const strangersMax = 100

beforeAll(async () => {
  if (!isRoot) return
  const postgres = stack.use(await startPostgres())
  gateway = stack.use(
    await startSeparateSshGateway({
      postgres,
      lengthMs: 3_600_000,
      configure: (config) => {
        config.limits = { handshake: '2s', unauthenticatedPerAddress: strangersMax }
        config.log = { level: 'warn' }
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

const flood = Buffer.alloc(8 << 20, 'x')
const identification = Buffer.from('SSH-2.0-hostile\r\n')

/** An unencrypted packet (RFC 4253 section 6) that says it is so long. */
function packet(payload: Buffer, lengthBytes = payload.length + 9): Buffer {
  return Buffer.concat([sshUint32(lengthBytes), sshByte(8), payload, Buffer.alloc(8)])
}

const someKexInit = Buffer.concat([
  sshByte(20),
  Buffer.alloc(16),
  ...Array.from({ length: 10 }, () => sshString('none')),
])
const kexInit = Buffer.concat([someKexInit, sshBoolean(false), sshUint32(0)])

/** Each sends what it wants; the gateway is what ends the connection. */
const attacksOfStrangers: Readonly<Record<string, (socket: Socket) => void>> = {
  silence: () => undefined,
  'random bytes': (socket) => socket.write(crypto.getRandomValues(new Uint8Array(4096))),
  HTTP: (socket) => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'a startup message of PostgreSQL': (socket) => socket.write(startupMessage([['user', 'alice']])),
  'half an identification': (socket) => socket.write('SSH-2.0-hal'),
  'half an identification, and gone': (socket) => socket.end('SSH-2.0-hal'),
  'an endless identification': (socket) => send(socket, Buffer.from('SSH-2.0-'), flood),
  'lines before an identification': (socket) => socket.write('hello\r\n'.repeat(100_000)),
  'an old version': (socket) => socket.write('SSH-1.5-old\r\n'),
  'slow bytes': (socket) => void trickle(socket, Buffer.from('SSH-2.0-slow-and-slower-than-that')),
  'an identification, and then nothing': (socket) => socket.write(identification),
  'a packet of 4 GiB': (socket) => send(socket, identification, packet(kexInit, 2 ** 32 - 1)),
  'a packet of nothing': (socket) => send(socket, identification, sshUint32(0), flood),
  'random packets': (socket) => send(socket, identification, crypto.getRandomValues(new Uint8Array(40_000))),
  'an offer of nothing': (socket) => send(socket, identification, packet(kexInit)),
  'endless KEXINITs': (socket) =>
    send(socket, identification, ...Array.from({ length: 50_000 }, () => packet(kexInit))),
  'an endless KEXINIT': (socket) => send(socket, identification, packet(kexInit, 35_000), flood),
  'endless ignorable packets': (socket) => {
    const ignore = packet(Buffer.concat([sshByte(2), sshString('nothing')]))
    send(socket, identification, ...Array.from({ length: 50_000 }, () => ignore))
  },
  'new keys without any': (socket) => send(socket, identification, packet(sshByte(21))),
  'a request before keys': (socket) =>
    send(socket, identification, packet(Buffer.concat([sshByte(5), sshString('ssh-userauth')]))),
}

const window = (peer: number, bytes: number) => Buffer.concat([sshByte(93), sshUint32(peer), sshUint32(bytes)])
const data = (peer: number, bytes: Uint8Array) => Buffer.concat([sshByte(94), sshUint32(peer), sshString(bytes)])
const open = (type: string, sender: number) =>
  Buffer.concat([sshByte(90), sshString(type), ...[sender, 1 << 20, 32_768].map(sshUint32)])
const request = (peer: number, type: string, ...rest: readonly Buffer[]) =>
  Buffer.concat([sshByte(98), sshUint32(peer), sshString(type), sshBoolean(true), ...rest])
const global = (type: string, ...rest: readonly Buffer[]) =>
  Buffer.concat([sshByte(80), sshString(type), sshBoolean(true), ...rest])

interface Breach {
  /** `bounded`: it may also be let go on, when what it costs is bounded. */
  readonly outcome: 'sent away' | 'bounded'
  readonly commit: (client: RawSsh, peer: number) => Promise<void>
}

/** What somebody does who is let in, with a command running on channel 0. */
const breaches: Readonly<Record<string, Breach>> = {
  'data beyond the window': {
    outcome: 'bounded', // OpenSSH throws it away
    commit: (client, peer) => often(client, 400, () => data(peer, flood.subarray(0, 32_000))),
  },
  'data for a channel that is not there': {
    outcome: 'sent away',
    commit: (client, peer) => often(client, 1, () => data(peer + 7, flood.subarray(0, 100))),
  },
  'data of another length than it says': {
    outcome: 'sent away',
    commit: (client, peer) => often(client, 1, () => data(peer, flood.subarray(0, 100)).subarray(0, 50)),
  },
  'a channel number twice': { outcome: 'sent away', commit: (client) => often(client, 2, () => open('session', 0)) },
  '1,000 commands of 200 KB': {
    outcome: 'bounded',
    commit: (client, peer) => often(client, 1000, () => request(peer, 'exec', sshString(flood.subarray(0, 200_000)))),
  },
  'messages without their fields': { outcome: 'sent away', commit: (client) => often(client, 1, () => sshByte(98)) },
  'answers to nothing': {
    outcome: 'bounded',
    commit: (client, peer) =>
      often(client, 100_000, (n) => Buffer.concat([sshByte([81, 82, 99, 100][n % 4]!), sshUint32(peer)])),
  },
  'confirmations of nothing': {
    outcome: 'sent away',
    commit: (client, peer) =>
      often(client, 1, () => Buffer.concat([sshByte(91), ...[peer, 5, 1 << 20, 32_768].map(sshUint32)])),
  },
  '10,000 channels': {
    outcome: 'bounded',
    commit: (client) => often(client, 10_000, (n) => open('session', n + 1)),
  },
  '10,000 channels of no known type': {
    outcome: 'bounded',
    commit: (client) => often(client, 10_000, (n) => open(`nonsense-${n}`, n + 1)),
  },
  '100,000 window adjustments': {
    outcome: 'bounded',
    commit: (client, peer) => often(client, 100_000, () => window(peer, 1)),
  },
  'windows beyond what can be counted': {
    outcome: 'bounded',
    commit: (client, peer) => often(client, 100, () => window(peer, 2 ** 32 - 1)),
  },
  '100,000 global requests': {
    outcome: 'bounded',
    commit: (client) => often(client, 100_000, () => global('nonsense@example.com')),
  },
  '100,000 questions that the target answers': {
    outcome: 'bounded',
    commit: (client) => often(client, 100_000, () => global('keepalive@openssh.com')),
  },
  '100,000 variables': {
    outcome: 'bounded',
    commit: (client, peer) => often(client, 100_000, (n) => request(peer, 'env', sshString(`V${n}`), sshString('v'))),
  },
  'the end of the channel, again and again': {
    outcome: 'bounded',
    commit: (client, peer) =>
      often(client, 1000, (n) => Buffer.concat([sshByte(n % 2 === 0 ? 96 : 97), sshUint32(peer)])),
  },
  'random messages': {
    outcome: 'bounded',
    commit: (client) =>
      often(client, 1000, () => Buffer.concat([sshByte(80), crypto.getRandomValues(new Uint8Array(99))])),
  },
  'authentication, again': {
    outcome: 'bounded',
    commit: (client) => often(client, 10_000, () => Buffer.concat([sshByte(50), sshString('root')])),
  },
}

/** A client of ours is served in between, however much others send. */
const roundTripMsMax = 1000
/** What the process may grow by: garbage for the most part, which each of some 500,000 messages leaves some of. */
const grownBytesMax = 500 << 20
/** What may be left when the garbage is gone. */
const leftBytesMax = 8 << 20
const patient = { timeout: 5000, interval: 100 }

describe.runIf(isRoot)('SSH (needs root to start sshd)', () => {
  test('nobody unknown stops, slows or fills the gateway', async () => {
    await unharmed(async () => {
      for (let round = 0; round < 3; round++) await allAttacks()
    })
  })

  test('1,000 connections that say nothing: some are let wait, and then a real client comes in', async () => {
    await unharmed(async () => {
      const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(gateway.sshPort)))
      const ends = sockets.map(ended)
      await expect.poll(() => gateway.metric('curfew_unauthenticated_connections')).toBeLessThanOrEqual(strangersMax)
      await Promise.all(ends)
      await using client = gateway.ssh('echo let in')
      expect(await client.exited()).toMatchObject({ status: 0, stdout: 'let in\n' })
    })
  })

  test('nobody known stops, slows or fills it either, whatever rule they break', { timeout: 60_000 }, async () => {
    await unharmed(async () => {
      for (const [name, breach] of Object.entries(breaches)) await commit(name, breach)
      await using client = gateway.ssh(...Array.from({ length: 10 }, () => 'x'.repeat(100_000))) // one message
      expect((await client.exited()).status).toBe(255)
    })
  })
})

/** A session is served as ever during `work`, and afterwards nothing of it is left. */
async function unharmed(work: () => Promise<void>): Promise<void> {
  await using beat = new EchoingSession(gateway)
  await beat.once()
  const before = await traces()
  await beat.goesOnDuring(work)
  expect(beat.longestMs).toBeLessThan(roundTripMsMax)
  await expect.poll(() => gateway.metric('curfew_unauthenticated_connections')).toBe(0)
  await expect.poll(() => gateway.metric('curfew_sessions_live'), patient).toBe(1)
  await expect.poll(async () => (await traces()).files - before.files, patient).toBeLessThan(10)
  await expect.poll(async () => (await traces()).heldBytes - before.heldBytes, patient).toBeLessThan(leftBytesMax)
  expect((await traces()).residentBytes - before.residentBytes).toBeLessThan(grownBytesMax)
  expect(await (await fetch(new URL('/readyz', gateway.opsUrl))).json()).toEqual({ ok: true, problems: [] })
  expect(await gateway.log()).not.toContain('"level":"error"')
}

async function allAttacks(): Promise<void> {
  const outcomes = Object.entries(attacksOfStrangers).map(async ([name, attack]) => {
    const socket = await dial(gateway.sshPort)
    const end = ended(socket)
    attack(socket)
    const late = sleep(8000, 'late', { ref: false })
    return { name, outcome: await Promise.race([end.then(() => 'ended'), late]) }
  })
  for (const { name, outcome } of await Promise.all(outcomes)) expect(outcome, name).toBe('ended')
}

async function commit(name: string, { outcome, commit: breach }: Breach): Promise<void> {
  await using client = await connectRaw(gateway.sshPort, gateway.keyFile)
  const { peer } = await client.openSession(0)
  client.exec(peer, 'exec sleep 600')
  await client.until(99)
  const gone = client.gone().then(() => 'sent away')
  await Promise.race([breach(client, peer), gone])
  const late = sleep(outcome === 'bounded' ? 500 : 5000, 'bounded', { ref: false })
  const found = await Promise.race([gone, late])
  if (outcome === 'sent away') expect(found, name).toBe('sent away')
}

/** Sends as fast as the gateway takes it, and reads nothing of the answers but what the transport itself reads. */
async function often(client: RawSsh, count: number, message: (n: number) => Uint8Array): Promise<void> {
  for (let n = 0; n < count && !client.transport.gone.aborted; n++) {
    client.send(message(n))
    if (n % 100 === 99) await turn()
    if (n % 1000 === 999) await client.drained()
  }
}

async function traces() {
  return {
    files: await gateway.metric('process_open_fds'),
    residentBytes: await gateway.metric('process_resident_memory_bytes'),
    heldBytes: await gateway.heldBytes(),
  }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** A reset is an end, too: what is still on its way to somebody who has hung up is not taken. */
function ended(socket: Socket): Promise<void> {
  socket.on('error', () => undefined).resume()
  return new Promise((resolve) => socket.on('close', () => resolve()))
}

function send(socket: Socket, ...parts: readonly Uint8Array[]): void {
  for (const part of parts) socket.write(part)
}

/** Never all of it, and never a pause that would be noticed as one. */
async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && socket.writable; at++) {
    socket.write(bytes.subarray(at, at + 1))
    await sleep(100)
  }
}
