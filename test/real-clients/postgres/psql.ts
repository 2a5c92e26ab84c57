import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { quietPsql, type PostgresPlace } from '../../clients/postgres-place.ts'

/** What one psql is given, and what comes of it. */
interface Case {
  readonly commands: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Default 0. */
  readonly status?: number
  readonly stdout?: string | RegExp
  readonly stderr?: string | RegExp
}

const cases: Readonly<Record<string, Case>> = {
  'asks and is answered': { commands: ['select 1'], stdout: '1\n' },
  'several statements in one message are several answers': { commands: ['select 1; select 2'], stdout: '1\n2\n' },
  'reads a tag where there are no rows': {
    commands: ['create temp table t()'],
    args: ['-v', 'QUIET=off'],
    stdout: 'CREATE TABLE\n',
  },
  'is refused without TLS, and told so': {
    commands: ['select 1'],
    env: { PGSSLMODE: 'disable' },
    status: 2,
    stderr: 'sslmode=require',
  },
  'does not trust an unknown authority': {
    commands: ['select 1'],
    env: { PGSSLROOTCERT: '/etc/ssl/certs/ca-certificates.crt' },
    status: 2,
    stderr: 'certificate verify failed',
  },
  'does not trust another name': {
    commands: ['select 1'],
    env: { PGHOST: 'elsewhere.example', PGHOSTADDR: '127.0.0.1' },
    status: 2,
    stderr: 'does not match host name "elsewhere.example"',
  },
  'speaks TLS 1.2': { commands: ['\\conninfo'], env: { PGSSLMAXPROTOCOLVERSION: 'TLSv1.2' }, stdout: 'TLSv1.2' },
  'speaks TLS 1.3': { commands: ['\\conninfo'], env: { PGSSLMINPROTOCOLVERSION: 'TLSv1.3' }, stdout: 'TLSv1.3' },
  'may prefer channel binding': { commands: ['select 1'], env: { PGCHANNELBINDING: 'prefer' }, stdout: '1\n' },
  'passes over a host that does not answer, and asks what it is': {
    commands: ['select 1'],
    args: ['host=localhost,localhost target_session_attrs=read-write'],
    env: { PGPORT: '1,$PORT' },
    stdout: '1\n',
  },
  'options reach the server': {
    commands: ['show statement_timeout', 'show work_mem'],
    env: { PGOPTIONS: '-c statement_timeout=4321 --work-mem=7MB' },
    stdout: '4321ms\n7MB\n',
  },
  'the server knows the program': {
    commands: ['select application_name from pg_stat_activity where pid = pg_backend_pid()'],
    env: { PGAPPNAME: 'nightly' },
    stdout: 'nightly\n',
  },
  'the encoding is what it says': {
    commands: ['show client_encoding', "select chr(233) = U&'\\00E9'"],
    env: { PGCLIENTENCODING: 'LATIN1' },
    stdout: 'LATIN1\nt\n',
  },
  'time zone and style of dates are what it says': {
    commands: ["select timestamptz '2026-11-23 12:00Z'"],
    env: { PGTZ: 'Asia/Tokyo', PGDATESTYLE: 'German' },
    stdout: '23.11.2026 21:00:00 JST\n',
  },
  'connects anew to where it is': { commands: ['\\connect', 'select current_user'], stdout: 'shop_admin\n' },
  'describes tables': { commands: ['\\d invoices'], stdout: 'customer_id' },
  'reads notices': { commands: ["do $$begin raise notice 'look'; end$$"], stderr: 'NOTICE:  look\n' },
  'reads every field of an error': {
    commands: ["insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())"],
    args: ['-v', 'VERBOSITY=verbose'],
    status: 1,
    stderr:
      /ERROR: {2}23514: .*\nDETAIL: {2}Failing row .*\nSCHEMA NAME: {2}public\nTABLE NAME: {2}customers\nCONSTRAINT NAME: {2}customers_email_check\nLOCATION: {2}ExecConstraints/,
  },
  'goes on after an error': {
    commands: ['select 1/0', 'select 5'],
    args: ['-v', 'ON_ERROR_STOP=0'],
    stdout: '5\n',
    stderr: 'division by zero',
  },
  'rolls back to a savepoint': {
    commands: ['begin; savepoint here', 'select 1/0', 'rollback to here; select 6', 'commit'],
    args: ['-v', 'ON_ERROR_STOP=0'],
    stdout: '6\n',
    stderr: 'division by zero',
  },
  'reads a row of 8 MB': {
    commands: ["select repeat('x', 8000000)"],
    stdout: `${'x'.repeat(8_000_000)}\n`,
  },
  'reads many rows through a cursor': {
    commands: ['select generate_series(1, 30000)'],
    args: ['-v', 'FETCH_COUNT=1000'],
    stdout: /^1\n2\n(?:\d+\n){29997}30000\n$/,
  },
  'is told when COPY finds an error': {
    commands: [
      'create temp table numbers (a int)',
      '\\copy numbers from program \'printf "1\\\\nx\\\\n"\'',
      'select 7',
    ],
    args: ['-v', 'ON_ERROR_STOP=0'],
    stdout: '7\n',
    stderr: 'invalid input syntax for type integer: "x"',
  },
  'hears notifications': {
    commands: ['listen news', "notify news, 'hi'"],
    stdout: /Asynchronous notification "news" with payload "hi" received/,
  },
  'does nothing for a while and goes on': { commands: ['select 1', '\\! sleep 1', 'select 2'], stdout: '1\n2\n' },
}

export function describePsql(place: () => PostgresPlace): void {
  describe('psql', () => {
    test.each(Object.entries(cases))('%s', async (_, one) => {
      await check(place(), one)
    })

    test('reads a statement of 4 MB', async () => {
      const statement = `select length('${'y'.repeat(4_000_000)}')`
      const file = await place().write('long.sql', statement)
      expect(await place().run([...quietPsql, '-f', file])).toBe('4000000\n')
    })

    test('copies a file in and out, byte for byte, as text and binary', async () => {
      const { psql, written } = await copiedRows(place())
      const out = place().file('out')
      await psql(String.raw`\copy (select * from copied order by id) to '${out}.tsv'`)
      expect(await readFile(`${out}.tsv`, 'utf8')).toBe(written)
      await psql(String.raw`\copy copied to '${out}.bin' binary`, 'create table again (like copied)')
      await psql(String.raw`\copy again from '${out}.bin' binary`)
      expect(await psql('select count(*) from (table copied except table again) as missing')).toBe('0\n')
      await psql('drop table copied, again')
    })

    test('keeps large objects', async () => {
      const file = await place().write('object', Array.from({ length: 40_000 }, (_, index) => digest(index)).join(''))
      await place().psql(
        String.raw`\lo_import '${file}'`,
        String.raw`\lo_export :LASTOID '${file}.out'`,
        String.raw`\lo_unlink :LASTOID`,
      )
      expect(await readFile(`${file}.out`, 'utf8')).toBe(await readFile(file, 'utf8'))
    })
  })
}

async function check(place: PostgresPlace, { commands, args = [], env = {}, status = 0, stdout, stderr }: Case) {
  const port = String(place.gateway.postgresPort)
  const filled = Object.entries(env).map(([name, value]) => [name, value.replace('$PORT', port)] as const)
  const words = [...quietPsql, ...args, ...commands.flatMap((command) => ['-c', command])]
  const ran = await place.end(words, Object.fromEntries(filled))
  expect(ran.status, ran.stderr).toBe(status)
  if (typeof stdout === 'string' && stdout.endsWith('\n')) expect(ran.stdout).toBe(stdout)
  else if (stdout !== undefined) expect(ran.stdout).toMatch(stdout)
  if (stderr !== undefined) expect(ran.stderr).toMatch(stderr)
  else expect(ran.stderr).toBe('')
}

async function copiedRows(place: PostgresPlace) {
  const written = `${Array.from({ length: 100_000 }, (_, index) => `${index}\t${digest(index)}`).join('\n')}\n`
  const file = await place.write('rows.tsv', written)
  const psql = (...commands: readonly string[]) => place.psql(...commands)
  await psql('create table copied (id int primary key, text text)', String.raw`\copy copied from '${file}'`)
  return { psql, written }
}

const digest = (index: number) => createHash('md5').update(`${index}`).digest('hex')
