// Goal: a refused statement is an error like the server's own, in its place, and the session stays usable whatever the client does.
// Method: a real server behind a guard. Pipelines are written by hand; psql and node-postgres see the same.
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fromClient, int32, message, query } from '../../../../src/protocols/postgres/messages.ts'
import { Sieve } from '../../../../src/protocols/postgres/guard/sieve.ts'
import { cancelRequest } from '../../../../src/protocols/postgres/startup.ts'
import type { GuardRule, StatementGuard } from '../../../../src/resources/guard.ts'
import { startPostgres, type TestPostgres } from '../../../servers/postgres.ts'
import { openStage, readAll, type Stage } from '../stage.ts'
import { bind, execute, openWire, parse, run, sync, type Wire } from './wire.ts'

const plain = {
  ...{ kinds: null, tables: null, functions: null, whereMissing: false, several: false, message: null },
}
const rules: readonly GuardRule[] = [
  { ...plain, name: 'full-tables', kinds: ['update', 'delete'], whereMissing: true, action: 'refuse' },
  { ...plain, name: 'truncating', kinds: ['truncate'], action: 'ask', message: 'Is it the right table?' },
  { ...plain, name: 'watched', kinds: ['insert'], tables: ['watched'], action: 'warn', message: 'Somebody looks.' },
]
const guard: StatementGuard = { rules, otherwise: 'allow', askForMs: 60_000, askers: null }

let postgres: TestPostgres
let stage: Stage
beforeAll(async () => {
  postgres = await startPostgres()
  stage = await openStage(postgres, { guard })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

const wires: Wire[] = []
afterEach(() => {
  for (const wire of wires.splice(0)) wire.socket.destroy()
})
async function wire(...more: Parameters<typeof openWire>[2] & {}): Promise<Wire> {
  const opened = await openWire(stage, 'admin', more)
  wires.push(opened)
  expect(await opened.ask(query('create temp table t (a int); create temp table watched (a int)'))).toContain('Z I')
  return opened
}
const rowsOf = async (client: Wire) =>
  (await client.ask(query('select * from t'))).filter((answer) => answer === 'D').length

describe('a refused statement', () => {
  test('in a simple query', async () => {
    const client = await wire()
    expect(await client.ask(query('delete from t'))).toEqual(['E 42501', 'Z I'])
    expect(client.errors).toEqual(['refused by the guard of this role: delete on t without WHERE (rule full-tables)'])
    expect(await client.ask(query('insert into t values (1)'))).toEqual(['C INSERT 0 1', 'Z I'])
    const { recorder } = stage.gate.last
    expect(recorder.of('q').map(({ sql }) => sql)).toContain('delete from t')
    expect(recorder.of('g')).toEqual([{ action: 'refuse', rule: 'full-tables', about: 'delete on t without WHERE' }])
    expect(recorder.of('e')).toMatchObject([{ sqlstate: '42501', message: expect.stringContaining('full-tables') }])
  })

  test('keeps the whole message away, as an error in its first statement would', async () => {
    const client = await wire()
    expect(await client.ask(query('insert into t values (1); delete from t'))).toEqual(['E 42501', 'Z I'])
    expect(await rowsOf(client)).toBe(0)
  })

  test('fails a transaction', async () => {
    const client = await wire()
    expect(await client.ask(query('begin'))).toEqual(['C BEGIN', 'Z T'])
    expect(await client.ask(query('insert into t values (1)'))).toEqual(['C INSERT 0 1', 'Z T'])
    expect(await client.ask(query('delete from t'))).toEqual(['E 42501', 'Z E'])
    expect(await client.ask(query('insert into t values (2)'))).toEqual(['E 25P02', 'Z E'])
    expect(await client.ask(query('update t set a = 1'))).toEqual(['E 42501', 'Z E'])
    expect(await client.ask(query('commit'))).toEqual(['C ROLLBACK', 'Z I'])
    expect(await rowsOf(client)).toBe(0)
  })

  test('fails what was in its pipeline before, and skips what comes behind, up to Sync', async () => {
    const client = await wire()
    const answers = await client.ask(
      run('insert into t values (1)'),
      run('delete from t'),
      run('insert into t values (2)'),
      sync,
    )
    expect(answers).toEqual(['1', '2', 'C INSERT 0 1', 'E 42501', 'Z I'])
    expect(await rowsOf(client)).toBe(0)
    expect(await client.ask(run('insert into t values (3)'), sync)).toEqual(['1', '2', 'C INSERT 0 1', 'Z I'])
  })

  test('leaves what an earlier Sync closed', async () => {
    const client = await wire()
    client.send(
      run('insert into t values (1)'),
      sync,
      run('delete from t'),
      sync,
      run('insert into t values (2)'),
      sync,
    )
    const answers = [...(await client.until('Z')), ...(await client.until('Z')), ...(await client.until('Z'))]
    expect(answers).toEqual(['1', '2', 'C INSERT 0 1', 'Z I', 'E 42501', 'Z I', '1', '2', 'C INSERT 0 1', 'Z I'])
    expect(await rowsOf(client)).toBe(2)
  })

  test('behind an error is skipped without a word', async () => {
    const client = await wire()
    expect(await client.ask(run('select nothing'), run('delete from t'), sync)).toEqual(['E 42703', 'Z I'])
    expect(await client.ask(query('delete from t'))).toEqual(['E 42501', 'Z I'])
    expect(client.errors.at(-1)).toContain('full-tables')
  })

  test('is not prepared, and does not touch another of that name', async () => {
    const client = await wire()
    expect(await client.ask(parse('insert into t values (1)', 'p'), sync)).toEqual(['1', 'Z I'])
    expect(await client.ask(parse('delete from t', 'q'), sync)).toEqual(['E 42501', 'Z I'])
    expect(await client.ask(bind('q'), execute, sync)).toEqual(['E 26000', 'Z I'])
    expect(await client.ask(bind('p'), execute, sync)).toEqual(['2', 'C INSERT 0 1', 'Z I'])
  })

  test('inside PREPARE, EXPLAIN ANALYZE and WITH', async () => {
    const client = await wire()
    for (const sql of [
      'prepare p as delete from t',
      'explain analyze delete from t',
      'with d as (delete from t returning *) select * from d',
      'declare c cursor for with d as (delete from t returning *) select * from d',
    ]) {
      expect(await client.ask(query(sql))).toEqual(['E 42501', 'Z I'])
    }
  })

  test('however its bytes are cut', async () => {
    const client = await wire()
    client.socket.setNoDelay(true)
    const bytes = Buffer.concat([query('insert into t values (1)'), query('delete from t'), run('delete from t'), sync])
    for (const byte of bytes) {
      client.send(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const answers = [...(await client.until('Z')), ...(await client.until('Z')), ...(await client.until('Z'))]
    expect(answers).toEqual(['C INSERT 0 1', 'Z I', 'E 42501', 'Z I', 'E 42501', 'Z I'])
  })
})

describe('what cannot be read', () => {
  test('is the syntax error that it is', async () => {
    const client = await wire()
    expect(await client.ask(query('selec 1'))).toEqual(['E 42601', 'Z I'])
    expect(client.errors).toEqual(['syntax error at or near "selec"'])
    expect(await client.ask(query('begin'))).toEqual(['C BEGIN', 'Z T'])
    expect(await client.ask(query('selec 1'))).toEqual(['E 42601', 'Z E'])
  })

  test('a statement longer than is held fails, and the next one passes', async () => {
    const client = await wire()
    const long = query(`insert into t values ${'(1),'.repeat(300_000)}(1)`)
    expect(await client.ask(long, query('select 1'))).toEqual(['E 42501', 'Z I'])
    expect(await client.until('Z')).toEqual(['T', 'D', 'C SELECT 1', 'Z I'])
    expect(await client.ask(parse(long.toString('latin1', 5)), run('select 1'), sync)).toEqual(['E 42501', 'Z I'])
    expect(await rowsOf(client)).toBe(0)
  })

  test('a long one is read, and in its place', async () => {
    const client = await wire()
    const values = Array.from({ length: 20_000 }, () => '(1)').join()
    client.send(
      query(`insert into t values ${values}`),
      query(`with d as (delete from t) insert into t values ${values}`),
    )
    client.send(query('select 1'))
    expect(await client.until('Z')).toEqual(['C INSERT 0 20000', 'Z I'])
    expect(await client.until('Z')).toEqual(['E 42501', 'Z I'])
    expect(await client.until('Z')).toEqual(['T', 'D', 'C SELECT 1', 'Z I'])
  })

  test('a backslash before a quote, once strings may be read otherwise', async () => {
    const client = await wire()
    const tricky = String.raw`select '\'' || $$; delete from t; --$$ || ''`
    expect((await client.ask(query(String.raw`select 'C:\dir\'`))).at(-2)).toBe('C SELECT 1')
    await client.ask(query('set standard_conforming_strings = off'))
    expect(await client.ask(query(tricky))).toEqual(['E 42501', 'Z I'])
    await client.ask(query('set standard_conforming_strings = on'))
    expect((await client.ask(query(String.raw`select 'C:\dir\'`))).at(-2)).toBe('C SELECT 1')
    // In one go, nobody knows yet what the first does to the second.
    client.send(query('set standard_conforming_strings = off'), query(tricky))
    expect(await client.until('Z')).toEqual(['C SET', 'Z I'])
    expect(await client.until('Z')).toEqual(['E 42501', 'Z I'])
  })

  test('a function by its number, unless it is one of large objects', async () => {
    const client = await wire()
    const call = (oid: number, ...args: readonly number[]) =>
      message(
        fromClient.functionCall,
        ...[int32(oid), Buffer.of(0, 1, 0, 1), Buffer.of(0, args.length)],
        ...args.flatMap((value) => [int32(4), int32(value)]),
        Buffer.of(0, 1),
      )
    expect(await client.ask(call(1317, 1))).toEqual(['E 42501', 'Z I'])
    expect(await client.ask(query('begin'))).toEqual(['C BEGIN', 'Z T'])
    expect(await client.ask(call(957, 0x60000))).toEqual(['V', 'Z T'])
    expect(await client.ask(call(1317, 1))).toEqual(['E 42501', 'Z E'])
  })
})

test('the numbers of functions are the server’s', async () => {
  const found = await postgres.query(
    "select oid::int, proname from pg_proc where proname ~ '^(lo_|loread|lowrite)' order by 1",
  )
  const { functionByNumber } = await import('../../../../src/protocols/postgres/guard/kinds.ts')
  for (const [number, name] of functionByNumber) {
    expect(found.rows).toContainEqual({ oid: number, proname: name })
  }
})

test('a warning is read, and the statement passes', async () => {
  const client = await wire()
  expect(await client.ask(query('insert into watched values (1)'))).toEqual(['C INSERT 0 1', 'Z I'])
  const warning = 'the guard of this role warns: insert on watched (rule watched)\nSomebody looks.'
  expect(await client.noticed()).toBe(warning)
  expect(await client.ask(run('insert into watched values (1)'), sync)).toContain('C INSERT 0 1')
  expect(stage.gate.last.recorder.of('g')).toHaveLength(2)
  // The log hears of it once; the recording has each.
  expect(stage.questions.noted.filter(({ action }) => action === 'warn')).toEqual([
    expect.objectContaining({ action: 'warn', rule: 'watched', about: 'insert on watched' }),
  ])
})

test('COPY data passes unjudged', async () => {
  const client = await wire()
  expect(await client.ask(query('insert into t values (7)'))).toContain('Z I')
  client.send(query('copy t from stdin'))
  expect(await client.until('G')).toEqual(['G'])
  client.send(message(fromClient.copyData, Buffer.from('1\n2\n')), message(fromClient.copyDone))
  expect(await client.until('Z')).toEqual(['C COPY 2', 'Z I'])
  client.send(query('copy t from stdin'))
  await client.until('G')
  // What has no business there is for the server to refuse; this one takes the connection for broken.
  client.send(query('delete from t'))
  expect(await client.until('E', 2)).toEqual(['E 08P01', 'E 08P01'])
})

test('psql goes on after a refusal, and sees it as any error', async () => {
  const psql = stage.psql(
    ['-At', '-c', 'create temp table t (a int)', '-c', 'delete from t', '-c', 'select 41 + 1'],
    'admin',
  )
  await psql.exited
  expect(psql.out).toContain('42')
  expect(psql.err).toContain('ERROR:  refused by the guard of this role: delete on t without WHERE (rule full-tables)')
  expect(psql.err).toContain('HINT:  ')
})

test('node-postgres sees an error with its code, and goes on', async () => {
  const ssl = { ca: stage.ca, servername: 'localhost' }
  const db = new pg.Client({ host: '127.0.0.1', port: stage.port, user: 'admin', database: 'shop', ssl })
  await db.connect()
  await db.query('create temp table t (a int)')
  await expect(db.query('update t set a = $1', [1])).rejects.toMatchObject({ code: '42501', severity: 'ERROR' })
  expect((await db.query('select $1::int as a', [5])).rows).toEqual([{ a: 5 }])
  await db.end()
})

describe('a statement that waits for a word', () => {
  async function waiting() {
    const client = await wire()
    const before = stage.questions.asked.length
    client.send(query('insert into t values (1)'), query('truncate t'), query('select 1'))
    const question = await stage.questions.untilAsked(before + 1)
    expect(await client.until('Z')).toEqual(['C INSERT 0 1', 'Z I'])
    return { client, question, admission: stage.gate.last }
  }

  test('goes on when it comes, and everything stays in its order', async () => {
    const { client, question, admission } = await waiting()
    const notice = await client.noticed()
    expect(notice).toContain('https://gw.example.com/statements/question-')
    expect(notice).toContain('Is it the right table?')
    expect(question.wish).toMatchObject({
      sql: 'truncate t',
      rule: 'truncating',
      about: 'truncate on t',
      waitMs: 60_000,
    })
    question.answer({ answer: 'approved', by: 'Sam' })
    expect(await client.until('Z')).toEqual(['C TRUNCATE TABLE', 'Z I'])
    expect(await client.until('Z')).toEqual(['T', 'D', 'C SELECT 1', 'Z I'])
    expect(admission.recorder.of('g')).toMatchObject([
      { action: 'ask', rule: 'truncating', question: expect.stringMatching(/^question-/) },
      { action: 'ask', answer: 'approved', by: 'Sam', waitedMs: expect.any(Number) },
    ])
  })

  test('is an error when it is refused, with what they say', async () => {
    const { client, question } = await waiting()
    question.answer({ answer: 'refused', by: 'Sam', comment: 'not on a Friday' })
    expect(await client.until('Z')).toEqual(['E 42501', 'Z I'])
    expect(client.errors).toEqual(['Sam refused this statement: truncate on t (rule truncating)'])
    expect(await client.until('Z')).toContain('C SELECT 1')
    expect(await rowsOf(client)).toBe(1)
  })

  test('is an error when nobody answers', async () => {
    const { client, question } = await waiting()
    question.answer({ answer: 'lapsed' })
    expect(await client.until('Z')).toEqual(['E 57014', 'Z I'])
    expect(client.errors[0]).toContain('nobody agreed within 1 min')
  })

  test('in a pipeline, only what the target would run is asked about', async () => {
    const client = await wire()
    const before = stage.questions.asked.length
    expect(await client.ask(run('delete from t'), run('truncate t'), sync)).toEqual(['E 42501', 'Z I'])
    expect(stage.questions.asked.length).toBe(before)
    client.send(run('insert into t values (1)'), run('truncate t'), run('insert into t values (2)'), sync)
    const question = await stage.questions.untilAsked(before + 1)
    question.answer({ answer: 'approved', by: 'Sam' })
    const answers = await client.until('Z')
    expect(answers.filter((answer) => answer.startsWith('C'))).toEqual([
      'C INSERT 0 1',
      'C TRUNCATE TABLE',
      'C INSERT 0 1',
    ])
    expect(await rowsOf(client)).toBe(1)
  })

  test('is given up when psql is interrupted', async () => {
    const before = stage.questions.asked.length
    const psql = stage.psql(
      ['-At', '-c', 'create temp table t (a int)', '-c', 'truncate t', '-c', 'select 41 + 1'],
      'admin',
    )
    const question = await stage.questions.untilAsked(before + 1)
    await psql.until('Ctrl-C')
    psql.process.kill('SIGINT')
    await psql.exited
    expect(question.gaveUp.aborted).toBe(true)
    expect(psql.err).toContain('canceling statement due to user request')
  })

  test.each([
    [
      'behind a simple query',
      [query('select pg_sleep(61)'), query('truncate t')],
      ['T', 'E 57014', 'Z I', 'E 57014', 'Z I'],
    ],
    ['in a pipeline', [run('select pg_sleep(61)'), run('truncate t'), sync], ['1', '2', 'E 57014', 'Z I']],
  ])('is given up with what runs before it, and nothing else is: %s', async (_, messages, answers) => {
    const client = await wire()
    const before = stage.questions.asked.length
    client.send(...messages.flat(), query('select pg_sleep(0.1)'))
    const question = await stage.questions.untilAsked(before + 1)
    await postgres.untilRunning('pg_sleep(61)', 1)
    const cancelling = stage.raw()
    cancelling.write(cancelRequest(client.key.readInt32BE(0), client.key.subarray(4)))
    await readAll(cancelling)
    expect(question.gaveUp.aborted).toBe(true)
    const got: string[] = []
    while (got.length < answers.length) got.push(...(await client.until('Z')))
    expect(got).toEqual(answers)
    expect(await client.until('Z')).toEqual(['T', 'D', 'C SELECT 1', 'Z I'])
  })

  test('is given up when the client hangs up, and nothing stays', async () => {
    const { client, question, admission } = await waiting()
    client.socket.destroy()
    expect(await admission.ended.promise).toMatchObject({ by: 'client' })
    expect(question.gaveUp.aborted).toBe(true)
    await postgres.untilSessions({ usename: 'shop_admin' }, 0)
    expect(admission.recorder.of('g').at(-1)).toMatchObject({ action: 'ask', answer: 'given-up' })
  })

  test.each(['GRANT_EXPIRED', 'GRANT_REVOKED', 'LOCKED', 'SIGNED_OUT', 'KILLED', 'SHUTTING_DOWN'] as const)(
    'ends with the session when the gate cuts it: %s',
    async (code) => {
      const { client, question, admission } = await waiting()
      admission.cut(code)
      await client.until('E')
      expect(client.errors.at(-1)).toBe('Your access to shop has ended.')
      expect(await admission.ended.promise).toMatchObject({ by: 'gate' })
      expect(question.gaveUp.aborted).toBe(true)
      question.answer({ answer: 'approved', by: 'Sam' }) // too late
      await postgres.untilSessions({ usename: 'shop_admin' }, 0)
      expect(client.errors).toHaveLength(1)
    },
  )

  test('a client that sends on and on meanwhile is not read for ever', async () => {
    const { client, question } = await waiting()
    const select = query('select 1')
    const many = Buffer.concat(Array.from({ length: 2000 }, () => select))
    let sentBytes = 0
    while (client.socket.write(many) && sentBytes < 64 * 1024 * 1024) sentBytes += many.length
    question.answer({ answer: 'approved', by: 'Sam' })
    expect(await client.until('Z')).toEqual(['C TRUNCATE TABLE', 'Z I'])
    await client.until('Z', 1000)
  })
})

test('a sieve takes whole messages out of any pieces, and leaves all else as it was', () => {
  const frame = fc.tuple(fc.constantFrom('Q', 'P', 'B', 'd', 'S'), fc.uint8Array({ maxLength: 40 }))
  const bytesOf = ([type, body]: [string, Uint8Array]) => message(type.charCodeAt(0), body)
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 30 })), (frames, cuts) => {
      const all = Buffer.concat(frames.map(bytesOf))
      const out: Buffer[] = []
      const taken: string[] = []
      const sieve = new Sieve({
        pass: (bytes) => void out.push(Buffer.from(bytes)),
        treatment: (type, total) => (type !== 0x51 && type !== 0x50 ? 'pass' : total > 30 ? 'long' : 'whole'),
        passes: (whole) => whole[0] === 0x50,
        take: (whole) => {
          taken.push(whole.toString('hex'))
          out.push(Buffer.from(whole))
        },
        long: () => undefined,
        longPart: (bytes) => void out.push(Buffer.from(bytes)),
      })
      let at = 0
      for (const cut of [...cuts, all.length]) {
        expect(sieve.feed(all.subarray(at, at + cut))).toHaveLength(0)
        at += cut
      }
      expect(Buffer.concat(out).equals(all)).toBe(true)
      const expected = frames.filter(([type, body]) => type === 'Q' && body.length + 5 <= 30)
      expect(taken).toEqual(expected.map((one) => bytesOf(one).toString('hex')))
    }),
  )
})
