// Goal: nothing that somebody unknown can send stops the gateway, slows those who are known, or stays behind in it.
// Method: every attack by every way in, at once and several times over, while a session asks the target one thing after
// the other; then a crowd that says next to nothing, in which somebody new must get in. Each connection must end with a refusal
// or without a word, and afterwards the process must be as before.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fromServer, readReport } from '../../src/protocols/postgres/messages.ts'
import { cancelRequest, sslRequest, startupBytesMax, startupMessage } from '../../src/protocols/postgres/startup.ts'
import { freePort } from '../../scripts/ports.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSeparateGateway, type SeparateGateway } from '../servers/separate-gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: SeparateGateway
let plaintextPort: number
beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  plaintextPort = await freePort()
  gateway = stack.use(
    await startSeparateGateway({
      postgres,
      configure: (config) => {
        config.identity.signInFor = '2s'
        config.limits = { handshake: '2s', unauthenticatedPerAddress: perAddressMax }
        config.listen.postgres!.push({ ...config.listen.postgres![0], port: plaintextPort, plaintext: 'allow' })
      },
    }),
  )
})
afterAll(() => stack.disposeAsync())

/** Sends what it wants; the gateway is what ends the connection. */
type Attack = (socket: Socket, victim: Victim) => void
/** The session at work, as its own cancel requests name it. */
interface Victim {
  readonly processID: number
}

const token = { user: 'reporting.token', database: 'prod-db' }
const start = startupMessage(Object.entries(token))
/** Gets a link, and may wait until somebody has signed in there. */
const stranger = startupMessage(Object.entries({ ...token, user: 'reporting' }))
const flood = Buffer.alloc(8 << 20, 'p')

const attacks: Readonly<Record<string, Attack>> = {
  silence: () => undefined,
  'random bytes': (socket) => socket.write(crypto.getRandomValues(new Uint8Array(4096))),
  'a flood': (socket) => socket.write(flood),
  HTTP: (socket) => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'a length of 0': (socket) => socket.write(int32s(0)),
  'a length of 7': (socket) => socket.write(int32s(7, 196_608)),
  'a negative length': (socket) => socket.write(int32s(-1, 196_608)),
  'the least length': (socket) => socket.write(int32s(-(2 ** 31), 196_608)),
  'the greatest length': (socket) => socket.write(int32s(2 ** 31 - 1, 196_608)),
  'a startup of 10,001 bytes': (socket) => socket.write(startupOf(startupBytesMax + 1)),
  'as many parameters as fit': (socket) => socket.write(manyParameters()),
  'parameters without an end': (socket) => socket.write(Buffer.concat([int32s(12, 196_608), Buffer.from('user')])),
  'half a startup': (socket) => socket.write(start.subarray(0, start.length / 2)),
  'half a startup, and gone': (socket) => socket.end(start.subarray(0, start.length / 2)),
  'slow bytes': (socket) => void trickle(socket, start),
  'TLS asked for, and then nothing': (socket) => socket.write(sslRequest),
  'bytes behind an SSLRequest': (socket) => socket.write(Buffer.concat([sslRequest, start])),
  'a broken ClientHello': (socket) => socket.write(Buffer.from('160301ffff0100', 'hex')),
  'no password': (socket) => socket.write(start),
  'a password of 2 GiB': (socket) => socket.write(Buffer.concat([start, Buffer.from('p'), int32s(2 ** 31 - 1)])),
  'a password of negative length': (socket) => socket.write(Buffer.concat([start, Buffer.from('p'), int32s(-5)])),
  'a query in place of a password': (socket) =>
    socket.write(Buffer.concat([start, Buffer.from('Q'), int32s(13), Buffer.from('select 1\0')])),
  'a flood in place of a password': (socket) => sendAll(socket, start, flood),
  'a sign-in that nobody answers': (socket) => socket.write(stranger),
  'a flood in place of a sign-in': (socket) => sendAll(socket, stranger, flood),
  'a cancel request with a wrong key': (socket, { processID }) =>
    socket.write(cancelRequest(processID, Buffer.from('nope'))),
  'a cancel request with a long key': (socket, { processID }) =>
    socket.write(cancelRequest(processID, Buffer.alloc(5000))),
  'a cancel request without a key': (socket, { processID }) => socket.write(cancelRequest(processID, Buffer.alloc(0))),
}

/** Ways in: the listener that wants TLS, before and behind it, and the one that takes plaintext. */
const ways: Readonly<Record<string, () => Promise<Socket>>> = {
  'before TLS': () => dial(gateway.postgresPort),
  'inside TLS': async () => secured(await dial(gateway.postgresPort)),
  'in plaintext': () => dial(plaintextPort),
}

const rounds = 4
/** They come from so many addresses, so that they may not take all places there are. */
const [silentConnections, silentAddresses, perAddressMax] = [3000, 6, 300]
/** A client of ours is served in between, however much others send: far less than the handshake may take. */
const roundTripMsMax = 1000
/**
 * What one turn of the event loop may compute; most take less than 20. Where the machine is shared, the time for which a thread
 * is set aside counts as its own in part, so the least of the rounds is what is looked at.
 */
const turnMsMax = 50
/** Connections of this test to `/metrics`, and the recording of the session. */
const moreFilesMax = 10
/** What the process may grow by: garbage for the most part, of the 288 MiB that the floods send. */
const grownBytesMax = 160 << 20
/** What may be left when the garbage is gone: less than 8 KiB of each connection. */
const leftBytesMax = 4 << 20
/** What hangs on a socket is gone some rounds of collecting after the socket. */
const patient = { timeout: 5000, interval: 100 }

test('nobody who has not signed in stops, slows or fills the gateway', { timeout: 90_000 }, async ({ annotate }) => {
  const { token: password } = await gateway.enter(3_600_000)
  const { client } = await gateway.connect(password)
  const before = await traces()
  const beat = new Beat(client)
  const turnsMs: number[] = []
  await gateway.loopDelay()
  for (let round = 0; round < rounds; round++) {
    await beat.goesOnDuring(() => allAttacks(client))
    turnsMs.push((await gateway.loopDelay()).busyMs)
  }
  await beat.goesOnDuring(() => crowd(password))
  const crowdMs = (await gateway.loopDelay()).busyMs
  await beat.stop()
  await annotate(
    `longest turns, of processor time: ${turnsMs.map(Math.round).join(', ')} ms; in a crowd ${Math.round(crowdMs)}`,
  )
  expect(Math.min(...turnsMs)).toBeLessThan(turnMsMax)
  expect(beat.longestMs).toBeLessThan(roundTripMsMax)
  await expect.poll(() => gateway.metric('curfew_unauthenticated_connections')).toBe(0)
  await expect.poll(async () => (await traces()).files - before.files).toBeLessThan(moreFilesMax)
  await expect.poll(async () => (await traces()).heldBytes - before.heldBytes, patient).toBeLessThan(leftBytesMax)
  expect((await traces()).residentBytes - before.residentBytes).toBeLessThan(grownBytesMax)
  expect(await gateway.metric('curfew_sessions_started_total')).toBe(2)
  expect(await (await fetch(new URL('/readyz', gateway.opsUrl))).json()).toEqual({ ok: true, problems: [] })
  expect(await gateway.log()).not.toContain('"level":"error"')
  await client.end()
})

async function allAttacks(client: pg.Client): Promise<void> {
  const victim = client as unknown as Victim
  const outcomes = Object.entries(ways).flatMap(([way, open]) =>
    Object.entries(attacks).map(async ([name, attack]) => {
      const socket = await open()
      const answer = readToEnd(socket)
      attack(socket, victim)
      return { name: `${name}, ${way}`, answer: await answer }
    }),
  )
  for (const { name, answer } of await Promise.all(outcomes))
    expect(verdict(answer), name).toMatch(/^(FATAL|nothing|a TLS alert)$/)
}

/**
 * Connections that begin and never go on: each is ended, and meanwhile somebody who signs in gets in, and is answered.
 * With no byte at all, one that the system had no room for would not notice, and wait for ever.
 */
async function crowd(password: string): Promise<void> {
  const ends = Array.from({ length: silentConnections }, async (_, index) => {
    const localAddress = `127.0.0.${2 + (index % silentAddresses)}`
    const socket = connect({ port: gateway.postgresPort, host: '127.0.0.1', localAddress })
    socket.write(sslRequest.subarray(0, 1))
    return readToEnd(socket)
  })
  const most = silentAddresses * perAddressMax
  await expect.poll(() => gateway.metric('curfew_unauthenticated_connections'), patient).toBeGreaterThan(100)
  const { client } = await gateway.connect(password)
  expect((await client.query('select 6 * 7 as n')).rows).toEqual([{ n: 42 }])
  expect(await gateway.metric('curfew_unauthenticated_connections')).toBeLessThanOrEqual(most)
  for (const answer of await Promise.all(ends)) expect(verdict(answer)).toBe('FATAL')
  await client.end()
}

/** What the process holds now. */
async function traces() {
  return {
    files: await gateway.metric('process_open_fds'),
    residentBytes: await gateway.metric('process_resident_memory_bytes'),
    heldBytes: await gateway.heldBytes(),
  }
}

/** A session at work: one round trip after the other, until it is stopped. One that fails, fails the test. */
class Beat {
  longestMs = 0
  #count = 0
  #stopped = false
  readonly #work: Promise<void>

  constructor(client: pg.Client) {
    this.#work = this.#run(client)
    // Whoever waits for it sees the failure.
    this.#work.catch(() => undefined)
  }

  async goesOnDuring(attack: () => Promise<void>): Promise<void> {
    const before = this.#count
    await Promise.race([attack(), this.#work])
    expect(this.#count).toBeGreaterThan(before)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#work
  }

  async #run(client: pg.Client): Promise<void> {
    while (!this.#stopped) {
      const askedMs = performance.now()
      const { rows } = await client.query('select $1::int as n, pg_sleep(0.02)', [++this.#count])
      expect(rows).toMatchObject([{ n: this.#count }])
      this.longestMs = Math.max(this.longestMs, performance.now() - askedMs)
      await sleep(5)
    }
  }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function secured(socket: Socket): Promise<Socket> {
  socket.write(sslRequest)
  await once(socket, 'data')
  const tls = connectTls({ socket, ca: gateway.ca, servername: 'localhost' })
  await once(tls, 'secureConnect')
  return tls
}

/** A reset is an end, too: what is still on its way to somebody who has hung up is not taken. */
function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(chunks))))
}

const tlsRecordAlert = 0x15
/** What somebody unknown may be asked and told: to sign in. */
const harmless: ReadonlySet<number> = new Set([fromServer.authentication, fromServer.noticeResponse])

/** The severity of the error at the end; or everything, when it is more than somebody unknown may read. */
function verdict(answer: Buffer): string {
  if (answer.length === 0 || answer.equals(Buffer.from('S'))) return 'nothing'
  if (answer.length === 7 && answer[0] === tlsRecordAlert) return 'a TLS alert'
  let at = 0
  while (at + 5 <= answer.length && harmless.has(answer[at]!)) at += 1 + answer.readInt32BE(at + 1)
  if (at === answer.length) return 'nothing'
  const last = answer.subarray(at)
  const isError = last[0] === fromServer.errorResponse && last.length > 5 && last.readInt32BE(1) === last.length - 1
  return isError ? readReport(last.subarray(5)).severity : answer.toString('latin1')
}

function sendAll(socket: Socket, ...parts: readonly Buffer[]): void {
  for (const part of parts) socket.write(part)
}

function int32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, index) => bytes.writeInt32BE(value, index * 4))
  return bytes
}

function startupOf(lengthBytes: number): Buffer {
  const parameters = { ...token, application_name: '' }
  const empty = startupMessage(Object.entries(parameters)).length
  return startupMessage(Object.entries({ ...parameters, application_name: 'x'.repeat(lengthBytes - empty) }))
}

function manyParameters(): Buffer {
  const parameters: [string, string][] = Object.entries(token)
  const left = startupBytesMax - start.length
  for (let n = 0; n < Math.floor(left / 3); n++) parameters.push(['x', ''])
  return startupMessage(parameters)
}

/** Never all of it, and never a pause that would be noticed as one. */
async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length - 1 && socket.writable; at++) {
    socket.write(bytes.subarray(at, at + 1))
    await sleep(50)
  }
}
