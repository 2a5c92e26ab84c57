import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import { Fault } from '../../../../src/kernel/fault.ts'
import type { HttpEvents } from '../../../../src/recording/http-events.ts'
import { openRecording } from '../../../../src/recording/reading.ts'
import { HandClock } from '../../../clock.ts'
import { startRecordings, temporaryFolder } from '../../../recording/support.ts'
import { accepted, closed, message, startRelayed } from './relayed.ts'

const revoked = new Fault('GRANT_REVOKED', 'Your access to grafana as editor was revoked by ben@example.com.')
const reason = `${revoked.message} ${revoked.hint}`

const execFileAsync = promisify(execFile)

type Relayed = Awaited<ReturnType<typeof startRelayed>>

async function open(relayed: Relayed, options: ClientOptions = {}) {
  const far = accepted(relayed.server)
  const near = new WebSocket(relayed.url, { ca: relayed.ca, perMessageDeflate: false, ...options })
  const [server, pair] = await Promise.all([far, relayed.next(), once(near, 'open')])
  return { near, server, ...pair }
}

/** Waits for a fact that no event tells of. */
async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise((resolve) => setTimeout(resolve, 2))
}

test.each([false, true])('messages, pings and the end pass both ways (tls: %s)', async (tls) => {
  await using relayed = await startRelayed({ tls })
  const { near, server, relay, client, target } = await open(relayed)
  near.send('hello')
  expect(String(await message(server))).toBe('hello')
  server.send(Buffer.alloc(70_000))
  expect(await message(near)).toHaveLength(70_000)
  near.ping('p1')
  expect(String((await once(near, 'pong'))[0])).toBe('p1')
  server.ping('p2')
  expect(String((await once(server, 'pong'))[0])).toBe('p2')
  near.close(3001, 'done here')
  expect(await closed(server)).toEqual({ code: 3001, reason: 'done here' })
  expect(await relay.over).toEqual({
    by: 'client',
    bytesFromClient: 11 + 8 + 8 + 17,
    bytesFromTarget: 70_010 + 4 + 4 + 13,
    why: null,
  })
  expect(relayed.recorder.messages).toEqual([
    'up 1 5',
    'down 2 70000',
    'up 9 2',
    'down 10 2',
    'down 9 2',
    'up 10 2',
    'up 8 11',
    'down 8 11',
  ])
  for (const socket of [client, target]) {
    expect(socket.closed).toBe(true)
    for (const event of ['data', 'drain']) expect(socket.listenerCount(event)).toBe(0)
  }
})

test('a Close of the target passes as it came', async () => {
  await using relayed = await startRelayed()
  const { near, server, relay } = await open(relayed)
  server.close(4000, 'go away')
  expect(await closed(near)).toEqual({ code: 4000, reason: 'go away' })
  expect(await relay.over).toMatchObject({ by: 'target', why: null })
})

test('compressed messages pass untouched', async () => {
  await using relayed = await startRelayed({ target: { perMessageDeflate: { threshold: 0 } } })
  const { near, server, relay } = await open(relayed, { perMessageDeflate: { threshold: 0 } })
  expect(near.extensions).toContain('permessage-deflate')
  server.on('message', (data) => server.send(data))
  const text = 'curfew '.repeat(10_000)
  near.send(text)
  expect(String(await message(near))).toBe(text)
  near.close()
  await relay.over
  const [up, down] = relayed.recorder.messages
  expect(up).toMatch(/^up 1 \d{2,3}$/)
  expect(down).toMatch(/^down 2 \d{2,3}$/)
})

test('websockets of Python speaks through it, and reads why it was cut', async () => {
  await using relayed = await startRelayed({ target: { perMessageDeflate: true } })
  relayed.server.on('connection', (server) => server.on('message', (data) => server.send(data)))
  const python = execFileAsync('/usr/bin/python3', ['-c', pythonClient, relayed.url], { timeout: 20_000 })
  const { relay } = await relayed.next()
  await until(() => relayed.recorder.messages.some((line) => line.startsWith('up 1')))
  relay.cut(revoked)
  expect((await python).stdout).toBe(`300000 True\n1008 ${reason}\n`)
})

const pythonClient = `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], max_size=None) as socket:
        await socket.send(bytes(300000))
        print(len(await socket.recv()), await asyncio.wait_for(await socket.ping(), 5) is not False)
        await socket.send('ready')
        try:
            while True: await socket.recv()
        except websockets.ConnectionClosed as closed:
            print(closed.rcvd.code, closed.rcvd.reason)
asyncio.run(main())
`

test('a hundred megabytes pass both ways at the pace of a slow reader', { timeout: 60_000 }, async () => {
  await using relayed = await startRelayed()
  const { near, server, client, target } = await open(relayed)
  const block = randomBytes(1024 * 1024)
  let most = 0
  const look = setInterval(() => (most = Math.max(most, client.writableLength, target.writableLength)), 1)
  const through = async (from: WebSocket, to: WebSocket) => {
    const sent = createHash('sha256')
    const got = createHash('sha256')
    let bytes = 0
    const all = new Promise<void>((resolve) => {
      to.on('message', (data: Buffer) => {
        got.update(data)
        bytes += data.length
        if (bytes === 50 * block.length) resolve()
        if (bytes % (10 * block.length) !== 0) return
        to.pause()
        setTimeout(() => to.resume(), 30)
      })
    })
    for (let at = 0; at < 50; at++) {
      sent.update(block)
      from.send(block, { fin: true })
    }
    await all
    expect(got.digest('hex')).toBe(sent.digest('hex'))
  }
  await Promise.all([through(near, server), through(server, near)])
  clearInterval(look)
  expect(most).toBeLessThan(512 * 1024)
})

test('a sender waits for a receiver that does not read', async () => {
  await using relayed = await startRelayed()
  const { near, server, client, target } = await open(relayed)
  near.pause()
  const block = Buffer.alloc(256 * 1024)
  while (server.bufferedAmount < 8 * block.length) {
    server.send(block)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => target.isPaused())
  expect(client.writableLength).toBeLessThan(512 * 1024)
  near.resume()
  await until(() => server.bufferedAmount === 0)
  expect(client.listenerCount('drain')).toBe(1)
})

test('nothing passes while the recorder is full', async () => {
  await using relayed = await startRelayed()
  const { near, server, client, target } = await open(relayed)
  const got: string[] = []
  server.on('message', (data: Buffer) => got.push(String(data)))
  relayed.recorder.full = true
  near.send('the last')
  await until(() => client.isPaused() && target.isPaused())
  near.send('one more')
  await until(() => got.length > 0)
  relayed.recorder.catchUp()
  await until(() => got.length > 1)
  expect(got).toEqual(['the last', 'one more'])
  expect(client.isPaused() || target.isPaused()).toBe(false)
})

test('a recording that breaks ends it', async () => {
  await using relayed = await startRelayed()
  const { near, relay, client } = await open(relayed)
  relayed.recorder.full = true
  near.send('a')
  await until(() => client.isPaused())
  relayed.recorder.break(new Fault('RECORDING_FAILED', 'The recording of this session cannot be written.'))
  expect((await closed(near)).code).toBe(1008)
  expect((await relay.over).by).toBe('gate')
})

test.each([false, true])('a cut of an idle WebSocket is told to both (tls: %s)', async (tls) => {
  await using relayed = await startRelayed({ tls })
  const { near, server, relay } = await open(relayed)
  relay.cut(revoked)
  relay.cut(new Fault('KILLED', 'A second cut changes nothing.'))
  const [told, farTold] = await Promise.all([closed(near), closed(server)])
  expect(told).toEqual({ code: 1008, reason })
  expect(farTold).toEqual({ code: 1001, reason: '' })
  expect(await relay.over).toEqual({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0, why: null })
})

test.each([false, true])('a cut while both send stops both at once (tls: %s)', async (tls) => {
  await using relayed = await startRelayed({ tls })
  const { near, server, relay } = await open(relayed)
  const block = Buffer.alloc(10_000)
  const counts = { near: 0, server: 0 }
  const pump = (webSocket: WebSocket) => {
    if (webSocket.readyState !== webSocket.OPEN) return
    webSocket.send(block, () => setImmediate(() => pump(webSocket)))
  }
  near.on('message', () => counts.near++)
  server.on('message', () => counts.server++)
  for (const webSocket of [near, server]) {
    webSocket.on('error', () => {})
    for (let at = 0; at < 8; at++) pump(webSocket)
  }
  await until(() => counts.near > 200 && counts.server > 200)
  relay.cut(revoked)
  const [told, farTold] = await Promise.all([closed(near), closed(server)])
  expect(told).toEqual({ code: 1008, reason })
  expect(farTold.code).toBe(1001)
  expect(await relay.over).toMatchObject({ by: 'gate', why: null })
  const down = relayed.recorder.messages.filter((line) => line.startsWith('down 2')).length
  expect(counts.near).toBeLessThanOrEqual(down)
})

test('a client that does not read is given a second, then it is closed', async () => {
  const clock = new HandClock()
  await using relayed = await startRelayed({ clock })
  const { near, server, relay, client, target } = await open(relayed)
  near.pause()
  const block = Buffer.alloc(30_000)
  while (!target.isPaused()) {
    server.send(block)
    await new Promise((resolve) => setImmediate(resolve))
  }
  relay.cut(revoked)
  await closed(server)
  await until(() => target.closed)
  clock.pass(999)
  expect(client.closed).toBe(false)
  clock.pass(1)
  await relay.over
  expect(clock.timers).toBe(0)
})

test('in the middle of a frame that is already half sent nothing is said', async () => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const [target, { relay, client }] = await Promise.all([far.promise, relayed.next()])
  target.resume().on('end', () => target.end())
  target.write(Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]), Buffer.alloc(100_000)]))
  await until(() => near.got.length >= 100_010)
  relay.cut(revoked)
  expect(client.destroyed).toBe(true)
  await relay.over
  expect(near.got).toHaveLength(100_010)
})

test('an unfinished frame waits for its end, so that a cut can be told', async () => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const [target, { relay }] = await Promise.all([far.promise, relayed.next()])
  target.resume().on('end', () => target.end())
  target.write(Buffer.from([0x81, 2, 0x68, 0x69, 0x81, 5, 0x68]))
  await until(() => near.got.length === 4)
  relay.cut(revoked)
  await relay.over
  expect(near.got.subarray(4, 8)).toEqual(Buffer.from([0x88, 2 + Buffer.byteLength(reason), 1008 >> 8, 1008 & 255]))
  expect(near.got.subarray(8).toString('utf8')).toBe(reason)
})

test('a target that trickles single bytes is passed on whole', async () => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const target = (await far.promise) as Socket
  target.setNoDelay(true)
  const frame = Buffer.concat([Buffer.from([0x82, 100]), randomBytes(100)])
  for (const byte of frame) {
    target.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => near.got.length === frame.length)
  expect(near.got).toEqual(frame)
})

test('a Close that the client has got is not followed by another', async () => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const [target, { relay }] = await Promise.all([far.promise, relayed.next()])
  target.resume().on('end', () => target.end())
  target.write(Buffer.from([0x88, 2, 1000 >> 8, 1000 & 255]))
  await until(() => near.got.length === 4)
  relay.cut(revoked)
  expect((await relay.over).by).toBe('target')
  expect(near.got).toHaveLength(4)
})

test.each([
  ['client', 'not masked by the client'],
  ['target', 'masked by the server'],
])('a frame of the %s against the protocol ends it', async (who, what) => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const [target, { relay }] = await Promise.all([far.promise, relayed.next()])
  const farGot: Buffer[] = []
  target.on('data', (chunk: Buffer) => farGot.push(chunk)).on('end', () => target.end())
  const ping = [0x89, 0x80, 0, 0, 0, 0]
  const wrong = [0x81, 1, 0x61]
  if (who === 'client') near.socket.write(Buffer.from([...ping, ...wrong]))
  else target.write(Buffer.from([0x89, 0, 0x81, 0x81, 1, 2, 3, 4, 5]))
  const why = `There came a WebSocket frame ${what}.`
  expect(await relay.over).toMatchObject({ by: who, why })
  const legal = who === 'client' ? 0 : 2
  expect(near.got.subarray(legal, legal + 4)).toEqual(Buffer.from([0x88, 2 + why.length, 1002 >> 8, 1002 & 255]))
  expect(near.got.subarray(legal + 4).toString()).toBe(why)
  const toTarget = Buffer.concat(farGot).subarray(who === 'client' ? ping.length : 0)
  expect(toTarget[0]).toBe(0x88)
  expect(unmask(toTarget)).toEqual(Buffer.concat([Buffer.from([1002 >> 8, 1002 & 255]), Buffer.from(why)]))
})

test('what passed stands in a real recording, also what a cut left unfinished', async () => {
  await using folder = await temporaryFolder()
  await using room = await startRecordings(folder.path)
  const started = await room.recordings.start({ session: 'session-1' }, 'strict', () => {})
  await using relayed = await startRelayed({ recorder: started.recorder })
  const { near, server, relay } = await open(relayed)
  const count = 1000
  let got = 0
  server.on('message', () => got++)
  for (let at = 0; at < count; at++) near.send(Buffer.alloc(at))
  near.send(Buffer.alloc(10), { fin: false })
  near.ping('on')
  await once(server, 'ping')
  relay.cut(revoked)
  await relay.over
  await started.recorder.seal({ by: 'gate' })
  expect(got).toBe(count)
  await using recording = await openRecording(room.fileOf(started.path))
  const messages: HttpEvents['w']['messages'][number][] = []
  for await (const { code, data } of recording.events()) {
    if (code === 'w') messages.push(...(data as HttpEvents['w']).messages)
  }
  expect(messages.slice(0, count).map(([, ...rest]) => rest)).toEqual(
    Array.from({ length: count }, (_, at) => ['up', 2, at]),
  )
  expect(
    messages
      .slice(count, count + 2)
      .map(([, ...rest]) => rest.join(' '))
      .toSorted(),
  ).toEqual(['up 2 10', 'up 9 2'])
})

test('a connection that breaks ends the other, and says why', async () => {
  await using relayed = await startRelayed()
  const { near, server, relay, client } = await open(relayed)
  const gone = closed(server)
  near.terminate()
  expect((await gone).code).toBe(1006)
  const end = await relay.over
  expect(end.by).toBe('client')
  expect(end.why).toMatch(/^The client hung up without a Close\.$|broke/)
  expect(client.closed).toBe(true)
})

test('what was said before a half-close arrives, in both directions', async () => {
  const far = Promise.withResolvers<Duplex>()
  await using relayed = await startRelayed({ onTarget: far.resolve })
  const near = await plainClient(relayed.port)
  const [target, { relay }] = await Promise.all([far.promise, relayed.next()])
  target.resume()
  near.socket.end(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x61]))
  await once(target, 'end')
  target.end(Buffer.from([0x81, 1, 0x62]))
  expect(await relay.over).toEqual({
    by: 'client',
    bytesFromClient: 7,
    bytesFromTarget: 3,
    why: 'The client hung up without a Close.',
  })
  expect(near.got).toEqual(Buffer.from([0x81, 1, 0x62]))
})

test('a target that ignores the end of its client is closed after a minute', async () => {
  const far = Promise.withResolvers<Duplex>()
  const clock = new HandClock()
  await using relayed = await startRelayed({ onTarget: far.resolve, clock })
  const near = await plainClient(relayed.port)
  const [target, { relay }] = await Promise.all([far.promise, relayed.next()])
  target.resume().on('error', () => {})
  near.socket.destroy()
  await once(target, 'end')
  await until(() => clock.timers === 1)
  clock.pass(60_000)
  expect((await relay.over).by).toBe('client')
})

test('what came with the heads is passed on', async () => {
  const far = Promise.withResolvers<Duplex>()
  const greeting = Buffer.from([0x81, 1, 0x61])
  await using relayed = await startRelayed({
    onTarget: (socket) => {
      socket.write(greeting)
      far.resolve(socket)
    },
  })
  const hello = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x62])
  const near = await plainClient(relayed.port, hello)
  const target = await far.promise
  expect((await once(target, 'data'))[0]).toEqual(hello)
  await until(() => near.got.length === 3)
  expect(near.got).toEqual(greeting)
})

/** A client of bytes, past its upgrade. */
async function plainClient(port: number, first: Buffer = Buffer.alloc(0)) {
  const socket = connect({ port, host: 'localhost', allowHalfOpen: true })
  socket.on('error', () => {}).on('end', () => socket.end())
  const head =
    'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  socket.write(Buffer.concat([Buffer.from(head), first]))
  let all = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (all = Buffer.concat([all, chunk])))
  const headEnd = () => all.indexOf('\r\n\r\n')
  await until(() => headEnd() >= 0)
  return {
    socket,
    get got() {
      return all.subarray(headEnd() + 4)
    },
  }
}

/** The payload of a short masked frame. */
function unmask(frame: Buffer): Buffer {
  const key = frame.subarray(2, 6)
  return Buffer.from(frame.subarray(6).map((byte, at) => byte ^ key[at & 3]!))
}
