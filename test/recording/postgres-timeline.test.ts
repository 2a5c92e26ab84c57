import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { postgresCodes, type PostgresEvents, type PostgresCode } from '../../src/recording/postgres-events.ts'
import { postgresTimeline } from '../../src/recording/postgres-timeline.ts'
import type { StatementItem } from '../../src/recording/postgres-timeline-items.ts'
import { collect } from './support.ts'

let clock = 0
function at<Code extends PostgresCode>(code: Code, data: PostgresEvents[Code]): RecordedEvent {
  clock += 1
  return { seconds: clock, code, data }
}
async function* play(events: readonly RecordedEvent[]) {
  yield* events
}
const timeline = (...events: RecordedEvent[]) => collect(postgresTimeline(play(events)))
const done = (n: number, tag: string, rows: number | null, ms = 1) => at('c', { n, tag, rows, ms })
const failure = { severity: 'ERROR', sqlstate: '42601', message: 'syntax error', rows: 0 }

test('a simple query with several statements is one item with several results', async () => {
  const [item, ...rest] = await timeline(
    at('q', { n: 1, sql: 'begin; select 1; commit' }),
    done(1, 'BEGIN', null, 1),
    done(1, 'SELECT 1', 1, 2),
    done(1, 'COMMIT', null, 3),
  )
  expect(rest).toEqual([])
  expect(item).toMatchObject({ kind: 'statement', n: 1, durationMs: 6, error: null })
  expect((item as StatementItem).results.map(({ tag }) => tag)).toEqual(['BEGIN', 'SELECT 1', 'COMMIT'])
})

test('an execution finds its statement and its values, long after the Parse', async () => {
  const [first, second] = (await timeline(
    at('p', { name: 's1', sql: 'select $1' }),
    at('b', { portal: '', statement: 's1', values: ['7', null] }),
    at('x', { n: 1, portal: '', rows: 0 }),
    done(1, 'SELECT 1', 1),
    at('b', { portal: '', statement: 's1', values: [{ base64: 'AQ==' }], more: 2 }),
    at('x', { n: 2, portal: '', rows: 10 }),
    at('c', { n: 2, tag: null, rows: 10, ms: 1, suspended: true }),
  )) as StatementItem[]
  expect(first).toMatchObject({ sql: 'select $1', binds: ['7', null], bindsLeftOut: 0 })
  expect(second).toMatchObject({ sql: 'select $1', bindsLeftOut: 2, results: [{ suspended: true, rows: 10 }] })
})

test('a text that a second Parse of its name would hide is shown all the same', async () => {
  const items = await timeline(
    at('p', { name: 's1', sql: 'delete from customers' }),
    at('p', { name: 's1', sql: 'select 1' }),
    at('b', { portal: '', statement: 's1', values: [] }),
    at('x', { n: 1, portal: '', rows: 0 }),
    at('e', { n: 1, ms: 1, ...failure, sqlstate: '42P05' }),
    at('b', { portal: '', statement: 's1', values: [] }),
    at('x', { n: 2, portal: '', rows: 0 }),
    done(2, 'DELETE 5', 5),
    at('p', { name: 's2', sql: 'select 2' }),
  )
  expect(items.map((item) => [item.kind, 'sql' in item && item.sql])).toEqual([
    ['parsed', 'delete from customers'],
    ['statement', 'select 1'],
    ['statement', 'select 1'],
    ['parsed', 'select 2'],
  ])
  const times = items.map((item) => item.at)
  expect(times).toEqual(times.toSorted((left, right) => left - right))
})

test('a recording of statements that are never executed is told as it is read', async () => {
  let read = 0
  async function* endless() {
    const sql = 'x'.repeat(64 * 1024)
    for (;;) yield at('p', { name: `s${(read += 1)}`, sql })
  }
  const { value } = await postgresTimeline(endless()).next()
  expect(value).toMatchObject({ kind: 'parsed', parsedAt: expect.any(Number) })
  expect(read).toBeLessThan(300)
})

test('unanswered executions with much text do not wait for one another', async () => {
  let read = 0
  async function* endless() {
    const sql = 'x'.repeat(64 * 1024)
    for (;;) yield at('q', { n: (read += 1), sql })
  }
  expect((await postgresTimeline(endless()).next()).value).toMatchObject({ kind: 'statement', n: 1 })
  expect(read).toBeLessThan(300)
})

test('in a pipeline every answer goes to its own statement, and the skipped ones have none', async () => {
  const items = (await timeline(
    at('q', { n: 1, sql: 'a' }),
    at('q', { n: 2, sql: 'b' }),
    at('q', { n: 3, sql: 'c' }),
    done(1, 'SELECT 1', 1),
    at('e', { n: 2, ms: 5, ...failure }),
    at('q', { n: 4, sql: 'd' }),
    done(4, 'SELECT 4', 4),
  )) as StatementItem[]
  expect(items.map(({ n, results, error }) => [n, results.length, error?.sqlstate ?? null])).toEqual([
    [1, 1, null],
    [2, 0, '42601'],
    [3, 0, null],
    [4, 1, null],
  ])
})

test('a cancelled statement says so; notices and COPY sizes stand with their statement', async () => {
  const items = await timeline(
    at('q', { n: 1, sql: 'copy t from stdin' }),
    at('n', { severity: 'NOTICE', sqlstate: '00000', message: 'careful' }),
    at('cp', { direction: 'in', bytes: 4096 }),
    at('k', { address: '10.0.0.1' }),
    at('e', { n: 1, ms: 7, ...failure, sqlstate: '57014' }),
    at('m', { kind: 'cut', text: 'time is up', code: 'GRANT_EXPIRED' }),
  )
  expect(items.map(({ kind }) => kind)).toEqual(['statement', 'cancel', 'gate'])
  expect(items[0]).toMatchObject({ cancelled: true, copy: { bytes: 4096 }, notices: [{ message: 'careful' }] })
  expect(items[2]).toMatchObject({ what: 'cut', code: 'GRANT_EXPIRED' })
})

test('notices and COPY sizes stand with the simple query that they are of, not with the one before', async () => {
  const items = await timeline(
    at('q', { n: 1, sql: 'select 1; select 2' }),
    done(1, 'SELECT 1', 1),
    at('n', { severity: 'NOTICE', sqlstate: '00000', message: 'of the first' }),
    done(1, 'SELECT 1', 1),
    at('q', { n: 2, sql: 'copy t from stdin' }),
    at('n', { severity: 'NOTICE', sqlstate: '00000', message: 'of the second' }),
    at('cp', { direction: 'in', bytes: 4096 }),
    done(2, 'COPY 7', 7),
  )
  expect(items).toMatchObject([
    { n: 1, copy: null, notices: [{ message: 'of the first' }] },
    { n: 2, copy: { bytes: 4096 }, notices: [{ message: 'of the second' }] },
  ])
})

test('what runs when the gate ends the session says so, with the time it had; what was answered does not', async () => {
  const begun = at('q', { n: 1, sql: 'select 1' })
  const answered = done(1, 'SELECT 1', 1, 2)
  const running = at('q', { n: 2, sql: 'select pg_sleep(600)' })
  const cut = { ...at('m', { kind: 'cut', text: 'time is up', code: 'GRANT_EXPIRED' }), seconds: running.seconds + 59 }
  const [first, second, last] = await timeline(begun, answered, running, cut)
  expect(first).toMatchObject({ cutOff: false, durationMs: 2 })
  expect(second).toMatchObject({ sql: 'select pg_sleep(600)', cutOff: true, durationMs: 59_000 })
  expect(last).toMatchObject({ kind: 'gate', what: 'cut' })
})

test('a failed Parse shows its text; lines of other versions are not lost', async () => {
  const items = await timeline(
    at('p', { name: '', sql: 'selekt' }),
    at('e', { n: null, ms: null, ...failure }),
    { seconds: 99, code: 'zz', data: {} },
    { seconds: 99, code: 'q', data: { sql: 1 } },
  )
  expect(items).toMatchObject([{ kind: 'error', sql: 'selekt' }, { kind: 'unknown', code: 'zz' }, { kind: 'unknown' }])
})

test('any lines at all become items, in the order of their times', async () => {
  const codes = Object.keys(postgresCodes)
  const anyData = fc.oneof(
    fc.jsonValue(),
    fc.record({
      n: fc.nat(4),
      sql: fc.string(),
      tag: fc.string(),
      rows: fc.nat(9),
      ms: fc.nat(9),
      portal: fc.constant(''),
    }),
  )
  const lines = fc.array(fc.record({ code: fc.constantFrom(...codes, '__proto__'), data: anyData }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(lines, async (any) => {
      const items = await collect(postgresTimeline(play(any.map((line, seconds) => ({ seconds, ...line })))))
      expect(items.map((item) => item.at)).toEqual(items.map((item) => item.at).toSorted((a, b) => a - b))
    }),
  )
})
