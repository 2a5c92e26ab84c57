// Goal: a client that can carry nothing but a connection string asks for access with it, and goes on once it is given.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import pg from 'pg'
import type { RequestId } from '../../src/kernel/ids.ts'
import { Program } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway

beforeAll(async () => {
  gateway = stack.use(await startTestGateway())
})
afterAll(() => stack.disposeAsync())

async function psql(role: string, options: string, login: 'alice' | 'dave' = 'alice') {
  const args = ['-XAtqc', "select 'in', current_setting('work_mem')"]
  return new Program('psql', args, {
    env: {
      PGHOST: 'localhost',
      PGPORT: String(gateway.postgresPort),
      PGUSER: `${role}.token`,
      PGPASSWORD: await gateway.token(login),
      PGDATABASE: 'prod-db',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: gateway.caFile,
      PGAPPNAME: 'nightly',
      PGOPTIONS: options,
    },
    waitMsMax: 30_000,
  })
}

async function waiting(login: 'alice' | 'dave') {
  const { access } = gateway.gateway
  const person = await gateway.person(login)
  return (await access.requestsOf(person, 10)).filter(({ state }) => state === 'requested')
}

async function decide(id: RequestId, verdict: 'approve' | 'deny', comment = '') {
  await gateway.gateway.access.decide(await gateway.person('bob'), id, verdict, comment)
}

describe('psql with what it wants in its options', () => {
  test('where nobody is needed, it is in at once, and the target gets the rest of the options', async () => {
    await using program = await psql('reporting', "-c curfew.reason='monthly report' -c work_mem=7MB")
    expect(await program.exited()).toMatchObject({ status: 0, stdout: 'in|7MB\n' })
  })

  test('is told that it is filed, waits, and goes on; every word reaches the approver', async () => {
    await using program = await psql('readonly', '-c curfew.reason=look\\ at\\ INC-7 -c curfew.for=20m')
    const [link] = await program.until(/https:\/\/localhost:\d+\/requests\/request-\S+/)
    const [request] = await waiting('alice')
    expect(request).toMatchObject({ reason: 'look at INC-7', lengthMs: 1_200_000, role: 'readonly' })
    expect(request!.origin).toBe('nightly at 127.0.0.1')
    expect(link).toContain(request!.id)
    await decide(request!.id, 'approve')
    expect(await program.exited()).toMatchObject({ status: 0, stdout: 'in|4MB\n' })
  })

  test('ends at once when the person calls the request off', async () => {
    await using program = await psql('readonly', '-c curfew.reason=never\\ mind', 'dave')
    await program.until(/https:\/\/localhost:\d+\/requests\/request-\S+/)
    const [request] = await waiting('dave')
    await gateway.gateway.access.cancel(await gateway.person('dave'), request!.id)
    expect(await program.exited()).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('FATAL:  Your request was called off.') as string,
    })
  })

  test('two of them wait for one request; once it is refused, the same is not asked again at once', async () => {
    const options = '-c curfew.reason=again'
    await using one = await psql('readonly', options, 'dave')
    await one.until(/requests\/request-/)
    await using other = await psql('readonly', options, 'dave')
    await other.until(/requests\/request-/)
    const requests = await waiting('dave')
    expect(requests).toHaveLength(1)
    await decide(requests[0]!.id, 'deny', 'Not today.')
    for (const program of [one, other]) {
      const { status, stderr } = await program.exited()
      expect(status).toBe(2)
      expect(stderr).toContain('Not today.')
    }
    await using third = await psql('readonly', options, 'dave')
    const { status, stderr } = await third.exited()
    expect(status).toBe(2)
    expect(stderr).toMatch(/refused a short while ago[^]*HINT.*\/ask\?/)
    expect(await waiting('dave')).toEqual([])
  })

  test.each([
    ['-c curfew.for=30d -c curfew.reason=x', /longer than the policy allows/],
    ['-c curfew.for=20m', /A reason is needed/],
    ['-c curfew.raeson=x', /no setting "curfew.raeson"/],
    ['-c curfew.for=long', /not a length of time/],
  ])('%s is refused with what is wrong', async (options, message) => {
    await using program = await psql('admin', options, 'dave')
    const { status, stderr } = await program.exited()
    expect(status).toBe(2)
    expect(stderr).toMatch(message)
  })
})

test('a driver may send them as parameters of their own', async () => {
  const client = new pg.Client({
    host: 'localhost',
    port: gateway.postgresPort,
    user: 'reporting.token',
    password: await gateway.token('dave'),
    database: 'prod-db',
    ssl: { ca: gateway.ca },
    options: '-c curfew.reason=driver -c curfew.for=10m',
  })
  await client.connect()
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await client.end()
  const [grant] = await gateway.gateway.access.livingGrants((await gateway.person('dave')).id)
  expect(grant).toMatchObject({ role: 'reporting', lengthMs: 600_000 })
})
