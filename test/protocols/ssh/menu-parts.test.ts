import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineEditor, type LineEvent } from '../../../src/protocols/ssh/menu/line-editor.ts'
import { table } from '../../../src/protocols/ssh/menu/table.ts'

function typed(text: string | Buffer): { shown: string; events: LineEvent[]; left: string } {
  const editor = new LineEditor()
  const events: LineEvent[] = []
  let shown = ''
  for (const byte of Buffer.from(text as string)) {
    const { echo, event } = editor.feed(byte)
    shown += echo
    if (event !== undefined) events.push(event)
  }
  return { shown, events, left: editor.text }
}
const line = (text: string) => ({ kind: 'line', text })

test.each([
  ['abc\r', [line('abc')]],
  ['abc\n', [line('abc')]],
  ['abc\r\n', [line('abc')]],
  ['a\r\nb\r\n\r\n', [line('a'), line('b'), line('')]],
  ['abx\x7fc\r', [line('abc')]],
  ['\x7f\x7f\x08a\r', [line('a')]],
  ['wrong\x15right\r', [line('right')]],
  ['two words\x17thing\r', [line('two thing')]],
  ['half\x03done\r', [{ kind: 'interrupt' }, line('done')]],
  ['\x04', [{ kind: 'end' }]],
  ['a\x04\r', [line('a')]],
  ['a\x1b[Ab\x1b[1;5Cc\x1bOAd\r', [line('abcd')]],
  ['Jos\u{e9} \u{1f600}\x7f\u{e9}\r', [line('Jos\u{e9} \u{e9}')]],
  ['a\tb\x00c\r', [line('abc')]],
])('typing %j gives %j', (text, events) => {
  expect(typed(text).events).toEqual(events)
})

test('what is shown is what is there', () => {
  expect(typed('ab\x7fc\r').shown).toBe('ab\b \bc\r\n')
  expect(typed('abc\x15').shown).toBe('abc\b \b\b \b\b \b')
  expect(typed('\x7f').shown).toBe('')
  expect(typed('a\x03').shown).toBe('a^C\r\n')
})

test('no keys leave a control character in a line, or make it longer than it may be', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (keys) => {
      const { events, left } = typed(Buffer.from(keys))
      const texts = [left, ...events.flatMap((event) => (event.kind === 'line' ? [event.text] : []))]
      for (const text of texts) {
        expect(text).not.toMatch(/\p{Cc}/u)
        expect(text.length).toBeLessThanOrEqual(2048)
      }
    }),
  )
})

test('a table keeps its columns, and ends where the terminal does', () => {
  const rows = [
    ['A', 'LONG', 'C'],
    ['one', 'x', 'a description that goes on'],
  ]
  expect(table(rows, null)).toBe('  A    LONG  C\n  one  x     a description that goes on\n')
  expect(table(rows, 24)).toBe('  A    LONG  C\n  one  x     a descr...\n')
  for (let width = 1; width < 60; width++) {
    for (const each of table(rows, width).split('\n')) expect(each.length).toBeLessThan(Math.max(2, width))
  }
})

test('a table shows nothing that moves a cursor', () => {
  expect(table([['a\x1b[2Jb', 'c\nd']], null)).toBe('  a?[2Jb  c d\n')
})
