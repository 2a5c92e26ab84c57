import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameWalker, type FrameTap } from '../../../src/protocols/postgres/frames.ts'
import { message } from '../../../src/protocols/postgres/messages.ts'

interface Seen {
  type: number
  bodyBytes: number
  head: string
  rest: string
  ended: boolean
}

function collect(wanted: number): { tap: FrameTap; seen: Seen[] } {
  const seen: Seen[] = []
  const last = () => seen.at(-1)!
  const tap: FrameTap = {
    begin(type, bodyBytes) {
      seen.push({ type, bodyBytes, head: '', rest: '', ended: false })
      return wanted
    },
    head: (_type, bytes) => void (last().head += bytes.toString('hex')),
    rest: (_type, bytes) => void (last().rest += bytes.toString('hex')),
    end: () => void (last().ended = true),
  }
  return { tap, seen }
}

function cutUp(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((left, right) => left - right)
  return [...places, bytes.length].map((to, index) => bytes.subarray(index === 0 ? 0 : places[index - 1]!, to))
}

const messages = fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 40 })), {
  minLength: 1,
  maxLength: 12,
})

test('messages are seen the same however their bytes are cut', () => {
  fc.assert(
    fc.property(messages, fc.array(fc.nat(400)), fc.integer({ min: 1, max: 30 }), (list, cuts, wanted) => {
      const bytes = Buffer.concat(list.map(([type, body]) => message(type, body)))
      const { tap, seen } = collect(wanted)
      const walker = new FrameWalker(tap, 1000)
      for (const chunk of cutUp(bytes, cuts)) walker.walk(chunk)
      expect(walker.atBoundary).toBe(true)
      expect(seen).toEqual(
        list.map(([type, body]) => ({
          type,
          bodyBytes: body.length,
          head: Buffer.from(body.subarray(0, wanted)).toString('hex'),
          rest: Buffer.from(body.subarray(wanted)).toString('hex'),
          ended: true,
        })),
      )
    }),
  )
})

test('the boundary is the end of the last whole message in the chunk', () => {
  fc.assert(
    fc.property(messages, fc.array(fc.nat(400)), (list, cuts) => {
      const bytes = Buffer.concat(list.map(([type, body]) => message(type, body)))
      const ends = new Set<number>()
      let end = 0
      for (const [, body] of list) ends.add((end += body.length + 5))
      const walker = new FrameWalker(null, 1000)
      let at = 0
      for (const chunk of cutUp(bytes, cuts)) {
        walker.walk(chunk)
        const inside = [...ends].filter((place) => place > at && place <= at + chunk.length).at(-1)
        expect(walker.boundary).toBe(inside === undefined ? -1 : inside - at)
        at += chunk.length
        expect(walker.atBoundary).toBe(at === 0 || ends.has(at))
      }
    }),
  )
})

test.each([-1, 0, 3, 1005, 0x7fff_ffff])('a message that claims a length of %i is refused', (length) => {
  const head = Buffer.alloc(5, 0x51)
  head.writeInt32BE(length, 1)
  expect(() => new FrameWalker(null, 1000).walk(head)).toThrow(
    expect.objectContaining({ name: 'Fault', code: 'PROTOCOL_VIOLATION' }),
  )
})
