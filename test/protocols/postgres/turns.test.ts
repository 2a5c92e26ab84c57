// Goal: however small the pieces are in which somebody sends, and however much there is, others are heard in between; and
// nothing is lost, doubled or out of order by it.
// Method: flows between streams, with a clock by which each message takes its time.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { Flow } from '../../../src/protocols/postgres/flow.ts'
import { FrameWalker, type FrameTap } from '../../../src/protocols/postgres/frames.ts'
import { fromClient, message } from '../../../src/protocols/postgres/messages.ts'
import { Turns } from '../../../src/protocols/postgres/turns.ts'
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
  for (const { over, got } of sessions) {
    await over
    expect(Buffer.concat(got).equals(many)).toBe(true)
  }
  expect(tap.longestMs).toBeLessThan(turnMsMax)
})
