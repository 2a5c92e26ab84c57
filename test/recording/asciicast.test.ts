import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { terminalCast } from '../../src/recording/asciicast.ts'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { readRecording } from '../../src/recording/reading.ts'
import { at, bytesAt, sshHeader, sshSession } from './ssh-example.ts'
import { collect, memorySource, recordInMemory, temporaryFolder } from './support.ts'

const run = promisify(execFile)
let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

type Line = [interval: number, code: string, data: string]

async function cast(events: readonly RecordedEvent[], ch: number, format: 'v3' | 'v2' = 'v3') {
  await using recording = await readRecording(memorySource(await recordInMemory(key, events, { header: sshHeader })))
  const lines = await collect(terminalCast(recording, ch, { format }))
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true)
  const [header, ...rest] = lines.map((line) => JSON.parse(line) as unknown)
  return { header: header as Record<string, unknown>, events: rest as Line[], text: lines.join('') }
}

test('a shell becomes an asciicast v3: relative times, text, resize, markers, exit last', async () => {
  const { header, events } = await cast(sshSession, 1)
  expect(header).toEqual({
    version: 3,
    term: { cols: 100, rows: 30, type: 'xterm-256color' },
    timestamp: Date.parse('2026-11-22T14:48:07Z') / 1000,
    title: 'ada@example.com as deploy on web-1',
  })
  expect(events).toEqual([
    [0.25, 'o', '\u001b]0;web-1: ~\u0007\u001b[?2004h\u001b[32mweb-1$\u001b[0m '],
    [1, 'o', 'ecgo\b\u001b[K\b\u001b[Kho 5'],
    [0.75, 'o', '€\ufffd\r\n'],
    [0.75, 'r', '120x40'],
    [4, 'm', 'Your access to web-1 ends in 1 min.'],
    [1, 'o', '5€\r\n\u001b[6n\u001b[32mweb-1$\u001b[0m '],
    [59, 'm', 'Your access has ended.'],
    [0.02, 'x', '129'],
  ])
})

test('a command without a terminal is what a terminal would have shown, errors among the output', async () => {
  const { header, events } = await cast(sshSession, 3)
  expect(header).toMatchObject({ term: { cols: 80, rows: 24 }, command: 'make deploy' })
  expect(events).toEqual([
    [0.1, 'o', 'one\r\ntwo\r'],
    [0.1, 'o', '\nerror: three\r\n'],
    [0.2, 'x', '2'],
  ])
})

test('v2 has absolute times, width and height, and no exit', async () => {
  const { header, events } = await cast(sshSession, 1, 'v2')
  expect(header).toMatchObject({ version: 2, width: 100, height: 30, env: { TERM: 'xterm-256color' } })
  expect(events.map(([time, code]) => `${time} ${code}`)).toEqual([
    '0.25 o',
    '1.25 o',
    '2 o',
    '2.75 r',
    '6.75 m',
    '7.75 o',
    '66.75 m',
  ])
})

test('times add up to those of the recording, to the microsecond', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5_000_000), { minLength: 1, maxLength: 50 }), async (gapsUs) => {
      let us = 0
      const events = gapsUs.map((gap) => bytesAt((us += gap) / 1e6, '=o', 1, 'x'))
      const { events: shown } = await cast([at(0, 'run', { ch: 1, what: 'shell' }), ...events], 1)
      expect(shown.reduce((sum, [interval]) => sum + Math.round(interval * 1e6), 0)).toBe(us)
    }),
    { numRuns: 30 },
  )
})

test('text that is cut anywhere is decoded as if it were not', async () => {
  const text = 'añ€😀\u001b[1m\r\n'
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(15), { maxLength: 8 }), async (cuts) => {
      const bytes = Buffer.from(text)
      const sorted = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
      const pieces = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
      const events = [at(0, 'pty', { ch: 1, term: 'vt100', cols: 80, rows: 24 })]
      const { events: shown } = await cast([...events, ...pieces.map((piece) => bytesAt(1, '=o', 1, piece))], 1)
      expect(shown.map(([, , data]) => data).join('')).toBe(text)
    }),
    { numRuns: 40 },
  )
})

test('no channel, a channel that shows nothing, sizes that no screen has', async () => {
  await expect(cast(sshSession, 99)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  expect((await cast(sshSession, 2)).header).toMatchObject({ command: '(subsystem sftp)' })
  const odd = await cast(
    [
      at(0, 'pty', { ch: 1, term: 'x', cols: 0, rows: 0 }),
      at(0, 'run', { ch: 1, what: 'shell' }),
      at(1, 'r', { ch: 1, cols: 4e9, rows: 1 }),
    ],
    1,
  )
  expect(odd.header).toMatchObject({ term: { cols: 80, rows: 24 } })
  expect(odd.events).toEqual([[1, 'r', '1000x1']])
})

// Goal: players open it. Method: asciinema itself, as installed here, on a terminal of its own; 2.x knows v2, 3.x both.
const version = await asciinemaVersion()
const cannotRun = version === null ? ' (cannot run: needs asciinema and script)' : ''
test(`asciinema plays what is exported${cannotRun}`, { timeout: 20_000 }, async (context) => {
  if (version === null) return context.skip()
  await using folder = await temporaryFolder()
  for (const format of version >= 3 ? (['v2', 'v3'] as const) : (['v2'] as const)) {
    const file = path.join(folder.path, `session-${format}.cast`)
    const { text, events } = await cast(sshSession, 1, format)
    await writeFile(file, text)
    const env = { ...process.env, LC_ALL: 'C.UTF-8' }
    const { stdout } = await run('script', ['-qec', `asciinema play -s 1000 ${file}`, '/dev/null'], { env })
    const output = events.flatMap(([, code, data]) => (code === 'o' ? [data] : [])).join('')
    expect(stdout.replaceAll(/\r+\n/g, '\r\n')).toContain(output)
  }
})

async function asciinemaVersion(): Promise<number | null> {
  try {
    await run('script', ['--version'])
    const { stdout } = await run('asciinema', ['--version'])
    return Number(/\d+/.exec(stdout)?.[0] ?? 0)
  } catch {
    return null // one of them is not installed
  }
}
