import { expect, test } from 'vitest'
import { QuickAnswer, type AnswerTo } from '../../../../src/protocols/http/quick/quick-answer.ts'

const to: AnswerTo = {
  method: 'GET',
  clientFacts: { version: '1.1', publicOrigin: 'https://app.example.com', targetPlaces: new Set() },
  corsHeaders: ['Vary', 'Origin'],
  recordedNames: new Set(),
}
const date = ['Date', 'Mon, 23 Nov 2026 16:00:00 GMT']
const small = ['Content-Length', '5', 'Connection', 'keep-alive', 'X-Own', '1', ...date]
const warning = ['Curfew-Access-Ends', 'soon']

test('a head that comes again makes the same text, and warnings stand in it only while there are some', () => {
  const answer = QuickAnswer.of(200, small, to)!
  const head = `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Own: 1\r\nDate: ${date[1]}\r\nVary: Origin\r\n`
  const whole = expect.stringMatching(/\r\nKeep-Alive: timeout=\d+\r\nConnection: keep-alive\r\n\r\nhello$/)
  for (let count = 0; count < 3; count++) {
    const [plain, warned] = [answer.text([], 'hello'), answer.text(warning, 'hello')]
    expect([plain, warned]).toEqual([whole, whole])
    expect(plain.startsWith(head)).toBe(true)
    expect(warned.replace('Curfew-Access-Ends: soon\r\n', '')).toBe(plain)
    expect(answer.is('GET', small)).toBe(true)
  }
  expect(JSON.parse(answer.recorded)).toEqual([
    ['content-length', '5'],
    ['date', date[1]],
  ])
})

test('what was worked out is for this method and this very head', () => {
  const answer = QuickAnswer.of(200, small, to)!
  expect(answer.is('HEAD', small)).toBe(false)
  expect(answer.is('GET', [...small])).toBe(false)
})

test('a large answer to GET does not go the quick way, its head by HEAD does', () => {
  const large = ['Content-Length', '500000', ...date]
  expect(QuickAnswer.of(200, large, to)).toBeNull()
  expect(QuickAnswer.of(200, large, { ...to, method: 'HEAD' })).toMatchObject({ bodyBytes: 0 })
})

test('an answer without a date gets one, anew each time', () => {
  const undated = ['Content-Length', '5']
  const answer = QuickAnswer.of(200, undated, to)!
  expect(answer.is('GET', undated)).toBe(true)
  const dateIn = (text: string) => Date.parse(/\r\nDate: ([^\r]+)\r\n/.exec(text)![1]!)
  expect(Math.abs(dateIn(answer.text([], 'hello')) - Date.now())).toBeLessThan(60_000)
})
