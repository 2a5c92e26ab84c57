// Goal: however small the pieces are in which somebody sends, and however much there is, others are heard in between; and
// nothing is lost, doubled or out of order by it.
// Method: flows between streams, with a clock by which each message takes its time.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { setImmediate as turnEnds } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { BoundedHandshake } from '../../../src/protocols/postgres/bounded-handshake.ts'
import { Errands } from '../../../src/protocols/postgres/errands.ts'
import { farewell } from '../../../src/protocols/postgres/farewell.ts'
import { Flow } from '../../../src/protocols/postgres/flow.ts'
import { FrameWalker, type FrameTap } from '../../../src/protocols/postgres/frames.ts'
import { Inbox, PeerGone } from '../../../src/protocols/postgres/inbox.ts'
import { fromClient, message } from '../../../src/protocols/postgres/messages.ts'
import { Turns } from '../../../src/protocols/postgres/turns.ts'
import { systemClock } from '../../../src/system.ts'
import { HandClock } from '../../clock.ts'

const messageMs = 0.03
/** What is allowed, one piece more, and what one small chunk is beyond its estimate. */
const turnMsMax = 40

class Slow implements FrameTap {
  turnMs = 0
  longestMs = 0
  readonly #clock: HandClock

  constructor(clock: HandClock) {
    this.#clock = clock
    const next = () => {
      this.turnMs = 0
      setImmediate(next).unref()
    }
    next()
  }

  begin(): number {
    this.#clock.pass(messageMs)
    this.turnMs += messageMs
    this.longestMs = Math.max(this.longestMs, this.turnMs)
    return 0
  }
  head(): void {}
  rest(): void {}
  end(): void {}
}

const many = Buffer.concat(
  Array.from({ length: 20_000 }, (_, index) => message(fromClient.flush, Buffer.of(index & 255))),
)

test.each([
  ['chunks as a socket reads them', 65_536],
  ['pieces of a message', 4],
  ['a few messages', 60],
])('%s', async (_, chunkBytes) => {
  const clock = new HandClock()
  const turns = new Turns(clock)
  const tap = new Slow(clock)
  const sessions = Array.from({ length: 3 }, () => {
    const from = new PassThrough({ highWaterMark: 64 << 20 })
    const got: Buffer[] = []
    const to = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        got.push(chunk)
        done()
      },
    })
    const events = {
      passed: () => undefined,
      failed: (_flow: Flow, error: unknown) => expect.unreachable(String(error)),
    }
    const flow = new Flow(
      from as unknown as Socket,
      to as unknown as Socket,
      new FrameWalker(tap, 10),
      false,
      turns,
      events,
    )
    flow.start(Buffer.alloc(0))
    for (let at = 0; at < many.length; at += chunkBytes) from.write(many.subarray(at, at + chunkBytes))
    return { over: once(from.end(), 'end'), got }
  })
  await Promise.all(sessions.map(({ over }) => over))
  // The last piece goes at the end of its turn.
  await turnEnds()
  for (const { got } of sessions) {
    expect(Buffer.concat(got).equals(many)).toBe(true)
  }
  expect(tap.longestMs).toBeLessThan(turnMsMax)
})

/** Chunks that come by the byte, as records of TLS may, and how many of them somebody heard in one turn at most. */
function byTheByte(count: number) {
  const from = Object.assign(new PassThrough({ highWaterMark: count + 1, readableHighWaterMark: count + 1 }), {
    encrypted: true,
  })
  let [most, now] = [0, 0]
  const nextTurn = () => {
    most = Math.max(most, now)
    now = 0
    setImmediate(nextTurn).unref()
  }
  nextTurn()
  for (let index = 0; index < count; index++) from.write(Buffer.of(index & 255))
  from.on('data', () => (now += 1))
  return { from: from as unknown as Socket, most: () => Math.max(most, now) }
}

test('pieces of what somebody unknown says', async () => {
  const [count, clock] = [20_000, new HandClock()]
  const { from, most } = byTheByte(count)
  const inbox = new Inbox(from, count, new Turns(clock))
  const got = await inbox.take(count)
  expect(got.equals(Buffer.from(Array.from({ length: count }, (_, index) => index & 255)))).toBe(true)
  expect(most()).toBeLessThan(3000)
  from.end()
  await expect(inbox.peek()).rejects.toBeInstanceOf(PeerGone)
})

test('pieces of what nobody reads any more', async () => {
  const { from, most } = byTheByte(20_000)
  await farewell(from, systemClock)
  expect(most()).toBeLessThan(3000)
})

test('a crowd that comes at once is let in by and by', async () => {
  const clock = new HandClock()
  const errands = new Errands(new Turns(clock))
  let [left, now, longest] = [2000, 0, 0]
  for (let index = 0; index < 2000; index++) {
    errands.add(() => {
      left -= 1
      longest = Math.max(longest, (now += 1))
    })
  }
  while (left > 0) {
    now = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(longest).toBeLessThan(200)
})

test('who comes while many sessions have much to say: a cancel does not wait for all of them', async () => {
  const clock = new HandClock()
  const turns = new Turns(clock)
  const errands = new Errands(turns)
  let [bulk, isOver] = [0, false]
  const goOn = () => {
    bulk += 1
    const begunMs = turns.begin()
    clock.pass(10)
    turns.end(begunMs)
    if (!isOver) turns.wait(goOn)
  }
  for (let index = 0; index < 500; index++) turns.wait(goOn)
  while (bulk === 0) await new Promise((resolve) => setImmediate(resolve))
  const came = bulk
  await new Promise<void>((resolve) => errands.add(resolve))
  const { from } = byTheByte(16)
  from.removeAllListeners('data')
  await new Inbox(from, 16, turns).take(16)
  expect(bulk - came).toBeLessThan(60)
  // Nor do they wait for a crowd that comes and comes.
  const [crowdCame, again] = [bulk, () => void setImmediate(() => isOver || errands.add(again))]
  for (let index = 0; index < 500; index++) errands.add(again)
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(bulk - crowdCame).toBeGreaterThan(15)
  isOver = true
})

test('what TLS decrypts of many who are unknown, together', async () => {
  const clock = new HandClock()
  const turns = new Turns(clock)
  const sent = Buffer.from(Array.from({ length: 64 * 1024 }, (_, index) => index & 255))
  let [turnMs, longestMs] = [0, 0]
  const nextTurn = () => {
    turnMs = 0
    setImmediate(nextTurn).unref()
  }
  nextTurn()
  const all = Array.from({ length: 20 }, async () => {
    const from = new PassThrough({ highWaterMark: 1 << 20 })
    const bounded = new BoundedHandshake(from as unknown as Socket, turns)
    bounded.done()
    const got: Buffer[] = []
    bounded.on('data', (chunk: Buffer) => {
      got.push(chunk)
      clock.pass(chunk.length / 1024)
      longestMs = Math.max(longestMs, (turnMs += chunk.length / 1024))
    })
    await new Promise((resolve) => setImmediate(resolve))
    from.end(sent)
    await once(bounded, 'end')
    expect(Buffer.concat(got).equals(sent)).toBe(true)
  })
  await Promise.all(all)
  expect(longestMs).toBeLessThan(turnMsMax)
})

test('what TLS decrypts of somebody unknown; of somebody known it takes what there is', async () => {
  const { from } = byTheByte(1000)
  from.removeAllListeners('data')
  const bounded = new BoundedHandshake(from, new Turns(new HandClock()))
  bounded.done()
  let [heard, now, longest] = [0, 0, 0]
  bounded.on('data', ({ length }: Buffer) => {
    heard += length
    longest = Math.max(longest, (now += 1))
    setImmediate(() => (now = 0))
  })
  await expect.poll(() => heard).toBe(1000)
  expect(longest).toBeLessThan(4)
  bounded.known()
  for (let index = 0; index < 1000; index++) from.write(Buffer.of(0))
  await expect.poll(() => heard).toBe(2000)
  expect(longest).toBeGreaterThan(100)
  from.end()
  await once(bounded, 'end')
})
