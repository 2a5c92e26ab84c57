import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import type { Recording } from '../../src/recording/reading.ts'
import { planReplay, type ReplayPlan } from '../../src/web/replay-plan.ts'
import { type PlayedPart, readPart } from '../../src/web/replay-part.ts'

// Goal: whatever is cut into parts is, played one after the other, what was recorded. Method: made-up sessions, cut small.
const shell = (seconds = 1): RecordedEvent[] => [
  { seconds, code: 'ch', data: { ch: 1, kind: 'session' } },
  { seconds, code: 'pty', data: { ch: 1, term: 'xterm', cols: 90, rows: 20 } },
]
const output = (seconds: number, text: string | Buffer, ch = 1): RecordedEvent => {
  const bytes = Buffer.from(text as string)
  return { seconds, code: '=o', data: { ch, bytes: bytes.length }, bytes }
}

/** In memory, and with its range kept as a file's is. */
function recordingOf(events: readonly RecordedEvent[]): Recording {
  return {
    header: {},
    manifest: null,
    async *events({ fromSeconds = 0, toSeconds = Infinity } = {}) {
      for (const event of events) if (event.seconds >= fromSeconds && event.seconds <= toSeconds) yield event
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function played(events: readonly RecordedEvent[], settings: { pauseUsMax: number | null; partBytes: number }) {
  const recording = recordingOf(events)
  const plan = (await planReplay(recording.events(), 1, settings))!
  const parts: PlayedPart[] = []
  for (const part of plan.parts) parts.push(await readPart(recording, plan, part))
  return { plan, parts }
}

/** What asciinema-player checks before it plays anything. */
function expectPlayable(plan: ReplayPlan, parts: readonly PlayedPart[]) {
  const starts = plan.parts.map(({ playedUs }) => playedUs / 1e6)
  expect(starts[0]).toBe(0)
  for (const [at, { events }] of parts.entries()) {
    const end = starts[at + 1] ?? plan.playedUs / 1e6
    const isLast = at === parts.length - 1
    let previous = starts[at]!
    expect(events[0]![0]).toBe(starts[at])
    for (const [seconds] of events) {
      expect(seconds).toBeGreaterThanOrEqual(previous)
      if (isLast) expect(seconds).toBeLessThanOrEqual(end)
      else expect(seconds).toBeLessThan(end)
      previous = seconds
    }
    if (isLast) expect(previous).toBe(end)
  }
}

const textOf = (parts: readonly PlayedPart[]) =>
  parts.map(({ events }) => events.map(([, code, data]) => (code === 'o' ? data : '')).join('')).join('')

test('parts, one after the other, show what was recorded, however it is cut', async () => {
  const pieces = fc.array(
    fc.record({ afterUs: fc.nat(3_000_000), bytes: fc.uint8Array({ maxLength: 40 }), ch: fc.constantFrom(1, 1, 1, 2) }),
    { maxLength: 60 },
  )
  const settings = fc.record({
    pauseUsMax: fc.constantFrom(null, 1_000_000),
    partBytes: fc.integer({ min: 1, max: 400 }),
  })
  await fc.assert(
    fc.asyncProperty(pieces, settings, async (all, wanted) => {
      let us = 1_000_000
      const events = all.map(({ afterUs, bytes, ch }) => output((us += afterUs) / 1e6, Buffer.from(bytes), ch))
      const { plan, parts } = await played([...shell(), ...events], wanted)
      expectPlayable(plan, parts)
      const whole = Buffer.concat(
        events.filter(({ data }) => (data as { ch: number }).ch === 1).map((one) => one.bytes!),
      )
      // A character may be cut by the end of a part: then the next part, which knows its beginning, shows it.
      expect(textOf(parts)).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole, { stream: true }))
      if (wanted.pauseUsMax === null) expect(plan.playedUs).toBe(plan.endUs - plan.startUs)
    }),
    { numRuns: 200 },
  )
})

test('a pause is played shortened, and told; markers stand where they are played', async () => {
  const events = [
    ...shell(1),
    output(1.5, 'a'),
    output(61.5, 'b'),
    { seconds: 61.6, code: 'm', data: { kind: 'notice', text: 'Two\nlines' } },
    { seconds: 62, code: 'end', data: { ch: 1, bytesUp: 0, bytesDown: 2 } },
    output(70, 'of another connection', 2),
  ]
  const { plan, parts } = await played(events, { pauseUsMax: 1_000_000, partBytes: 1000 })
  expect(plan).toMatchObject({ cols: 90, rows: 20, playedUs: 2_000_000, pauses: [[1_500_000, 61_500_000]] })
  expect(plan.markers).toEqual([[1_600_000, 'gateway: Two lines']])
  expect(parts[0]!.events.filter(([, , text]) => text !== '')).toEqual([
    [0, 'r', '90x20'],
    [0.5, 'o', 'a'],
    [1.5, 'o', 'b'],
  ])
})

test('who jumps to a later part sees the screen that was drawn before, also of a full-screen program', async () => {
  const line = (n: number) => `${n} `.padEnd(1022, '.') + '\r\n'
  const lines = Array.from({ length: 700 }, (_, n) => output(2 + n, line(n)))
  const events = [...shell(), output(1.5, '\u001B[?1049h'), ...lines]
  const { plan, parts } = await played(events, { pauseUsMax: null, partBytes: 300_000 })
  expect(parts).toHaveLength(3)
  const { init, cols } = parts[2]!.snapshot
  expect(cols).toBe(90)
  expect(init.startsWith('\u001B[?1049h')).toBe(true)
  expect(init.length).toBeLessThan(300_000)
  const lastBefore = Number(/(\d+) \.+\r\n$/.exec(init)![1])
  expect(parts[2]!.events[0]![2].startsWith(`${lastBefore + 1} `)).toBe(true)
  expect(plan.parts[2]!.primeFromUs).toBeGreaterThan(plan.startUs)
})

test('a size that no screen has is not drawn', async () => {
  const events = [
    { seconds: 1, code: 'pty', data: { ch: 1, term: 'x', cols: 4_294_967_295, rows: 0 } },
    { seconds: 2, code: 'r', data: { ch: 1, cols: 7, rows: 4_294_967_295 } },
    output(3, 'x'),
  ]
  const { plan, parts } = await played(events, { pauseUsMax: null, partBytes: 1000 })
  expect(plan).toMatchObject({ cols: 1000, rows: 24 })
  expect(parts[0]!.events[1]![2]).toBe('7x1000')
})

test('the errors and output of a command without a terminal begin each line at the left', async () => {
  const events = [
    { seconds: 1, code: 'ch', data: { ch: 1, kind: 'session' } },
    output(2, 'one\ntwo\r\n'),
    { ...output(3, 'three\n'), code: '=e' },
  ]
  const { parts } = await played(events, { pauseUsMax: null, partBytes: 1000 })
  expect(textOf(parts)).toBe('one\r\ntwo\r\nthree\r\n')
})
