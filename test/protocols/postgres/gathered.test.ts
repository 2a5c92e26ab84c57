import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Gathered } from '../../../src/protocols/postgres/gathered.ts'

test('what was added comes out again, in any portions, and does not change afterwards', () => {
  const step = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((added) => ({ added })),
    fc.nat(60).map((taken) => ({ taken })),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const gathered = new Gathered()
      let expected = Buffer.alloc(0)
      const all: [taken: Buffer, copy: Buffer][] = []
      for (const one of steps) {
        if ('added' in one) {
          gathered.add(Buffer.from(one.added))
          expected = Buffer.concat([expected, one.added])
        } else {
          const taken = gathered.take(Math.min(one.taken, gathered.length))
          expect(taken).toEqual(expected.subarray(0, taken.length))
          all.push([taken, Buffer.from(taken)])
          expected = expected.subarray(taken.length)
        }
        expect(gathered.length).toBe(expected.length)
        expect(gathered.first).toBe(expected[0])
      }
      for (const [taken, copy] of all) expect(taken).toEqual(copy)
    }),
  )
})

test('single bytes fill no more memory than all of them together', () => {
  const gathered = new Gathered()
  const before = process.memoryUsage()
  for (let count = 0; count < 1 << 20; count++) gathered.add(Buffer.alloc(1))
  const after = process.memoryUsage()
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(32 << 20)
  expect(gathered.take().buffer.byteLength).toBeLessThanOrEqual(4 << 20)
})
