// oxlint-disable unicorn/no-thenable -- a word of the file; it is never a function
// Goal: a role's guard does what the file says, in the whole product: psql, pgbench, an approver, the recording, the log.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { atTerminal } from '../protocols/ssh/at-terminal.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway

const guard = {
  rules: [
    { name: 'full-tables', when: { kinds: ['update', 'delete'], where: 'missing' }, then: 'refuse' },
    { name: 'truncating', when: { kinds: ['truncate'] }, then: 'ask', message: 'Is it the right table?' },
    { name: 'seen', when: { tables: ['invoices'] }, then: 'warn' },
  ],
} as const

beforeAll(async () => {
  gateway = stack.use(
    await startTestGateway({
      configure: ({ resources }) => {
        const { roles } = resources['prod-db'] as { roles: Record<string, Record<string, unknown>> }
        Object.assign(roles['admin']!, { guard, serverFiles: 'refuse' })
        Object.assign(roles['readonly']!, { guard: 'read-only' })
        Object.assign(roles['reporting']!, { guard: { rules: [{ name: 'all', then: 'ask' }] } })
      },
    }),
  )
  await Promise.all([
    gateway.grant('alice', 'admin'),
    gateway.grant('alice', 'readonly'),
    gateway.grant('alice', 'reporting'),
  ])
})
afterAll(() => stack.disposeAsync())

async function environment(role: string) {
  return {
    ...{ PGHOST: 'localhost', PGPORT: String(gateway.postgresPort), PGUSER: `${role}.token` },
    ...{ PGPASSWORD: await gateway.token('alice'), PGDATABASE: 'prod-db' },
    ...{ PGSSLMODE: 'verify-full', PGSSLROOTCERT: gateway.caFile },
  }
}

async function psql(role: string, ...statements: readonly string[]): Promise<Program> {
  const args = ['-XAt', ...statements.flatMap((sql) => ['-c', sql])]
  return new Program('psql', args, { env: await environment(role), waitMsMax: 30_000 })
}

async function auditTypes(): Promise<readonly string[]> {
  const events = await gateway.gateway.state.audit.events(0, 1000)
  return events.map(({ json }) => (JSON.parse(json) as { type: string }).type)
}

describe('psql', () => {
  test('reads an error for what is refused, a warning for what is watched, and goes on', async () => {
    await using program = await psql(
      'admin',
      'delete from customers',
      'select count(*) from invoices where false',
      'select 6 * 7',
    )
    const { status, stdout, stderr } = await program.exited()
    expect(status).toBe(0)
    expect(stdout).toBe('0\n42\n')
    expect(stderr).toContain('refused by the guard of this role: delete on customers without WHERE (rule full-tables)')
    expect(stderr).toContain('WARNING:  the guard of this role warns: select on invoices (rule seen)')
    await expect.poll(auditTypes).toEqual(expect.arrayContaining(['statement.refused', 'statement.warned']))
  })

  test('reaches no file and no program of the server', async () => {
    const statements = [
      "copy customers to program 'cat'",
      "copy customers to '/tmp/x'",
      "select pg_read_file('/etc/passwd')",
    ]
    for (const sql of statements) {
      await using program = await psql('admin', sql)
      const { stderr } = await program.exited()
      expect(stderr).toContain('(rule server-files)')
      expect(stderr).toContain('may not reach files or programs of the server')
    }
    await using program = await psql('admin', '\\copy (select 1) to stdout')
    expect(await program.exited()).toMatchObject({ stdout: '1\n' })
    // Nobody looks into code: there the rights of the login are the wall.
    await using code = await psql('admin', "do $$begin execute 'copy customers to program ''cat'''; end$$")
    expect((await code.exited()).stderr).toMatch(/permission denied .*COPY|pg_execute_server_program/)
  })

  test('only reads as a role that is read-only', async () => {
    await using reading = await psql(
      'readonly',
      'begin',
      'select count(*) > 0 from customers',
      '\\d customers',
      'commit',
    )
    expect(await reading.exited()).toMatchObject({ status: 0, stderr: '' })
    for (const sql of [
      'insert into customers select * from customers',
      'do $$begin end$$',
      'set role postgres',
      'create temp table x ()',
    ]) {
      await using writing = await psql('readonly', sql)
      expect((await writing.exited()).stderr).toContain('(rule read-only)')
    }
  })

  test('waits for somebody’s word, is recorded with it, and goes on', async () => {
    const { questions } = gateway.gateway.access
    const bob = await gateway.person('bob')
    await using program = await psql(
      'admin',
      'create temp table scratch as select 1',
      'truncate scratch',
      'select 6 * 7',
    )
    const [link] = await program.until(/https:\/\/localhost:\d+\/statements\/question-\S+/)
    const [view] = await questions.waitingFor(bob)
    expect(link).toContain(view!.question.id)
    expect(view!.question).toMatchObject({ sql: 'truncate scratch', about: 'truncate on scratch', rule: 'truncating' })
    await questions.decide(bob, view!.question.id, 'approve', '')
    const { status, stdout } = await program.exited()
    expect([status, stdout]).toEqual([0, 'SELECT 1\nTRUNCATE TABLE\n42\n'])
    expect(await auditTypes()).toEqual(expect.arrayContaining(['statement.asked', 'statement.answered']))
  })

  test('goes on after Ctrl-C at a terminal: only the statement that waits is given up', async () => {
    const { questions } = gateway.gateway.access
    const bob = await gateway.person('bob')
    await using program = atTerminal(['psql', '-XAt'], await environment('admin'))
    await program.until(/prod-db=> /)
    program.send("select 'process', pg_backend_pid();")
    const [, before] = await program.until(/process\|(\d+)/)
    for (const begin of ['', 'begin; ']) {
      program.send(`${begin}truncate customers;`)
      await expect.poll(async () => (await questions.waitingFor(bob)).length).toBe(1)
      const [waiting] = await questions.waitingFor(bob)
      program.type('\u0003')
      await expect.poll(async () => (await questions.view(bob, waiting!.question.id)).question.state).toBe('given-up')
    }
    // The server knows of it as of any error: the transaction has failed.
    await program.until(/canceling statement due to user request[^]*prod-db=!> /)
    program.send('rollback;')
    await program.until(/ROLLBACK/)
    program.send("select 'again', pg_backend_pid(), count(*) > 0 from customers;")
    const [, after] = await program.until(/again\|(\d+)\|t/)
    expect(after).toBe(before)
    program.send('\\q')
    await program.exited()
  })

  test('gives up what waits when it is revoked, and nothing of it stays', async () => {
    const { access } = gateway.gateway
    const [bob, alice] = [await gateway.person('bob'), await gateway.person('alice')]
    await using program = await psql('admin', 'truncate customers')
    await program.until(/statements\/question-\S+/)
    const [view] = await access.questions.waitingFor(bob)
    const grant = (await access.livingGrants(alice.id)).find(({ role }) => role === 'admin')!
    await access.revoke(bob, grant.id, 'enough')
    const { status, stderr } = await program.exited()
    expect(status).toBe(2)
    expect(stderr).toMatch(/FATAL.*revoked/)
    await gateway.postgres.untilSessions({ usename: 'shop_admin' }, 0)
    await expect.poll(async () => (await access.questions.view(bob, view!.question.id)).question.state).toBe('given-up')
    await expect(access.questions.decide(bob, view!.question.id, 'approve', '')).rejects.toMatchObject({
      code: 'QUESTION_CLOSED',
    })
    await gateway.grant('alice', 'admin')
  })

  test('is told where nobody is named who could answer', async () => {
    await using program = await psql('reporting', 'select 1')
    const { stderr } = await program.exited()
    expect(stderr).toContain(
      'this statement was not asked about: The guard asks, and nobody is named who could answer.',
    )
    expect(stderr).toContain('`askers` of the guard')
  })

  test('says that there are too many questions, when there are', async () => {
    const { questions } = gateway.gateway.access
    const bob = await gateway.person('bob')
    const environments = await environment('admin')
    await using all = new AsyncDisposableStack()
    for (let count = 0; count < 20; count++) {
      all.use(new Program('psql', ['-XAt', '-c', 'truncate customers', 'prod-db'], { env: environments }))
    }
    await expect.poll(async () => (await questions.waitingFor(bob)).length, { timeout: 20_000 }).toBe(20)
    await using program = await psql('admin', 'truncate customers')
    expect((await program.exited()).stderr).toMatch(
      /not asked about: 20 statements of yours wait for an answer already/,
    )
  })
})

test.each(['simple', 'extended', 'prepared'])('pgbench -M %s runs through a guard', async (mode) => {
  const script = join(gateway.folder, 'bench.sql')
  await writeFile(script, 'begin;\nselect count(*) from customers where id = 1;\nselect 1 + 1;\ncommit;\n')
  const args = ['-n', '-M', mode, '-t', '50', '-c', '2', '-f', script, 'prod-db']
  await using program = new Program('pgbench', args, { env: await environment('admin'), waitMsMax: 30_000 })
  const { status, stdout } = await program.exited()
  expect(status).toBe(0)
  expect(stdout).toContain('number of transactions actually processed: 100/100')
})

test('a pipeline of libpq is refused in its place, and what an earlier Sync closed stays', async () => {
  const script = join(gateway.folder, 'pipeline.sql')
  await writeFile(script, '\\startpipeline\nselect 1;\ndelete from customers;\nselect 2;\n\\endpipeline\n')
  const args = ['-n', '-M', 'extended', '-t', '1', '-f', script, 'prod-db']
  await using program = new Program('pgbench', args, { env: await environment('admin'), waitMsMax: 30_000 })
  const { stderr } = await program.exited()
  expect(stderr).toContain('refused by the guard of this role: delete on customers without WHERE')
})
