import { beforeAll, describe, expect, test } from 'vitest'
import { isAmbiguous } from '../../../../src/protocols/postgres/guard/backslashes.ts'
import { loadParser, type Parse } from '../../../../src/protocols/postgres/guard/parse.ts'
import { judgeBy } from '../../../../src/protocols/postgres/guard/rules.ts'
import { readStatements } from '../../../../src/protocols/postgres/guard/walk.ts'
import {
  guardActions,
  kindGroups,
  statementKinds,
  type GuardAction,
  type GuardRule,
  type StatementKind,
} from '../../../../src/resources/guard.ts'

let parse: Parse
beforeAll(async () => {
  parse = await loadParser()
})

const any = { kinds: null, tables: null, functions: null, whereMissing: false, several: false, message: null }
const rule = (name: string, action: GuardAction, when: Partial<GuardRule> = {}): GuardRule => ({
  ...any,
  name,
  action,
  ...when,
})
const kinds = (...names: StatementKind[]) => names

function judge(sql: string, rules: readonly GuardRule[], otherwise: GuardAction = 'allow'): string {
  const reading = readStatements(parse(sql))
  const { action, rule: by, about } = judgeBy({ rules, otherwise, askForMs: 0, askers: null })(reading)
  return `${action} ${by ?? '-'}: ${about}`
}

describe('the first rule that matches decides', () => {
  const rules = [
    rule('scratch is free', 'allow', { tables: ['scratch.*'] }),
    rule('no empty tables', 'refuse', { kinds: kinds('delete', 'update'), whereMissing: true }),
    rule('deleting is asked', 'ask', { kinds: kinds('delete') }),
    rule('orders are watched', 'warn', { tables: ['shop.orders'] }),
    rule('no naps', 'refuse', { functions: ['pg_sleep*'] }),
    rule('one at a time', 'refuse', { several: true }),
  ]
  test.each([
    ['select 1', 'allow -: nothing'],
    ['delete from t', 'refuse no empty tables: delete on t without WHERE'],
    ['delete from t where a = 1', 'ask deleting is asked: delete on t'],
    ['delete from scratch.t', 'allow -: nothing'],
    // A name without a schema may be in any: then the stricter counts.
    ['select * from orders', 'warn orders are watched: select on orders'],
    ['delete from scratch', 'refuse no empty tables: delete on scratch without WHERE'],
    ['select * from archive.orders', 'allow -: nothing'],
    // Every table of a schema may be the one.
    ['drop schema shop cascade', 'warn orders are watched: drop on shop.*'],
    ['drop schema scratch cascade', 'allow -: nothing'],
    ['drop schema archive cascade', 'allow -: nothing'],
    ['grant select on all tables in schema shop to bob', 'warn orders are watched: grant on shop.*'],
    ['merge into t using s on true when matched then delete', 'refuse no empty tables: delete on t without WHERE'],
    ['select pg_sleep(1)', 'refuse no naps: a call of pg_sleep'],
    ['select pg_catalog.pg_sleep_for(x) from scratch.t', 'refuse no naps: a call of pg_catalog.pg_sleep_for'],
    ['select 1; select 2', 'refuse one at a time: select'],
    ['with d as (delete from t returning *) select * from d', 'refuse no empty tables: delete on t without WHERE'],
  ])('%s', (sql, expected) => {
    expect(judge(sql, rules)).toBe(expected)
  })
})

describe('what no rule allows', () => {
  const onlyReading = [rule('reading', 'allow', { kinds: [...kindGroups.read, 'transaction'], tables: null })]
  test.each([
    ['select * from a, b', 'allow'],
    ['begin', 'allow'],
    ['', 'allow'],
    ['set role x', 'refuse'],
    ['select * from a; delete from b where c = 1', 'refuse'],
    ['with d as (delete from t where a = 1 returning *) select * from d', 'refuse'],
    ['select * into x from t', 'refuse'],
    ["select pg_read_file('x')", 'refuse'],
    ["copy t to '/tmp/x'", 'refuse'],
  ])('%s: %s', (sql, action) => {
    expect(judge(sql, onlyReading, 'refuse')).toContain(`${action} `)
  })

  test('one table that is not allowed is enough', () => {
    const tables = [rule('public', 'allow', { tables: ['public.*'] })]
    expect(judge('select * from public.a, secret.b', tables, 'refuse')).toBe('refuse -: select on secret.b')
  })
})

describe('a call that is written like a column', () => {
  const noKills = [rule('no kills', 'refuse', { functions: ['pg_terminate_*'] })]
  const knownOnly = [rule('known', 'allow', { functions: ['upper'] }), rule('others', 'refuse', { functions: ['*'] })]
  test.each([
    ['select (123).pg_terminate_backend', noKills, 'refuse no kills: a call of pg_terminate_backend'],
    ['select x.pg_terminate_backend from unnest($1) x', noKills, 'refuse no kills: a call of pg_terminate_backend'],
    ['select pg_terminate_backend from t', noKills, 'allow -: nothing'],
    ['select t.a, upper(t.b) from t', knownOnly, 'allow -: nothing'],
    ['select lower(t.b) from t', knownOnly, 'refuse others: a call of lower'],
  ])('%s', (sql, rules, expected) => {
    expect(judge(sql, rules)).toBe(expected)
  })
})

describe('what cannot be read', () => {
  test('is refused whatever is allowed otherwise', () => {
    expect(judge('selec 1', [rule('all', 'allow')])).toBe('refuse -: it cannot be read: a syntax error')
  })
  test('is not quoted: what a guard says is on record unmasked', () => {
    for (const sql of ["alter role x password 'hunter2", "create role x 'hunter2'"]) {
      expect(judge(sql, [])).not.toContain('hunter2')
    }
  })
  test('unless a rule names it', () => {
    expect(judge('selec 1', [rule('odd', 'ask', { kinds: kinds('unparsable') })])).toMatch(/^ask odd: /)
  })
})

test('a kind that is met is one of those that rules can name', () => {
  expect(new Set(statementKinds).size).toBe(statementKinds.length)
  expect(
    Object.values(kindGroups)
      .flat()
      .every((kind) => statementKinds.includes(kind)),
  ).toBe(true)
  expect(guardActions.at(-1)).toBe('refuse')
})

describe('a backslash before a quote', () => {
  const usual = { backslashes: false, encoding: 'UTF8', settled: true }
  test.each([
    ["select '\\'", usual, false],
    ["select '\\'", { ...usual, backslashes: true }, true],
    ["select '\\'", { ...usual, settled: false }, true],
    ["select '\\'", { ...usual, encoding: 'SJIS' }, true],
    ["select 'a\\b'", { ...usual, backslashes: true }, false],
    ["select E'it\\'s'", { ...usual, settled: false }, false],
    ["select E'é\\'s'", { ...usual, settled: false }, true],
    ["select E'é\\'s'", { ...usual, encoding: 'BIG5' }, true],
    ["select E'é\\'s'", usual, false],
  ])('%s with %j', (sql, readAs, expected) => {
    expect(isAmbiguous(sql, !sql.includes('é'), readAs)).toBe(expected)
  })
})
