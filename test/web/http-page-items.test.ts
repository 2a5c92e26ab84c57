import { gzipSync, brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { type HttpBody, httpTimeline } from '../../src/recording/http-timeline.ts'
import { bodyText } from '../../src/web/http-body-text.ts'
import { scaleOf, timingBar } from '../../src/web/html/http-timing.ts'
import { collectHttpItems, exchangesShownMax, findExchange, type HttpView } from '../../src/web/http-page-items.ts'
import { answer, at, httpSession, request } from '../recording/http-example.ts'

async function* play(events: Iterable<RecordedEvent>) {
  yield* events
}

/** As the page reads: from a place on. */
async function page(
  events: readonly RecordedEvent[],
  view: HttpView = 'all',
  text = '',
  place = { fromSeconds: 0, after: 0 },
) {
  const from = events.filter(({ seconds }) => seconds >= place.fromSeconds)
  const { exchanges, ...rest } = await collectHttpItems(httpTimeline(play(from)), { view, text }, place)
  return { numbers: exchanges.map(({ n }) => n), exchanges, ...rest }
}

test('requests are chosen by words, status, failure and protocol', async () => {
  const numbers = async (view: HttpView, text = '') => (await page(httpSession, view, text)).numbers
  expect(await numbers('all')).toEqual([1, 2, 3, 4, 5, 6])
  expect(await numbers('all', 'delete')).toEqual([5])
  expect(await numbers('all', '/api/')).toEqual([3, 4, 5])
  expect(await numbers('failed')).toEqual([3, 4, 5, 6])
  expect(await numbers('2')).toEqual([1])
  expect(await numbers('3')).toEqual([2])
  expect(await numbers('4')).toEqual([5])
  expect(await numbers('5')).toEqual([3])
  expect(await numbers('websockets')).toEqual([4])
  expect(await numbers('slowest')).toEqual([4, 6, 3, 1, 2, 5])
})

// Goal: page by page, each request once, also those that are open over many pages. Method: some end only at the end.
test('pages hold every request once, in order, with how it ended', async () => {
  const events: RecordedEvent[] = []
  for (let n = 1; n <= 1000; n++) {
    // several begin at the same instant
    events.push(at(Math.floor(n / 7), 'q', request(n)))
    if (n % 150 !== 0) events.push(at(Math.floor(n / 7), 'a', answer(n)))
  }
  for (let n = 150; n <= 1000; n += 150) events.push(at(200, 'a', answer(n, { result: 'gate', code: 'GRANT_EXPIRED' })))
  const seen: number[] = []
  const failed: number[] = []
  for (let place = { fromSeconds: 0, after: 0 }, left = 10; left > 0; left--) {
    const found = await page(events, 'all', '', place)
    seen.push(...found.numbers)
    expect(found.numbers.length).toBeLessThanOrEqual(exchangesShownMax)
    failed.push(...found.exchanges.flatMap(({ n, result }) => (result === 'gate' ? [n] : [])))
    if (found.next === undefined) break
    place = found.next
  }
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1))
  expect(failed).toEqual([150, 300, 450, 600, 750, 900])
  expect((await page(events, 'failed')).numbers).toEqual(failed)
})

test('a page does not read all day for the end of one that stays open', async () => {
  let read = 0
  function* long(): Generator<RecordedEvent> {
    yield at(0, 'q', request(1))
    for (let n = 2; n <= 100_000; n++) {
      read++
      yield at(n, 'q', request(n))
      yield at(n, 'a', answer(n))
    }
  }
  const found = await collectHttpItems(
    httpTimeline(play(long())),
    { view: 'all', text: '' },
    { fromSeconds: 0, after: 0 },
  )
  expect(found.exchanges[0]).toMatchObject({ n: 1, result: null })
  expect(found.exchanges).toHaveLength(exchangesShownMax)
  expect(found.next).toMatchObject({ after: 200 })
  expect(read).toBeLessThan(20_000)
})

test('one request is found with its bodies, from where it began', async () => {
  const found = await findExchange(play(httpSession.filter(({ seconds }) => seconds >= 1)), 3)
  expect(found).toMatchObject({ n: 3, request: { method: 'POST' }, bodyUp: { bytes: 13 } })
  expect(await findExchange(play(httpSession), 99)).toBeUndefined()
})

const body = (content: Buffer, encoding: string | null = null): HttpBody => ({
  ...{ content, encoding, bytes: content.length, type: null, leftOut: null },
})

test('bodies are shown as text, decoded; what is none is not', async () => {
  const words = 'Zürich '.repeat(100)
  for (const [encoding, encode] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const) {
    expect(await bodyText(body(encode(words), encoding)), encoding).toEqual({ text: words, cut: false })
    expect(await bodyText(body(Buffer.from('no such thing'), encoding)), encoding).toBeUndefined()
  }
  expect(await bodyText(body(Buffer.from('Zü').subarray(0, 2)))).toEqual({ text: 'Z', cut: false })
  expect(await bodyText(body(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0])))).toBeUndefined()
  expect(await bodyText(body(Buffer.from('x'), 'aes128gcm'))).toBeUndefined()
  expect(await bodyText(body(Buffer.from('x'), 'toString'))).toBeUndefined()
})

test('what decodes to very much is only decoded as far as it is shown; half of it is, too', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 'a'))
  const shown = await bodyText(body(bomb, 'gzip'))
  expect(shown).toMatchObject({ cut: true })
  expect(shown!.text.length).toBeLessThanOrEqual(128 * 1024)
  const half = gzipSync(Buffer.from(Array.from({ length: 5000 }, (_, index) => `line ${index * 7919}`).join('\n')))
  expect((await bodyText(body(half.subarray(0, half.length / 2), 'gzip')))!.text).toMatch(/^line 0\nline 7919\n/)
})

test('bars stand for times, and one that took ages leaves the others to be seen', async () => {
  const { exchanges } = await page(httpSession)
  expect(scaleOf(exchanges)).toBe(600)
  const bar = `${timingBar(exchanges[2]!, 200) as unknown as string}`
  expect([...bar.matchAll(/width="(\d+)"/g)].map(([, width]) => width)).toEqual(['498', '502'])
  // It waited longer than the whole scale, and still is seen to have been received for most of its time.
  const stream = { ...exchanges[2]!, waitMs: 300, totalMs: 3000 }
  const broad = `${timingBar(stream, 200) as unknown as string}`
  expect([...broad.matchAll(/width="(\d+)"/g)].map(([, width]) => width)).toEqual(['100', '900'])
  expect(scaleOf([])).toBe(1)
})
