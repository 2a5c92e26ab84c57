import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import postgres from 'postgres'
import type { PostgresPlace } from '../../clients/postgres-place.ts'

/** postgres.js: prepares every statement, pipelines what it is given, reads and writes text. */
export function describePostgresJs(place: () => PostgresPlace): void {
  describe('postgres.js', () => {
    let sql: postgres.Sql
    beforeAll(() => {
      sql = connect(place())
    })
    afterAll(() => sql.end())

    test('prepares a statement once and uses it for all', async () => {
      const squares = await Promise.all(
        Array.from(
          { length: 200 },
          (_, index) => sql<{ square: number }[]>`select ${index}::int * ${index}::int square`,
        ),
      )
      expect(squares.map(([row]) => row?.square)).toEqual(squares.map((_, index) => index * index))
    })

    test('goes on with a pipeline after an error in it', async () => {
      const one = connect(place(), { max: 1 })
      const answers = await Promise.allSettled([one`select 1 as a`, one`select ${0}::int / 0 as a`, one`select 3 as a`])
      expect(answers).toMatchObject([
        { value: [{ a: 1 }] },
        { reason: { code: '22012', severity: 'ERROR' } },
        { value: [{ a: 3 }] },
      ])
      await one.end()
    })

    test('reads through a cursor, as far as it wants to', async () => {
      const seen: number[] = []
      for await (const rows of sql<{ n: number }[]>`select generate_series(1, 10000) n`.cursor(100)) {
        seen.push(...rows.map(({ n }) => n))
        if (seen.length === 500) break
      }
      expect(seen).toEqual(Array.from({ length: 500 }, (_, index) => index + 1))
      expect(await sql`select 1 as a`).toEqual([{ a: 1 }])
    })

    test('copies in and out with streams', async () => {
      const lines = Array.from({ length: 20_000 }, (_, index) => `${index}\t${digest(index)}\n`)
      const transaction = await sql.reserve()
      await transaction`create temp table streamed (id int, text text)`
      await pipeline(Readable.from(lines), await transaction`copy streamed from stdin`.writable())
      const read: Buffer[] = []
      for await (const chunk of await transaction`copy streamed to stdout`.readable()) read.push(chunk as Buffer)
      expect(Buffer.concat(read).toString()).toBe(lines.join(''))
      transaction.release()
    })

    test('listens and notifies', async () => {
      const { promise, resolve } = Promise.withResolvers<string>()
      const listening = await sql.listen('papers', resolve)
      await sql.notify('papers', 'hello')
      expect(await promise).toBe('hello')
      await listening.unlisten()
    })

    test('cancels a statement, and the connection is as good as before', async () => {
      const one = connect(place(), { max: 1 })
      const asleep = one`select pg_sleep(60), 'js'`.execute()
      await place().gateway.postgres.untilRunning("pg_sleep(60), 'js'", 1)
      asleep.cancel()
      await expect(asleep).rejects.toMatchObject({ code: '57014' })
      expect(await one`select 2 as a`).toEqual([{ a: 2 }])
      await one.end()
    })

    test('carries values of many types there and back', async () => {
      const values = {
        bigint: '9223372036854775807',
        bytea: Buffer.from([0, 1, 254, 255]),
        jsonb: { nested: ['é', null, 1.5] },
        'text[]': ['a', 'b,"c"', 'NULL'],
        timestamptz: new Date('2026-11-23T12:34:56.789Z'),
        numeric: '123456789012345678901234567890.123456789',
        boolean: true,
        float8: 0.1,
        uuid: '11111111-2222-3333-4444-555555555555',
      }
      for (const [type, value] of Object.entries(values)) {
        const parameter = type === 'jsonb' ? sql.json(value) : (value as string)
        const [row] = await sql`select ${parameter}::${sql.unsafe(type)} as value`
        expect(row).toEqual({ value })
      }
    })

    test('keeps what a savepoint kept, and no more', async () => {
      const rows = await sql.begin(async (transaction) => {
        await transaction`create temp table kept (a int) on commit drop`
        await transaction`insert into kept values (1)`
        await transaction.savepoint((inner) => inner`insert into kept values ('x')`).catch(() => undefined)
        return await transaction`table kept`
      })
      expect(rows).toEqual([{ a: 1 }])
    })

    test('sends several statements as one, describes without running, and reads notices', async () => {
      const notices: postgres.Notice[] = []
      const one = connect(place(), { max: 1, onnotice: (notice) => notices.push(notice) })
      expect(await one`select 1 as a; select 2 as b`.simple()).toEqual([[{ a: 1 }], [{ b: 2 }]])
      const { types, columns } = await one`select ${1}::int8 as big`.describe()
      expect([types, columns.map(({ name, type }) => [name, type])]).toEqual([[20], [['big', 20]]])
      await one`do $$begin raise warning 'look'; end$$`
      expect(notices).toMatchObject([{ severity: 'WARNING', message: 'look' }])
      expect(Number.parseInt(String(one.parameters['server_version']))).toBeGreaterThanOrEqual(15)
      await one.end()
    })

    test('trusts nobody else', async () => {
      const other = connect(place(), { ssl: {} })
      await expect(other`select 1`).rejects.toMatchObject({ code: expect.stringMatching(/CERT|SIGNATURE/) as string })
      await other.end()
    })
  })
}

function connect({ gateway, token }: PostgresPlace, more: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  return postgres({
    host: 'localhost',
    port: gateway.postgresPort,
    user: 'admin.token',
    password: token,
    database: 'prod-db',
    ssl: { ca: gateway.ca },
    max: 4,
    ...more,
  })
}

const digest = (index: number) => createHash('md5').update(`${index}`).digest('hex')
