import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { freeMemory } from '../../../src/protocols/ssh/memory.ts'
import { SharedReads } from '../../../src/protocols/ssh/shared-reads.ts'
import { acceptTransport, openTransport } from '../../../src/protocols/ssh/transport-over-library.ts'
import type { Transport } from '../../../src/protocols/ssh/transport.ts'
import { anyKey } from './pass-through.ts'

/**
 * Both ends of one connection over real sockets; what they send comes in pieces of `cut` bytes, over and over. The client
 * reads into shared memory, as those of targets do.
 */
async function overSockets(cut: readonly number[], times: { readonly rekeyBytes?: number } = {}) {
  const stack = new AsyncDisposableStack()
  const sockets: Socket[] = []
  stack.defer(() => {
    for (const socket of sockets) socket.destroy()
  })
  const accepted = Promise.withResolvers<Transport>()
  const signal = AbortSignal.timeout(20_000)
  const port = await listen(stack, (socket) => {
    sockets.push(socket)
    acceptTransport(socket, { hostKeys: [anyKey], signal, ...times }).then(accepted.resolve, accepted.reject)
  })
  const cutting = await listen(stack, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    sockets.push(near, far)
    passInPieces(near, far, cut)
    passInPieces(far, near, cut)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  })
  const reads = new SharedReads()
  const socket = connect({ port: cutting, host: '127.0.0.1', onread: reads.onread })
  sockets.push(socket)
  const client = await openTransport(socket, { verifyHostKey: () => undefined, reads, signal, ...times })
  return { client, server: await accepted.promise, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function passInPieces(from: Socket, to: Socket, cut: readonly number[]): void {
  let count = 0
  from.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      const end = at + cut[count++ % cut.length]!
      to.write(chunk.subarray(at, end))
      at = end
    }
  })
}

async function listen(stack: AsyncDisposableStack, onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, onSocket).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** The hash of what `count` messages hold; each is given back as soon as it is hashed. */
async function hashOf(transport: Transport, count: number): Promise<string> {
  const hash = createHash('sha256')
  return await new Promise((done, failed) => {
    transport.gone.addEventListener('abort', () => failed(transport.gone.reason as Error))
    let left = count
    transport.onMessage = (message) => {
      hash.update(message)
      transport.release(message)
      if (--left === 0) done(hash.digest('hex'))
    }
  })
}

// Goal: memory that is given back, of messages and of what came from the network, is nobody else's.
// Method: messages of all sizes both ways through cuts at any place and through new keys, and each is given back.
test('messages that are given back leave all others whole, wherever the stream is cut and keys change', async () => {
  const sizes = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: 4000, max: 100_000 })), {
    minLength: 1,
    maxLength: 40,
  })
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1000, max: 200_000 })), {
    minLength: 1,
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(sizes, cuts, fc.integer({ min: 20_000, max: 1_000_000 }), async (lengths, cut, rekeyBytes) => {
      await using ends = await overSockets([...cut, 65_536], { rekeyBytes })
      const messages = lengths.map((length) => Buffer.concat([Buffer.of(94), randomBytes(length)]))
      const hashes = [ends.client, ends.server].map((end) => hashOf(end, messages.length))
      for (const each of messages) {
        ends.client.send(each)
        ends.server.send(each)
        // What was sent is the sender's again.
        if (each.length % 3 === 0) await new Promise((turn) => setImmediate(turn))
      }
      const expected = createHash('sha256').update(Buffer.concat(messages)).digest('hex')
      expect(await Promise.all(hashes)).toEqual([expected, expected])
    }),
    { numRuns: 25 },
  )
})

test('what was sent is copied, also while keys are exchanged', async () => {
  await using ends = await overSockets([65_536])
  const heard: string[] = []
  const all = new Promise<void>((done) => {
    ends.server.onMessage = (message) => {
      heard.push(createHash('sha256').update(message).digest('hex'))
      if (heard.length === 3) done()
    }
  })
  const sent: string[] = []
  for (const when of ['before', 'meanwhile', 'later']) {
    if (when === 'meanwhile') ends.client.rekey()
    const message = Buffer.concat([Buffer.of(94), randomBytes(30_000)])
    sent.push(createHash('sha256').update(message).digest('hex'))
    ends.client.send(message)
    message.fill(0)
  }
  await all
  expect(heard).toEqual(sent)
})

test('a large message that is given back has no memory any more; one that is not, stays', async () => {
  await using ends = await overSockets([65_536])
  const kept: Buffer[] = []
  const two = new Promise<void>((done) => {
    ends.server.onMessage = (message) => {
      kept.push(message)
      if (kept.length === 1) ends.server.release(message)
      else ends.server.release(kept[0]!) // too late: it is not the one at hand
      if (kept.length === 2) done()
    }
  })
  const large = Buffer.concat([Buffer.of(94), randomBytes(30_000)])
  ends.client.send(large)
  ends.client.send(large)
  await two
  expect(kept[0]!.length).toBe(0)
  expect(kept[1]).toEqual(large)
})

test('memory that others may lie in is not given back', () => {
  const whole = Buffer.alloc(10_000, 1)
  freeMemory(whole.subarray(0, 9_000))
  freeMemory(whole.subarray(1))
  expect(whole.length).toBe(10_000)
  freeMemory(whole)
  expect(whole.length).toBe(0)
  const few = Buffer.alloc(10, 1)
  freeMemory(few)
  expect(few.length).toBe(10)
})

test('what comes before anybody listens is kept, and no more is read until then', async () => {
  await using stack = new AsyncDisposableStack()
  const whole = randomBytes(2_000_000)
  const port = await listen(stack, (socket) => socket.on('error', () => undefined).end(whole))
  const reads = new SharedReads()
  const socket = connect({ port, host: '127.0.0.1', onread: reads.onread })
  stack.defer(() => void socket.destroy())
  while (socket.bytesRead === 0) await new Promise((turn) => setImmediate(turn))
  const early = socket.bytesRead
  for (let turn = 0; turn < 20; turn++) await new Promise((next) => setImmediate(next))
  expect(socket.bytesRead).toBe(early)
  const hash = createHash('sha256')
  reads.listen((chunk) => hash.update(chunk))
  socket.resume()
  await once(socket, 'end')
  expect(hash.digest('hex')).toBe(createHash('sha256').update(whole).digest('hex'))
})
