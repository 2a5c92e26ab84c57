import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresPlace } from '../../clients/postgres-place.ts'

/** For programs that connect to a database by its own name. */
const byDatabase = { PGUSER: 'admin@prod-db.token', PGDATABASE: 'shop' }

export function describePrograms(place: () => PostgresPlace): void {
  describe('programs for upkeep', () => {
    // clusterdb does again what was done to a table before.
    beforeAll(() => place().psql('cluster invoices using invoices_pkey'))

    test.each([
      ['vacuumdb', ['vacuumdb', '--analyze', '-j', '2', '-t', 'invoices', '-t', 'products']],
      ['reindexdb', ['reindexdb', '--concurrently', '-t', 'products']],
      ['clusterdb', ['clusterdb', '-v', '-t', 'invoices']],
      ['pg_isready', ['pg_isready']],
    ])('%s', async (_, command) => {
      await place().run(command)
    })

    test('vacuumdb --all reaches the databases of the role, and is refused at the first other one', async () => {
      const { status, stdout, stderr } = await place().end(['vacuumdb', '--all', '--analyze-only'], byDatabase)
      expect(stdout).toMatch(/database "postgres"\n.*database "shop"\n/)
      expect([status, stderr]).toEqual([1, expect.stringMatching(/template1/)])
    })

    test('createdb makes a database that the role may open, and dropdb drops it', async () => {
      await place().run(['createdb', 'fresh'], byDatabase)
      expect(await place().run(['psql', '-XAtqc', 'select current_database()'], { PGDATABASE: 'prod-db/fresh' })).toBe(
        'fresh\n',
      )
      await place().run(['dropdb', '--force', 'fresh'], byDatabase)
      expect(await place().psql("select count(*) from pg_database where datname = 'fresh'")).toBe('0\n')
    })

    test('what the login may not, the server refuses, in its own words', async () => {
      expect((await place().end(['createuser', 'mallory'], byDatabase)).stderr).toContain('permission denied')
    })

    test('pg_receivewal and pg_recvlogical are refused unless the role says so', async () => {
      const folder = place().gateway.folder
      const user = { PGUSER: 'readonly@prod-db.token', PGDATABASE: 'shop' }
      const commands = [
        ['pg_receivewal', '-n', '-D', folder],
        ['pg_recvlogical', '-n', '-d', 'shop', '--slot', 's', '--create-slot'],
      ]
      for (const command of commands) {
        const { status, stderr } = await place().end(command, user)
        expect([status, stderr]).toEqual([
          1,
          expect.stringContaining('Replication connections may not pass as readonly'),
        ])
      }
    })
  })

  describe('pg_dump and pg_restore', () => {
    test.each([
      ['custom', ['-Fc']],
      ['directory, three at once', ['-Fd', '-j', '3']],
    ])('carry a database over: %s', { timeout: 120_000 }, async (name, format) => {
      const before = await checksum(place(), 'public')
      const dump = place().file(`dump ${name}`)
      await place().run(['pg_dump', ...format, '-n', 'public', '-f', dump])
      await place().psql('alter schema public rename to original', 'create schema public')
      const words = ['--no-owner', '--no-comments', '-n', 'public', ...format.slice(1)]
      await place().run(['pg_restore', ...words, '-d', 'prod-db', dump])
      expect(await checksum(place(), 'public')).toBe(before)
      await place().psql('drop schema public cascade', 'alter schema original rename to public')
    })

    test('pg_dumpall writes the roles', async () => {
      const command = ['pg_dumpall', '--roles-only', '--no-role-passwords', '-l', 'shop']
      expect(await place().run(command, byDatabase)).toContain('CREATE ROLE shop_admin')
    })
  })

  describe('pgbench', () => {
    const inSchema = { PGOPTIONS: '-c search_path=bench' }
    beforeAll(async () => {
      await place().psql('create schema bench')
      await place().run(['pgbench', '-i', '-q', '-s', '1'], inSchema)
    })
    afterAll(() => place().psql('drop schema bench cascade'))

    const bench = (...words: readonly string[]) => place().run(['pgbench', '-n', ...words], inSchema)

    test.each(['simple', 'extended', 'prepared'])('runs in mode %s without a failed transaction', async (mode) => {
      const report = await bench('-M', mode, '-c', '8', '-j', '2', '-t', '50')
      expect(report).toContain('number of transactions actually processed: 400/400')
      expect(report).toContain('number of failed transactions: 0')
    })

    test('connects anew for each transaction', { timeout: 60_000 }, async () => {
      expect(await bench('-C', '-S', '-c', '4', '-t', '10')).toContain('number of failed transactions: 0')
    })

    test('sends statements in a pipeline', async () => {
      const statements = Array.from({ length: 20 }, (_, index) => `select ${index};\n`).join('')
      const file = await place().write('pipeline.sql', `\\startpipeline\n${statements}\\endpipeline\n`)
      expect(await bench('-M', 'extended', '-f', file, '-c', '4', '-t', '20')).toContain('processed: 80/80')
    })
  })
}

async function checksum(place: PostgresPlace, schema: string): Promise<string> {
  const tables = await place.psql(`select tablename from pg_tables where schemaname = '${schema}' order by 1`)
  const sums = tables
    .split('\n')
    .filter(Boolean)
    .map(async (table) => {
      const select = `select count(*), md5(string_agg(t::text, '|' order by t::text)) from ${schema}.${table} t`
      return `${table} ${await place.psql(select)}`
    })
  return (await Promise.all(sums)).join('')
}
