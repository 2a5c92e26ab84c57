// Goal: what is remembered of a statement, and what a thread reads, is what the parser says of it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadParser } from '../../../../src/protocols/postgres/guard/parse.ts'
import { createStatementReader } from '../../../../src/protocols/postgres/guard/reader.ts'
import { shapeOf } from '../../../../src/protocols/postgres/guard/shape.ts'
import { readStatements } from '../../../../src/protocols/postgres/guard/walk.ts'
import { HandClock } from '../../../clock.ts'

test('only whole numbers are taken for each other', () => {
  expect(shapeOf('select a1 from t2 where b = 12 limit 5')).toBe('select a1 from t2 where b = 0 limit 0')
  for (const text of [
    "select '1'",
    'select "1"',
    'select $1',
    'select 1 -- 2',
    'select 1 /* 2 */',
    'explain (analyze 1) select 1',
    'select é1',
    'select 1e5, 0x1F, 1_000, a1',
  ]) {
    expect(shapeOf(text)).toBe(text)
  }
})

test('a remembered reading is the one that the parser would give', async () => {
  const parse = await loadParser()
  await using reader = createStatementReader(new HandClock())
  await reader.ready()
  const piece = fc.constantFrom(
    ...['select', 'delete from', 'update t set a =', 'where', 'a1', 't2', 'limit', '(', ')', ',', ';', '=', '-', '.'],
    ...['explain (analyze', 'in', 'from', 'insert into t values (', "'x 1'", '"t 1"', '$1', '--', '\n', 'union', '0'],
  )
  const text = fc.array(fc.oneof(piece, fc.nat(20).map(String)), { maxLength: 12 }).map((parts) => parts.join(' '))
  await fc.assert(
    fc.asyncProperty(text, async (sql) => {
      expect(await reader.read(sql)).toEqual(readStatements(parse(sql)))
    }),
    { numRuns: 1000 },
  )
})

test('a thread reads what is long, gives up on what it cannot hold, and reads on', async () => {
  const clock = new HandClock()
  await using reader = createStatementReader(clock)
  await reader.ready()
  const long = `delete from t where a in (${Array.from({ length: 5000 }, (_, index) => index).join()})`
  const deep = `select 1${'+1'.repeat(300_000)}`
  const [first, second, third] = await Promise.all([reader.read(long), reader.read(deep), reader.read(long)])
  expect(first).toMatchObject({ statements: [{ doings: [{ kind: 'delete' }] }] })
  expect(second).toHaveProperty('unparsable')
  expect([first, { unparsable: expect.any(String), isSyntax: false }]).toContainEqual(third)
  expect(await reader.read(long)).toEqual(first)
  // It goes when it has nothing to do, and comes back.
  clock.pass(30_000)
  expect(await reader.read(long)).toEqual(first)
  // One that never answers is given up.
  const late = reader.read(long)
  clock.pass(10_000)
  expect(await late).toHaveProperty('unparsable')
  expect(await reader.read(long)).toEqual(first)
})
