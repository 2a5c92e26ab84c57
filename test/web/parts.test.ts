import { expect, test } from 'vitest'
import * as fc from 'fast-check'
import type { TimelineItem } from '../../src/recording/postgres-timeline-items.ts'
import type { Html } from '../../src/web/context.ts'
import { readCookie, writeCookie } from '../../src/kernel/cookies.ts'
import { fieldsOf } from '../../src/web/forms.ts'
import { createShow, readZone } from '../../src/web/html/show.ts'
import { countdown, words } from '../../src/web/html/parts.ts'
import { createLately, createRateLimit } from '../../src/web/rate-limit.ts'
import { collectItems } from '../../src/web/recording-page-items.ts'
import { HandClock } from '../clock.ts'

/** Markup without awaited parts is a string already. */
const text = (markup: Html) => `${markup as string}`

test('whatever a person types comes back as text, never as markup', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (typed) => {
      const inside = text(words(typed)).slice('<span class="words">'.length, -'</span>'.length)
      expect(inside).not.toMatch(/[<>"']/)
    }),
  )
})

test('a countdown counts seconds in its last ten minutes', () => {
  const left = (leftMs: number) => />([^<]+)</.exec(text(countdown(createShow(0 as never, 'UTC'), leftMs)))?.[1]
  expect([0, 59_001, 75_000, 540_000, 599_001, 3_700_000].map(left)).toEqual([
    '0 s',
    '1 min',
    '1 min 15 s',
    '9 min',
    '10 min',
    '1 h 2 min',
  ])
})

test('a rate limit lets a burst through, then one more for each interval', () => {
  const clock = new HandClock()
  const limit = createRateLimit(clock, { burst: 3, perMs: 1000, keysMax: 2 })
  for (let i = 0; i < 3; i++) limit.take('a')
  expect(() => limit.take('a')).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }))
  limit.take('b')
  clock.pass(1000)
  limit.take('a')
  expect(() => limit.take('a')).toThrow()
  limit.take('c') // pushes out b, which was quiet longest
  expect(() => limit.take('a')).toThrow()
})

test('what was done lately is forgotten after its time', () => {
  const clock = new HandClock()
  const lately = createLately(clock, 1000)
  expect(lately.has('a')).toBe(false)
  lately.mark('a')
  clock.pass(999)
  expect(lately.has('a')).toBe(true)
  clock.pass(1)
  expect(lately.has('a')).toBe(false)
})

test('cookies are read by exact name, and written so that scripts and other sites cannot use them', () => {
  expect(readCookie('x__Host-curfew=no; __Host-curfew=yes; __Host-curfew=later', '__Host-curfew')).toBe('yes')
  expect(readCookie('__Host-curfew-flow=a=b', '__Host-curfew-flow')).toBe('a=b')
  expect(readCookie(undefined, '__Host-curfew')).toBeUndefined()
  expect(readCookie(`a=${'x'.repeat(5000)}`, 'a')).toBeUndefined()
  expect(writeCookie('__Host-curfew', 'v', 60)).toBe(
    '__Host-curfew=v; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax',
  )
})

test('form fields are bounded, trimmed and free of control characters', () => {
  const fields = fieldsOf(
    new URLSearchParams({ a: '  one\r\ntwo  ', long: 'x'.repeat(11), bad: 'a\u0000b', turned: 'a\u202eb', yes: 'yes' }),
  )
  expect(fields.text('a', 10)).toBe('one\ntwo')
  expect(fields.text('missing', 10)).toBe('')
  expect(fields.flag('yes')).toBe(true)
  expect(() => fields.text('long', 10)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
  expect(() => fields.text('bad', 10)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
  expect(() => fields.text('turned', 10)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
})

test('times carry their zone; an unknown zone is UTC', () => {
  const at = Date.UTC(2026, 10, 22, 14, 48, 7) as never
  expect(text(createShow(at, 'UTC').moment(at))).toContain('22 Nov 2026, 14:48 UTC')
  expect(text(createShow(at, 'Europe/Berlin').clock(at))).toContain('>15:48 CET<')
  expect(readZone('Europe/Berlin')).toBe('Europe/Berlin')
  expect(readZone('Nowhere/<script>')).toBe('UTC')
  expect(readZone('x'.repeat(100))).toBe('UTC')
})

function statement(at: number, sql: string, more: object = {}): TimelineItem {
  const results = [{ tag: 'SELECT 1', rows: 1, ms: at, suspended: false, bytes: null, firstMs: null }]
  const kept = { columns: [], rows: [] }
  const base = { kind: 'statement', at, n: at, sql, sqlBytes: null, binds: [], bindsLeftOut: 0, results, error: null }
  return {
    ...base,
    kept,
    durationMs: at,
    notices: [],
    copy: null,
    cancelled: false,
    cutOff: false,
    ...more,
  } as TimelineItem
}

async function* from(items: readonly TimelineItem[]): AsyncGenerator<TimelineItem> {
  yield* items
}

test('pages of a recording put together give every item once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 17 }), async (count, itemsMax) => {
      const all = Array.from({ length: count }, (_, at) => statement(at, `select ${at}`))
      const seen: TimelineItem[] = []
      let next: number | undefined = 0
      while (next !== undefined) {
        const page = await collectItems(from(all), { view: 'all', text: '' }, { fromSeconds: next, itemsMax })
        seen.push(...page.items)
        next = page.next
      }
      expect(seen).toEqual(all)
    }),
  )
})

/** Page after page, as a reader goes on. */
async function pagesOf(all: readonly TimelineItem[], itemsMax: number): Promise<TimelineItem[][]> {
  const pages: TimelineItem[][] = []
  let next: number | undefined = 0
  while (next !== undefined && pages.length < 100) {
    const page = await collectItems(from(all), { view: 'all', text: '' }, { fromSeconds: next, itemsMax })
    pages.push([...page.items])
    next = page.next
  }
  return pages
}

// Goal: nobody hides a statement behind many others that are sent in one go, and so at one time.
test('no statement falls between two pages, however many were sent at once', async () => {
  const times = [0, ...Array.from({ length: 25 }, () => 1.000_001), 2, 3]
  const all = times.map((at, n) => statement(at, `select ${n}`))
  expect((await pagesOf(all, 10)).flat()).toEqual(all)
})

test('a page of a recording is bounded by what statements hold, too', async () => {
  const long = 'x'.repeat(6 * 1024 * 1024)
  const all = Array.from({ length: 8 }, (_, at) => statement(at, long))
  const pages = await pagesOf(all, 500)
  expect(pages.flat()).toEqual(all)
  expect(Math.max(...pages.map(({ length }) => length))).toBeLessThan(4)
  const slowest = await collectItems(from(all), { view: 'slowest', text: '' }, { fromSeconds: 0, itemsMax: 500 })
  expect(slowest.items.map(({ at }) => at)).toEqual([7, 6])
})

test('a recording can be narrowed to changes, errors, the slowest, and a word', async () => {
  const error = { severity: 'ERROR', sqlstate: '25006', message: 'read-only', rows: 0 }
  const all = [
    statement(1, 'select 1'),
    statement(2, 'with gone as (delete from t returning *) select * from gone'),
    statement(3, 'update t set a = 1', { results: [], error }),
    statement(4, 'select $1', { binds: ["O'Hara"] }),
  ]
  const at = async (view: 'changes' | 'errors' | 'slowest' | 'all', find = '') =>
    (await collectItems(from(all), { view, text: find }, { fromSeconds: 0, itemsMax: 10 })).items.map((item) => item.at)
  expect(await at('changes')).toEqual([2, 3])
  expect(await at('errors')).toEqual([3])
  expect(await at('slowest')).toEqual([4, 3, 2, 1])
  expect(await at('all', "o''hara")).toEqual([4])
  expect(await at('all', '25006')).toEqual([3])
})
