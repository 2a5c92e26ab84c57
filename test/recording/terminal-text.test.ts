import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { readRecording } from '../../src/recording/reading.ts'
import { TerminalSequences, type TerminalToken, WatchableOutput } from '../../src/recording/terminal-sequences.ts'
import { PlainLines, terminalText } from '../../src/recording/terminal-text.ts'
import { sshHeader, sshSession } from './ssh-example.ts'
import { collect, memorySource, recordInMemory, temporaryFolder } from './support.ts'

let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

function plain(...pieces: readonly string[]): string {
  const lines = new PlainLines()
  return [...pieces.flatMap((piece) => [...lines.take(piece)]), ...lines.rest()].join('')
}

function cutAt(text: string, cuts: readonly number[]): string[] {
  const sorted = [0, ...cuts.map((cut) => cut % text.length).toSorted((a, b) => a - b), text.length]
  return sorted.slice(1).map((end, index) => text.slice(sorted[index], end))
}

test('a shell reads as it looked in the end', async () => {
  await using recording = await readRecording(
    memorySource(await recordInMemory(key, sshSession, { header: sshHeader })),
  )
  expect((await collect(terminalText(recording, 1))).join('')).toBe(
    `web-1$ echo 5€\ufffd
[Curfew: Your access to web-1 ends in 1 min.]
5€
web-1$
[Curfew: Your access has ended.]
`,
  )
})

test.each([
  ['a correction', 'lss\b \b -l\r\n', 'ls -l\n'],
  ['a progress line', '10%\r50%\r100%\r\n', '100%\n'],
  ['erasing to the end', 'secret\r\u001b[Kok\n', 'ok\n'],
  ['inserted characters', 'eho\u001b[2D\u001b[1@c\r\n', 'echo\n'],
  ['removed characters', 'eccho\u001b[3D\u001b[P\r\n', 'echo\n'],
  ['places on a screen', '\u001b[2J\u001b[1;1Hone\u001b[5;10Htwo', 'one\ntwo\n'],
  ['a title, ended by BEL or ST', '\u001b]0;x\u0007a\u001b]0;y\u001b\\b', 'ab\n'],
  ['C1 controls', '\u009b31mred\u009d0;t\u009c!', 'red!\n'],
  ['a cancelled sequence', 'a\u001b[12\u0018b', 'ab\n'],
  ['character sets and keypad', '\u001b(B\u001b=x', 'x\n'],
])('%s', (_, shown, text) => {
  expect(plain(shown)).toBe(text)
})

test('output cut anywhere gives the same', () => {
  const shown = 'a\u001b]0;title\u001b\\b\u001b[1;31mc\u001b[0m\u001bP1$r\u001b\\d\r\n\u001b[?1049hx\u009b5Cy\u001b(Bz'
  fc.assert(
    fc.property(fc.array(fc.nat()), (cuts) => {
      const pieces = cutAt(shown, cuts)
      expect(plain(...pieces)).toBe(plain(shown))
      const output = new WatchableOutput()
      expect(pieces.map((piece) => output.take(piece)).join('')).toBe(new WatchableOutput().take(shown))
    }),
  )
})

test('nothing is lost but sequences, and nothing else comes out', () => {
  const anything = fc.string({
    unit: fc.constantFrom(...Array.from('ab[]0;?$pc\\\u001b\u0007\u009b\u009d\u009c\r\n\u0018')),
  })
  fc.assert(
    fc.property(anything, (shown) => {
      // oxlint-disable-next-line no-control-regex -- it looks for control characters
      expect(plain(shown)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
      const tokens: TerminalToken[] = [...new TerminalSequences().read(shown)]
      for (const token of tokens) if (token.kind === 'text') expect(token.text).not.toContain('\u001b')
    }),
  )
})

test('what is watched keeps its looks, and cannot make the terminal type or speak', () => {
  const take = (text: string) => new WatchableOutput().take(text)
  const harmless = '\u001b[1;31mred\u001b[0m\u001b[2J\u001b[H\u001b[?1049h\u001b(0qqq\u001b(B\u001b[5;1Hx\r\n\u001b[2 q'
  expect(take(harmless)).toBe(harmless)
  for (const question of [
    '\u001b[c',
    '\u001b[>c',
    '\u001b[6n',
    '\u001b[?6n',
    '\u001b[21t',
    '\u001b[?u',
    '\u001b[>q',
    '\u001b[?2026$p',
    '\u001b[?1000h',
    '\u001b[?1004;25h',
    '\u001bZ',
    '\u0005',
    '\u001b]52;c;ZXZpbA==\u0007',
    '\u001b]0;title\u001b\\',
    '\u001bP$q"p\u001b\\',
    '\u009b6n',
    '\u009d52;c;?\u009c',
  ]) {
    expect(take(`a${question}b`), JSON.stringify(question)).toBe('ab')
  }
})

// Goal: whoever is recorded cannot make those who search or export wait, nor fill their disk.
test('a few bytes do not become many characters', () => {
  const far = '\u001b[9999Cx\n'
  expect(plain(far.repeat(100)).length).toBeLessThan(100 * 1010)
})

test('a line without end is cut, wherever the pieces of it end', () => {
  const long = 'x'.repeat(25_000)
  expect(
    plain(long)
      .split('\n')
      .map(({ length }) => length),
  ).toEqual([10_001, 10_001, 4998, 0])
  expect(plain(long.slice(0, 9), long.slice(9))).toBe(plain(long))
})

test('characters of any plane stay whole', () => {
  expect(plain('a\u{1f600}b\b\b\u001b[@c\u{10ffff}')).toBe('ac\u{10ffff}b\n')
})

// Goal: what a terminal reads otherwise than our own reader gets nothing past it: DEL within a sequence is nothing to a
// terminal, C1 begins a new one, and numbers may have zeros in front.
test.each([
  '\u001b[>\u007fc',
  '\u001b[6\u007fn',
  '\u001b[\u009bc',
  '\u001b[1\u00e9n',
  '\u001b(\u009bc',
  '\u001b(\u007fZ',
  '\u001b[?01000h',
  '\u001b[?25;01004h',
  '\u001b[1000;1;1$w',
  '\u001b[1;1;1;1;1;1*y',
  '\u001b[?1;1;0S',
  '\u001b[?4m',
  '\u001b[#R',
  '\u001b["v',
  '\u001b[&u',
  "\u001b['|",
  '\u001b[5i',
])('%j makes no terminal answer', (question) => {
  const out = new WatchableOutput().take(`a${question}b`)
  // oxlint-disable-next-line no-control-regex -- it looks for control characters
  expect(out).not.toMatch(/[\u001b\u0080-\u009f]/)
})

test('after it, the terminal is what it was', () => {
  const output = new WatchableOutput()
  output.take('\u001b[?1049h')
  const end = output.end()
  expect(end.startsWith('\u001b[?1049l')).toBe(true)
  expect(end).toContain('\u001b[?25h')
  expect(output.end()).not.toContain('1049')
})

// Goal: whoever was recorded cannot leave the reviewer with a terminal that hides or garbles what comes next.
test.each([
  ['another screen, among other modes', '\u001b[?25;1049h', '\u001b[?1049l'],
  ['inserting', '\u001b[4h', '\u001b[4l'],
  ['line feeds', '\u001b[20h', '\u001b[20l'],
  ['reverse video', '\u001b[?5h', '\u001b[?5l'],
  ['origin', '\u001b[?06h', '\u001b[?6l\u001b[r\u001b[999;1H'],
  ['margins', '\u001b[1;1r', '\u001b[r\u001b[999;1H'],
  ['side margins', '\u001b[?69h\u001b[1;1s', '\u001b[?69l'],
  ['drawing later', '\u001b[?2026h', '\u001b[?2026l'],
])('after %s, the terminal is what it was', (_, shown, back) => {
  const output = new WatchableOutput()
  expect(output.take(shown)).toBe(shown)
  expect(output.end()).toContain(back)
  expect(output.end()).not.toContain(back)
  output.take('\u001b[?1047;6h\u001b[2;5r\u001b[?1047;6l\u001b[r')
  expect(output.end()).toBe(new WatchableOutput().end())
})

test('a line without end costs bounded memory', () => {
  const lines = new PlainLines()
  const out = Array.from({ length: 200 }, () => [...lines.take('x'.repeat(1000))]).flat()
  expect(out.length).toBeGreaterThan(10)
  expect(plain('\u001b[999999999C\u001b[999999999@x').length).toBeLessThan(50_000)
})
