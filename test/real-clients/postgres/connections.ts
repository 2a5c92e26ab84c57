import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type pg from 'pg'
import { findBinaries } from '../../../scripts/demo/postgres-binaries.ts'
import { quietPsql, type PostgresPlace } from '../../clients/postgres-place.ts'

/** Cancelling, dying, and psql on the libpq of PostgreSQL 18. */
export function describeConnections(place: () => PostgresPlace): void {
  describe('a statement that runs', () => {
    let holder: pg.Client
    beforeAll(async () => {
      holder = await place().gateway.postgres.connect('shop')
    })
    afterAll(() => holder.end())

    test('is interrupted by Ctrl-C, and no other session is', async () => {
      await holder.query('select pg_advisory_lock(7)')
      const waiting = (text: string) => place().start([...quietPsql, '-c', `select '${text}', pg_advisory_lock(7)`])
      await using one = waiting('one')
      await using other = waiting('other')
      await place().gateway.postgres.untilRunning('pg_advisory_lock(7)', 2)
      one.kill('SIGINT')
      expect((await one.exited()).stderr).toContain('canceling statement due to user request')
      await holder.query('select pg_advisory_unlock(7)')
      expect(await other.exited()).toMatchObject({ status: 0, stdout: 'other|\n' })
    })

    test('ends with its client, and so does a session that is idle', async () => {
      const name = { PGAPPNAME: 'abrupt' }
      await using busy = place().start([...quietPsql, '-c', 'select pg_sleep(60)'], name)
      await using idle = place().start(quietPsql, name)
      await place().gateway.postgres.untilSessions({ application_name: 'abrupt' }, 2)
      busy.kill('SIGKILL')
      idle.kill('SIGKILL')
      await place().gateway.postgres.untilSessions({ application_name: 'abrupt' }, 0)
    })
  })

  describe("psql on the next libpq, PostgreSQL 18's", () => {
    let library: Readonly<Record<string, string>>
    beforeAll(async () => {
      const { postgres } = await findBinaries()
      library = { LD_LIBRARY_PATH: join(dirname(postgres), '..', 'lib') }
    })

    test.each([
      ['the newest protocol', 'max_protocol_version=latest'],
      ['no older protocol', 'min_protocol_version=3.2'],
      ['the oldest protocol', 'max_protocol_version=3.0'],
      ['TLS at once', 'sslnegotiation=direct'],
      ['TLS at once, the newest protocol', 'sslnegotiation=direct min_protocol_version=3.2'],
    ])('%s', async (_, conninfo) => {
      const command = [...quietPsql, '-c', 'select 1', `dbname=prod-db ${conninfo}`]
      expect(await place().run(command, library)).toBe('1\n')
      await using psql = place().start(
        [...quietPsql, '-c', 'select pg_sleep(60)', `dbname=prod-db ${conninfo}`],
        library,
      )
      await place().gateway.postgres.untilRunning('pg_sleep(60)', 1)
      psql.kill('SIGINT')
      expect((await psql.exited()).stderr).toContain('canceling statement due to user request')
    })
  })
}
