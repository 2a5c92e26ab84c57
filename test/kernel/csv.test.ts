import { expect, test } from 'vitest'
import { csvText } from '../../src/kernel/csv.ts'

// That programs read it back as it was is shown by test/web/reports.test.ts, with a reader that is not ours.

test('lines end with CRLF; only what must be is quoted', () => {
  const rows = [
    ['x y', 1.5, true],
    ['say "hi"', null, false],
    ['a,b\nc', -2, null],
  ]
  expect(csvText(['a', 'b', 'c'], rows)).toBe('a,b,c\r\nx y,1.5,true\r\n"say ""hi""",,false\r\n"a,b\nc",-2,\r\n')
})

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '  =1', '\t1', '\r=1', '＝1', '\u200b=1'])(
  'a spreadsheet takes %j for a text',
  (text) => {
    const [, cell] = csvText(['x'], [[text]]).split(/^x\r\n/)
    expect(cell!.replace(/^"/, '')).toMatch(/^'/)
  },
)

test.each(["it's", 'a=b', '1-2', 'a@b.c', ''])('%j stays as it is', (text) => {
  expect(csvText(['x'], [[text]])).toBe(`x\r\n${text}\r\n`)
})
