import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import type { Doing, Name } from '../../../../src/protocols/postgres/guard/facts.ts'
import { loadParser, type Parse } from '../../../../src/protocols/postgres/guard/parse.ts'
import { readStatements } from '../../../../src/protocols/postgres/guard/walk.ts'

let parse: Parse
beforeAll(async () => {
  parse = await loadParser()
})

const nameText = ({ schema, name }: Name) => (schema === null ? name : `${schema}.${name}`)
const doingText = ({ kind, table, whereMissing }: Doing) =>
  `${kind}${table === null ? '' : ` ${nameText(table)}`}${whereMissing ? ' !' : ''}`

/** One line for each statement: what it does (`!`: to every row), then the functions it calls. */
function facts(sql: string): string {
  const reading = readStatements(parse(sql))
  if ('unparsable' in reading) return 'unparsable'
  return reading.statements
    .map(({ doings, functions }) => {
      const calls = functions.map((name) => `${nameText(name)}()`).sort()
      return [...doings.map(doingText).sort(), ...calls].join(', ')
    })
    .join(' | ')
}

test.each([
  // reading
  ['select 1', 'select'],
  ['select * from t', 'select t'],
  ['table t', 'select t'],
  ['values (1), (2)', 'select'],
  ['select * from a, b join c on true', 'select a, select b, select c'],
  ['select * from "A"."B c"', 'select A.B c'],
  ['select * from db.s.t', 'select s.t'],
  ['select (select max(x) from t) from u', 'select t, select u, max()'],
  ['select 1 where exists (select 1 from t)', 'select t'],
  ['select * from a union select * from b', 'select a, select b'],
  ['select * from a for update of a', 'select a'],
  ['select * from lateral (select * from t) x', 'select t'],
  ['select * from only t', 'select t'],
  ['select * from t tablesample system (1)', 'select t'],
  ['select f(), pg_catalog.now(), s.g(h(1))', 'select, f(), h(), pg_catalog.now(), s.g()'],
  ['select * from generate_series(1, 2)', 'select, generate_series()'],
  ['select count(*) filter (where g(x)) over (order by f(y)) from t', 'select t, count(), f(), g()'],
  ['select extract(year from now())', 'select, now(), pg_catalog.extract()'],
  // changing
  ['insert into t values (1)', 'insert t'],
  ['insert into t select * from u', 'insert t, select u'],
  ['insert into t values (1) on conflict (a) do update set a = 2', 'insert t, update t'],
  ['insert into t values (1) on conflict do nothing', 'insert t'],
  ['insert into t default values returning f(a)', 'insert t, f()'],
  ['update t set a = 1', 'update t !'],
  ['update t set a = 1 where b = 2', 'update t'],
  ['update t set a = 1 where true', 'update t !'],
  ['update t set a = 1 where 1 = 1', 'update t !'],
  ['update t set a = 1 where now() > $1', 'update t !, now()'],
  ['update t set a = u.a from u', 'select u, update t !'],
  ['update t set a = (select b from u) where current of c', 'select u, update t'],
  ['delete from t', 'delete t !'],
  ['delete from s.t where id = 1', 'delete s.t'],
  ['delete from t using u where t.a = u.a', 'delete t, select u'],
  ['delete from t where exists (select 1 from u)', 'delete t, select u'],
  ['merge into t using s on t.a = s.a when matched then delete', 'delete t, merge t, select s'],
  [
    'merge into t using s on t.a = s.a when matched then update set a = 1 when not matched then insert values (1)',
    'insert t, merge t, select s, update t',
  ],
  ['merge into t using s on true when matched then delete', 'delete t !, merge t, select s'],
  ['merge into t using s on true when matched and t.a = 1 then delete', 'delete t, merge t, select s'],
  [
    'merge into t using s on true when matched and t.a = 1 then delete when matched then update set a = 1',
    'delete t, merge t, select s, update t !',
  ],
  ['truncate t, s.u', 'truncate s.u, truncate t'],
  // WITH
  ['with d as (delete from t returning *) select * from d', 'delete t !'],
  ['with d as (delete from t where a = 1 returning *) insert into u select * from d', 'delete t, insert u'],
  ['with x as (select * from x) select * from x', 'select x'],
  ['with recursive x as (select 1 union select * from x) select * from x', 'select'],
  ['with a as (select 1), b as (select * from a) select * from b', 'select'],
  ['with b as (select * from a), a as (select 1) select * from b', 'select a'],
  ['with a as (select 1) select * from s.a', 'select s.a'],
  ['with a as (select 1) delete from a', 'delete a !'],
  ['select * from (with t as (select 1) select * from t) x, t', 'select t'],
  ['select 1 from t where a in (with z as (update u set b = 1 returning b) select b from z)', 'select t, update u !'],
  // making tables out of queries
  ['select * into x from t', 'create x, select t'],
  ['select 1 into x union select 2', 'create x'],
  ['create table x as select * from t', 'create x, select t'],
  ['create table x as execute p', 'create x, execute'],
  ['create materialized view m as select * from t', 'create m, select t'],
  ['refresh materialized view s.m', 'vacuum s.m'],
  // COPY
  ['copy t from stdin', 'copy-in t'],
  ['copy t (a, b) to stdout', 'copy-out t'],
  ["copy t from '/etc/passwd'", 'copy-file, copy-in t'],
  ["copy t to '/tmp/x'", 'copy-file, copy-out t'],
  ["copy t from program 'id'", 'copy-in t, copy-program'],
  ["copy (select * from t) to program 'cat'", 'copy-out, copy-program, select t'],
  ['copy (delete from t returning *) to stdout', 'copy-out, delete t !'],
  ['copy t from stdin where a > f(1)', 'copy-in t, f()'],
  // EXPLAIN
  ['explain delete from t', 'explain t'],
  ['explain analyze delete from t', 'delete t !, explain'],
  ['explain (analyze) delete from t', 'delete t !, explain'],
  ['explain (analyze off) delete from t', 'explain t'],
  ['explain (analyze false, verbose) delete from t', 'explain t'],
  ['explain (analyze 0) delete from t', 'explain t'],
  ['explain (analyze 1) delete from t', 'delete t !, explain'],
  ['explain (ANALYZE on) delete from t', 'delete t !, explain'],
  ['explain (analyze off, analyze on) delete from t', 'delete t !, explain'],
  ['explain with d as (delete from t returning *) select * from d', 'explain t'],
  ['explain analyze execute p', 'execute, explain'],
  // prepared statements and cursors in SQL
  ['prepare p as delete from t', 'delete t !, prepare'],
  ['execute p(1)', 'execute'],
  ['deallocate p', 'prepare'],
  ['declare c cursor for select * from t', 'cursor, select t'],
  ['fetch all from c', 'cursor'],
  ['close c', 'cursor'],
  // definitions
  ['create table s.t (a int references u (b))', 'create s.t, create u'],
  ['create table t (like u)', 'create t, create u'],
  ['create index on t (f(a))', 'create t, f()'],
  ['create view v as select * from t', 'create v, select t'],
  ['create schema s create table x (a int)', 'create x'],
  ['create extension dblink', 'create'],
  ['create database d', 'create'],
  ['alter table s.t add column x int', 'alter s.t'],
  ['alter table t rename to u', 'alter t'],
  ['alter system set work_mem = 1', 'alter'],
  ["comment on table t is 'x'", 'alter'],
  ['drop table a.b, c', 'drop a.b, drop c'],
  ['drop view if exists v cascade', 'drop v'],
  ['drop trigger x on s.t', 'drop s.t'],
  // every table of a schema
  ['drop schema s cascade', 'drop s.*'],
  ['drop schema s, "T" cascade', 'drop T.*, drop s.*'],
  ['drop schema s', 'drop'],
  ['alter schema s rename to u', 'alter s.*'],
  ['grant select on all tables in schema s, u to x', 'grant s.*, grant u.*'],
  ['grant execute on all functions in schema s to x', 'grant'],
  ['drop owned by x', 'drop'],
  ['drop database d', 'drop'],
  ['create trigger x before insert on t execute function f()', 'create t'],
  ['create rule r as on delete to t do instead update u set a = 1', 'create t, update u !'],
  // rights and roles
  ['grant select on t to x', 'grant t'],
  ['revoke all on all tables in schema s from x', 'grant s.*'],
  ['grant a to b', 'grant'],
  ["create role x password 'p'", 'role'],
  ['alter role x superuser', 'role'],
  ['drop user x', 'role'],
  // code
  ["do 'begin end'", 'do'],
  ['do language plpgsql $$begin delete from t; end$$', 'do'],
  ["create function f() returns int language sql as 'select 1'", 'create, do'],
  ['create procedure f() language sql begin atomic delete from t; end', 'create, delete t !, do'],
  ['call s.f(g(1))', 'call, g(), s.f()'],
  ["select query_to_xml('delete from t', true, true, '')", 'do, query_to_xml()'],
  ["select * from dblink('…', 'delete from t') as x(a int)", 'do, dblink()'],
  // settings
  ['set role x', 'set-role'],
  ['reset role', 'set-role'],
  ['set session authorization default', 'set-role'],
  ["set local role 'x'", 'set-role'],
  ['set search_path = a, b', 'set'],
  ['reset all', 'set'],
  ["select set_config('role', 'x', false)", 'set-role, set_config()'],
  ["select set_config('search_path', 'x', false)", 'set, set_config()'],
  ["select set_config('ro' || 'le', 'x', false)", 'set-role, set_config()'],
  ['show all', 'show'],
  ['set transaction read only', 'transaction'],
  ['set session characteristics as transaction read only', 'transaction'],
  // the rest
  ['begin', 'transaction'],
  ['savepoint a', 'transaction'],
  ["prepare transaction 'x'", 'transaction'],
  ['lock table t in exclusive mode', 'lock t'],
  ['vacuum full t', 'vacuum t'],
  ['analyze', 'vacuum'],
  ['reindex table t', 'vacuum t'],
  ['listen x', 'notify'],
  ['notify x', 'notify'],
  ['discard all', 'set'],
  ["load 'x'", 'utility'],
  // files and large objects
  ["select pg_read_file('/etc/passwd')", 'server-file, pg_read_file()'],
  ["select lo_import('/etc/passwd')", 'large-object, server-file, lo_import()'],
  ['select lo_unlink(1)', 'large-object, lo_unlink()'],
  // several, none, and what is no SQL
  ['select 1; delete from t', 'select | delete t !'],
  ['', ''],
  [' ; ; -- nothing', ''],
  ['selec 1', 'unparsable'],
  ['select 1; selec 2', 'unparsable'],
  ["select 'x", 'unparsable'],
  ['IDENTIFY_SYSTEM', 'unparsable'],
])('%s', (sql, expected) => {
  expect(facts(sql)).toBe(expected)
})

test.each([
  ["select ('/etc/passwd'::text).pg_read_file", 'pg_read_file', 'server-file'],
  ['select x.pg_ls_dir from unnest($1) x', 'pg_ls_dir', 'server-file'],
  ['select ($1).a.lo_import', 'a lo_import', 'server-file large-object'],
  ['select (a.b[1]).dblink from a', 'b dblink', 'do'],
  ['select lineorder.lo_revenue, (t).lo_tax, t.* from lineorder, t', 'lo_revenue lo_tax', ''],
])('what is taken out of something may be a call: %s', (sql, attributes, kinds) => {
  const reading = readStatements(parse(sql))
  if ('unparsable' in reading) throw new Error(reading.unparsable)
  const [statement] = reading.statements
  expect(statement!.attributes.map(nameText).sort()).toEqual(attributes.split(' ').sort())
  const found = statement!.doings.map(({ kind }) => kind).filter((kind) => kind !== 'select')
  expect(found.sort()).toEqual(kinds.split(' ').filter(Boolean).sort())
})

test('never throws, whatever the text', () => {
  const words = fc.constantFrom(
    ...'select delete from where with as ( ) t u , ; $1 $$ \' " returning explain analyze copy to * = 1 union'.split(
      ' ',
    ),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(words).map((parts) => parts.join(' ')),
      ),
      (sql) => {
        const reading = readStatements(parse(sql))
        for (const { doings } of 'unparsable' in reading ? [] : reading.statements)
          expect(doings.length).toBeGreaterThan(0)
      },
    ),
    { numRuns: 300 },
  )
})

test('finds a DELETE wherever it stands in a SELECT', () => {
  const wrappers: readonly ((inner: string) => string)[] = [
    (inner) => `select * from (${inner}) s`,
    (inner) => `with w as (${inner}) select * from w`,
    (inner) => `with w as (select 1), v as (${inner}) select * from x`,
    (inner) => `(${inner}) union all select b from y`,
    (inner) => `select b from y except (${inner})`,
    (inner) => `select case when exists (${inner}) then 1 end`,
    (inner) => `select f(a, array(${inner})) from x order by 1`,
    (inner) => `insert into y ${inner}`,
    (inner) => `create table y as ${inner}`,
    (inner) => `explain analyze ${inner}`,
    (inner) => `declare c cursor for ${inner}`,
  ]
  const leaf = 'with gone as (delete from t where a = 1 returning a) select a from gone'
  fc.assert(
    fc.property(fc.array(fc.nat(5), { maxLength: 6 }), fc.nat(wrappers.length - 1), (nested, last) => {
      const sql = [...nested, last].reduce((inner, index) => wrappers[index]!(inner), leaf)
      expect(facts(sql)).toContain('delete t')
    }),
    { numRuns: 200 },
  )
})

test('what a text does is bounded in all, as judging it holds everybody up; statements that are alike count once', () => {
  expect(facts('select 1; select 2; select 3')).toBe('select | select')
  const many = (statement: (index: number) => string, count = 5000) =>
    Array.from({ length: count }, (_, i) => statement(i))
  expect(facts(many((index) => `insert into t values (${index})`).join(';'))).toBe('insert t | insert t')
  expect(facts(many((index) => `table t${index}`).join(';'))).toBe('unparsable')
  expect(facts(many((index) => `table t${index}`).join(' union '))).toBe('unparsable')
  expect(facts(many((index) => `table t${index}`, 100).join(';')).split(' | ')).toHaveLength(100)
})

test('nesting that the parser cannot hold is unparsable, and the next text is read', () => {
  for (const sql of [`select ${'('.repeat(50_000)}1${')'.repeat(50_000)}`, `select 1${'+1'.repeat(100_000)}`]) {
    expect(facts(sql)).toBe('unparsable')
    expect(facts('select * from t')).toBe('select t')
  }
})
