import { describe, expect, test } from 'vitest'
import pg from 'pg'
import type { PostgresPlace } from '../../clients/postgres-place.ts'

export function describeNodePostgres(place: () => PostgresPlace): void {
  const options = (): pg.ClientConfig => ({
    host: 'localhost',
    port: place().gateway.postgresPort,
    user: 'admin.token',
    password: place().token,
    database: 'prod-db',
    ssl: { ca: place().gateway.ca },
  })

  describe('node-postgres', () => {
    test('uses a pool, parameters, prepared statements, transactions and notifications', async () => {
      const pool = new pg.Pool({ ...options(), max: 5 })
      const rows = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          pool.query({ name: 'twice', text: 'select $1::int * 2 as twice', values: [index] }),
        ),
      )
      expect(rows.map((result) => (result.rows[0] as { twice: number }).twice)).toEqual(
        rows.map((_, index) => index * 2),
      )
      const client = await pool.connect()
      await client.query('begin')
      await expect(client.query('select * from nowhere')).rejects.toMatchObject({ code: '42P01' })
      await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
      await client.query('rollback')
      const heard = new Promise((resolve) => client.once('notification', resolve))
      await client.query('listen news')
      await pool.query(`select pg_notify('news', 'hello')`)
      expect(await heard).toMatchObject({ channel: 'news', payload: 'hello' })
      client.release()
      await pool.end()
    })

    test('holds a hundred connections at once', { timeout: 60_000 }, async () => {
      const clients = Array.from({ length: 100 }, () => new pg.Client(options()))
      await Promise.all(clients.map((client) => client.connect()))
      const answers = await Promise.all(clients.map((client) => client.query('select 1 as one')))
      expect(answers.every(({ rows }) => (rows[0] as { one: number }).one === 1)).toBe(true)
      await Promise.all(clients.map((client) => client.end()))
    })
  })
}
