// Goal: what people run against PostgreSQL straight, they run through the gateway unchanged.
// Method: Debian's server and Debian's own clients of the same version, the real gateway between them.
import { afterAll, beforeAll } from 'vitest'
import { openPostgresPlace, type PostgresPlace } from '../clients/postgres-place.ts'
import { describeConnections } from './postgres/connections.ts'
import { describeNodePostgres } from './postgres/node-postgres.ts'
import { describePostgresJs } from './postgres/postgres-js.ts'
import { describePrograms } from './postgres/programs.ts'
import { describePsql } from './postgres/psql.ts'

let place: PostgresPlace
beforeAll(async () => {
  place = await openPostgresPlace()
})
afterAll(() => place[Symbol.asyncDispose]())

describePsql(() => place)
describePrograms(() => place)
describeConnections(() => place)
describeNodePostgres(() => place)
describePostgresJs(() => place)
