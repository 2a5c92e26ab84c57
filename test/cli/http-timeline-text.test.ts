import { expect, test } from 'vitest'
import { httpJson, httpTimelineText } from '../../src/cli/http-timeline-text.ts'
import { httpInOrder, type HttpToldItem } from '../../src/recording/http-order.ts'
import { httpTimeline } from '../../src/recording/http-timeline.ts'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { answer, at, bodyAt, httpSession, request } from '../recording/http-example.ts'
import { collect } from '../recording/support.ts'

async function* play(events: readonly RecordedEvent[]) {
  yield* events
}
const told = (events: readonly RecordedEvent[]) => collect(httpInOrder(httpTimeline(play(events), { bodies: true })))
const text = (item: HttpToldItem) => httpTimelineText(item, (_format, words) => words)

test('a request is one line, with what went wrong below it', async () => {
  const lines = (await told(httpSession)).map(text)
  const origin = 'https://grafana.gw.example.com:8443'
  expect(lines[0]).toBe(`0:00:00.100  GET      200     25.0 ms     37 bytes  ${origin}/d/home?orgId=1&token=***`)
  expect(lines[2]).toMatch(/^0:00:01.000 {2}POST {5}500 .*\n {13}-> 68.4 KiB sent$/)
  expect(lines[3]).toMatch(
    /\n {13}-> websocket: messages 2 up \(68.4 KiB\), 1 down \(20 bytes\)\n {13}-> ended by the gateway/,
  )
  expect(lines[4]).toContain('-> refused by the gateway: REQUEST_NOT_COVERED: The role viewer does not allow DELETE')
  expect(lines[5]).toMatch(/GET {6}--- /)
  expect(lines[6]).toBe('0:00:08.000  Curfew: Your access to grafana ends in 1 min.')
})

test('as JSON, bodies are in base64', async () => {
  const [first] = (await told(httpSession)).map(httpJson)
  const { exchange } = JSON.parse(first!)
  expect(Buffer.from(exchange.bodyDown.base64, 'base64').toString()).toContain('Zürich')
  expect(exchange.bodyDown).not.toHaveProperty('content')
})

test('nothing that a client or a target says reaches the terminal', async () => {
  const evil = '\u001b[2J\n\u202e'
  const items = await told([
    at(1, 'q', request(1, { method: evil, url: evil, origin: evil, from: evil, headers: [[evil, evil]] })),
    at(1, 'u', { n: 1, protocol: evil, headers: [] }),
    bodyAt(1, { n: 1, direction: 'up', type: evil }, evil),
    at(1, 'a', answer(1, { result: 'target', code: evil, why: evil })),
    at(1, 'm', { kind: 'warning', text: evil }),
    { seconds: 1, code: evil, data: null },
  ])
  expect(items).toHaveLength(3)
  // oxlint-disable-next-line no-control-regex -- it looks for control characters
  for (const item of items) expect(text(item), item.kind).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
})
