import fc from 'fast-check'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import * as ws from 'ws'
import { FrameWalker } from '../../../../src/protocols/http/websocket/frames.ts'

/** Exported by the package, but not by its types. */
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: Readonly<Record<string, unknown>>) => Writable
  readonly Sender: new (
    sink: Writable,
    extensions: object,
  ) => {
    send(data: Buffer, options: Readonly<Record<string, boolean>>, done: () => void): void
    ping(data: Buffer, mask: boolean, done: () => void): void
    close(code: number, reason: string, mask: boolean, done: () => void): void
  }
}

interface Frame {
  readonly fin: boolean
  readonly opcode: number
  readonly bytes: number
}

/** A frame as RFC 6455 section 5.2 draws it, of any kind. `form`: bits of the length; the least that fits by default. */
function frame(
  opcode: number,
  payload: Uint8Array,
  { fin = true, masked = true, rsv = 0, form = payload.length < 126 ? 7 : payload.length < 65536 ? 16 : 64 } = {},
): Buffer {
  const head = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (form === 7 ? payload.length : form === 16 ? 126 : 127)
  if (form === 16) head.writeUInt16BE(payload.length, 2)
  if (form === 64) head.writeBigUInt64BE(BigInt(payload.length), 2)
  const key = Buffer.from([1, 2, 3, 4])
  return masked
    ? Buffer.concat([head, key, payload.map((byte, at) => byte ^ key[at & 3]!)])
    : Buffer.concat([head, payload])
}

function walkOver(chunks: readonly Buffer[], masked: boolean) {
  const frames: Frame[] = []
  let bytes = 0
  const walker = new FrameWalker(masked, {
    passed(fin, opcode, more, whole) {
      bytes += more
      if (!whole) return
      frames.push({ fin, opcode, bytes })
      bytes = 0
    },
  })
  const boundaries: number[] = []
  let at = 0
  for (const chunk of chunks) {
    walker.walk(chunk)
    if (walker.boundary >= 0) boundaries.push(at + walker.boundary)
    at += chunk.length
  }
  return { frames, boundaries, atBoundary: walker.atBoundary }
}

function cutUp(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((left, right) => left - right)
  return [...places, bytes.length].map((to, index) => bytes.subarray(index === 0 ? 0 : places[index - 1]!, to))
}

const sizes = fc.oneof(
  fc.nat(20),
  fc.constantFrom(0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537),
  fc.nat(70_000),
)
/** A message in fragments, with control frames after some of them. */
const messages = fc.array(
  fc.record({
    opcode: fc.constantFrom(1, 2),
    rsv: fc.constantFrom(0, 4),
    fragments: fc.array(fc.tuple(sizes, fc.option(fc.tuple(fc.constantFrom(9, 10), fc.nat(125)), { nil: null })), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
  { minLength: 1, maxLength: 5 },
)

type Messages = typeof messages extends fc.Arbitrary<infer List> ? List : never

function encode(list: Messages, masked: boolean) {
  const frames: Frame[] = []
  const parts: Buffer[] = []
  const add = (opcode: number, bytes: number, fin: boolean, rsv: number) => {
    frames.push({ fin, opcode, bytes })
    parts.push(frame(opcode, Buffer.alloc(bytes, 0x61), { fin, masked, rsv }))
  }
  for (const { opcode, rsv, fragments } of list) {
    for (const [index, [bytes, control]] of fragments.entries()) {
      const fin = index === fragments.length - 1
      add(index === 0 ? opcode : 0, bytes, fin, index === 0 ? rsv : 0)
      if (control !== null) add(control[0], control[1], true, 0)
    }
  }
  return { frames, bytes: Buffer.concat(parts) }
}

test.each([true, false])('frames are seen the same however their bytes are cut (masked: %s)', (masked) => {
  fc.assert(
    fc.property(messages, fc.array(fc.nat(400_000), { maxLength: 30 }), (list, cuts) => {
      const { frames, bytes } = encode(list, masked)
      const seen = walkOver(cutUp(bytes, cuts), masked)
      expect(seen.frames).toEqual(frames)
      expect(seen.atBoundary).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test.each([true, false])('a cut at every single byte changes nothing (masked: %s)', (masked) => {
  const { frames, bytes } = encode(
    [
      {
        opcode: 1,
        rsv: 4,
        fragments: [
          [5, [9, 3]],
          [0, [10, 125]],
          [300, null],
        ],
      },
      { opcode: 2, rsv: 0, fragments: [[126, null]] },
    ],
    masked,
  )
  const whole = walkOver([bytes], masked)
  expect(whole.frames).toEqual(frames)
  const single = walkOver(cutUp(bytes, [...bytes.keys()]), masked)
  expect(single.frames).toEqual(frames)
  const ends = new Set(single.boundaries)
  for (let at = 0; at <= bytes.length; at++) {
    const seen = walkOver([bytes.subarray(0, at), bytes.subarray(at)], masked)
    expect(seen.frames).toEqual(frames)
    const before = walkOver([bytes.subarray(0, at)], masked)
    expect(before.atBoundary).toBe(at === 0 || ends.has(at))
    expect(before.boundaries).toEqual(
      at === 0 ? [] : [[...ends].filter((end) => end <= at).at(-1)].filter((end) => end !== undefined),
    )
  }
})

/** What the ws package makes of the same bytes: messages and control frames in order, or that they are illegal. */
async function askWs(bytes: Buffer, masked: boolean): Promise<readonly string[] | 'illegal'> {
  const receiver = new Receiver({
    isServer: masked,
    binaryType: 'nodebuffer',
    skipUTF8Validation: true,
    allowSynchronousEvents: true,
    extensions: {},
  })
  const seen: string[] = []
  receiver.on('message', (data: Buffer, isBinary: boolean) => seen.push(`${isBinary ? 2 : 1}:${data.length}`))
  receiver.on('ping', (data: Buffer) => seen.push(`9:${data.length}`))
  receiver.on('pong', (data: Buffer) => seen.push(`10:${data.length}`))
  return await new Promise((resolve) => {
    receiver.on('error', () => resolve('illegal'))
    receiver.write(bytes, () => setImmediate(() => resolve(seen)))
  })
}

/** The same from the walker's frames. */
function askUs(bytes: Buffer, cuts: readonly number[], masked: boolean): readonly string[] | 'illegal' {
  try {
    const seen: string[] = []
    let opcode = 0
    let size = 0
    for (const { fin, opcode: own, bytes: more } of walkOver(cutUp(bytes, cuts), masked).frames) {
      if (own >= 8) {
        seen.push(`${own}:${more}`)
        continue
      }
      if (own !== 0) opcode = own
      size += more
      if (!fin) continue
      seen.push(`${opcode}:${size}`)
      size = 0
    }
    return seen
  } catch {
    return 'illegal'
  }
}

/** Frames of any header whatever, most of which are illegal at some point. */
const wild = fc.array(
  fc.record({
    opcode: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 1, 2, 9, 10) }, fc.constantFrom(3, 4, 5, 6, 7, 11, 15)),
    fin: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
    bytes: fc.oneof({ weight: 6, arbitrary: fc.nat(125) }, fc.constantFrom(126, 127, 70_000)),
    flip: fc.oneof({ weight: 15, arbitrary: fc.constant(false) }, fc.constant(true)),
  }),
  { minLength: 1, maxLength: 8 },
)

test.each([true, false])(
  'ws and the walker agree about what is legal, and on the messages (masked: %s)',
  async (masked) => {
    let legal = 0
    await fc.assert(
      fc.asyncProperty(wild, fc.array(fc.nat(2000), { maxLength: 10 }), async (list, cuts) => {
        const bytes = Buffer.concat(
          list.map(({ opcode, fin, bytes: size, flip }) =>
            frame(opcode, Buffer.alloc(size, 0x61), { fin, masked: masked !== flip }),
          ),
        )
        const theirs = await askWs(bytes, masked)
        if (theirs !== 'illegal') legal++
        expect(askUs(bytes, cuts, masked)).toEqual(theirs)
      }),
      { numRuns: 400 },
    )
    expect(legal).toBeGreaterThan(20)
  },
)

test('what the ws sender writes is walked over, compressed or not', () => {
  const chunks: Buffer[] = []
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(chunk), done()) })
  const sender = new Sender(sink, {})
  const options = { compress: false, mask: true, fin: true, binary: true } as const
  sender.send(Buffer.alloc(125), options, () => {})
  sender.send(Buffer.alloc(126), { ...options, fin: false }, () => {})
  sender.ping(Buffer.from('hello'), true, () => {})
  sender.send(Buffer.alloc(70_000), options, () => {})
  sender.close(1000, 'bye', true, () => {})
  expect(walkOver([Buffer.concat(chunks)], true).frames).toEqual([
    { fin: true, opcode: 2, bytes: 125 },
    { fin: false, opcode: 2, bytes: 126 },
    { fin: true, opcode: 9, bytes: 5 },
    { fin: true, opcode: 0, bytes: 70_000 },
    { fin: true, opcode: 8, bytes: 5 },
  ])
})

const eightBytes = (high: number) =>
  Buffer.concat([
    Buffer.from([0x82, 0xff]),
    Buffer.from([high === 0x80 ? 0x80 : 0, high, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]),
  ])

test.each([
  ['not masked by the client', frame(1, Buffer.from('a'), { masked: false }), true],
  ['masked by the server', frame(1, Buffer.from('a')), false],
  ['of the reserved opcode 3', frame(3, Buffer.alloc(0)), true],
  ['of the reserved opcode 15', frame(15, Buffer.alloc(0)), true],
  ['of control, but fragmented', frame(9, Buffer.alloc(0), { fin: false }), true],
  ['of control, but too long', frame(9, Buffer.alloc(126)), true],
  ['that continues no message', frame(0, Buffer.alloc(0)), true],
  [
    'of a new message within another',
    Buffer.concat([frame(1, Buffer.alloc(0), { fin: false }), frame(2, Buffer.alloc(0))]),
    true,
  ],
  ['of an impossible length', eightBytes(0x80), true],
  ['of an impossible length', eightBytes(0x20), true],
])('a frame %s is refused, however it is cut', (what, bytes, masked) => {
  for (const cuts of [[], [...bytes.keys()]]) {
    expect(() => walkOver(cutUp(bytes, cuts), masked)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION', message: `There came a WebSocket frame ${what}.` }),
    )
  }
})

test('a message of 2^53 - 1 bytes may begin', () => {
  const head = Buffer.from([0x82, 0xff, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])
  expect(walkOver([head], true)).toEqual({ frames: [], boundaries: [], atBoundary: false })
})

test('where the last legal frame ended is told with the violation', () => {
  const walker = new FrameWalker(true, { passed() {} })
  const good = frame(1, Buffer.from('good'))
  expect(() => walker.walk(Buffer.concat([good, frame(3, Buffer.alloc(1))]))).toThrow('opcode 3')
  expect(walker.boundary).toBe(good.length)
})
