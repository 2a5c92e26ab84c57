import { Writable } from 'node:stream'
import type { Duplex } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outbox } from '../../../src/protocols/ssh/outbox.ts'

/** Takes what is written, and answers a turn later. */
class Taker extends Writable {
  readonly writes: Buffer[] = []

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(chunk)
    setImmediate(done)
  }
}

function outbox() {
  const taker = new Taker({ highWaterMark: 64 })
  return { taker, outbox: new Outbox(taker as unknown as Duplex, () => undefined) }
}

test('everything comes out in order, whatever its size, and nobody else looks at what was pushed', async () => {
  const sizes = fc.oneof(fc.nat(40), fc.nat(2000), fc.nat(600_000))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(sizes, fc.boolean()), { minLength: 1, maxLength: 30 }), async (pieces) => {
      const { taker, outbox: box } = outbox()
      const expected: Buffer[] = []
      for (const [index, [length, turns]] of pieces.entries()) {
        const bytes = Buffer.alloc(length, index + 1)
        expected.push(Buffer.from(bytes))
        box.push(bytes)
        bytes.fill(0)
        if (turns) await new Promise((turn) => setImmediate(turn))
      }
      box.end()
      await new Promise((done) => taker.once('finish', done))
      expect(Buffer.concat(taker.writes).equals(Buffer.concat(expected))).toBe(true)
      expect(box.waitingBytes).toBe(0)
      expect(box.bytesWritten).toBe(Buffer.concat(expected).length)
    }),
    { numRuns: 50 },
  )
})

test('one turn makes one write, small or large', async () => {
  const { taker, outbox: box } = outbox()
  for (let count = 0; count < 10; count++) box.push(Buffer.alloc(200, 1))
  expect(box.waitingBytes).toBe(2000)
  await new Promise((turn) => setImmediate(turn))
  expect(taker.writes.map(({ length }) => length)).toEqual([2000])
})
