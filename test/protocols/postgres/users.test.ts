// Goal: users are made and removed on old and new servers alike by an administrator that has no more rights than the
// manual says, whatever people are called, and nobody else's users are touched.
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../../src/kernel/secret.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { scramVerifier } from '../../../src/protocols/postgres/scram.ts'
import { asAdministrator, type MakingRole } from '../../../src/protocols/postgres/users/administrator.ts'
import { makeUser, moveEnd, type UserPlan } from '../../../src/protocols/postgres/users/make.ts'
import { readMark, userName, writeMark } from '../../../src/protocols/postgres/users/names.ts'
import { identifier, literal } from '../../../src/protocols/postgres/users/quote.ts'
import { findUsers, removeUser } from '../../../src/protocols/postgres/users/remove.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { resourceOf } from './stage.ts'

const deps = { clock: systemClock, random: systemRandom }
const never = new AbortController().signal
const tomorrow = (Date.now() + 86_400_000) as Instant
const hostile = `Robert"'); drop role shop_admin; --\\ ${'x'.repeat(100)} \u202e\u{1f600}`

describe.each([
  { server: 'a current server', debian: false },
  { server: 'PostgreSQL 15', debian: true },
])('$server', ({ debian }) => {
  let postgres: TestPostgres
  let making: MakingRole

  beforeAll(async () => {
    postgres = await startPostgres({ debian, settings: { log_statement: 'all', log_min_duration_statement: 0 } })
    await postgres.query("create role makes_users login createrole password 'of the administrator'")
    await postgres.query('grant shop_readonly to makes_users with admin option')
    const resource = resourceOf(postgres)
    const administrator = { login: 'makes_users', password: new Secret('of the administrator'), database: 'postgres' }
    const user = { administrator, memberOf: ['shop_readonly'], settings: { search_path: 'public, "$user"' }, keepMs: 0 }
    making = { resource, role: { ...resource.roles['readonly']!, sessionsMax: 2 }, user }
  }, 60_000)
  afterAll(() => postgres[Symbol.asyncDispose]())

  async function plan(person: string, grant: `grant-${string}`, password = 'secret'): Promise<UserPlan> {
    const mark = { gateway: 'gw-1', resource: 'shop', role: 'readonly', grant, person }
    const verifier = await scramVerifier(password, systemRandom.bytes(16))
    return { name: userName(person, grant), mark, verifier, validUntil: tomorrow }
  }
  const make = (made: UserPlan) => asAdministrator(making, never, deps, (one) => makeUser(one, made, making))
  const remove = (name: string) => asAdministrator(making, never, deps, (one) => removeUser(one, name, 'gw-1'))
  const role = async (name: string) =>
    (await postgres.query('select * from pg_roles where rolname = $1', [name])).rows[0] as Record<string, unknown>
  async function connect(user: string, password = 'secret'): Promise<pg.Client> {
    const { host, port, ca } = postgres
    const client = new pg.Client({ host, port, user, password, database: 'shop', ssl: { ca } })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  test('a user is made with its rights and limits, and logs in', async () => {
    const made = await plan('alice@shop.example', 'grant-abcdefgh2345')
    expect(made.name).toBe('curfew_alice_shop_example_abcdefgh')
    await make(made)
    expect(await role(made.name)).toMatchObject({
      ...{ rolcanlogin: true, rolinherit: true, rolsuper: false, rolcreaterole: false, rolcreatedb: false },
      ...{ rolreplication: false, rolbypassrls: false, rolconnlimit: 6, rolvaliduntil: new Date(tomorrow) },
      rolconfig: ['search_path=public, "$user"'],
    })
    const client = await connect(made.name)
    const { rows } = await client.query('select current_user, (select count(*) > 0 from customers) as reads')
    expect(rows).toEqual([{ current_user: made.name, reads: true }])
    await client.end()
    await asAdministrator(making, never, deps, (one) => moveEnd(one, made.name, (tomorrow + 1000) as Instant))
    expect((await role(made.name))['rolvaliduntil']).toEqual(new Date(tomorrow + 1000))
  })

  test('neither password nor verifier is in the log, which names everything else', async () => {
    const made = await plan('quiet@shop.example', 'grant-quiet222', 'a password that nobody sees')
    await make(made)
    const log = await readFile(postgres.logFile, 'utf8')
    expect(log).toContain(`create role "${made.name}"`)
    expect(log).toMatch(/fastpath function call: "set_config"/)
    expect(log).not.toContain('SCRAM-SHA-256$')
    expect(log).not.toContain('a password that nobody sees')
    const { rows } = await postgres.query('select rolpassword from pg_authid where rolname = $1', [made.name])
    expect(rows).toEqual([{ rolpassword: made.verifier }])
  })

  test('whatever somebody is called, it is a name and a comment, and no more', async () => {
    const made = await plan(hostile, 'grant-hostile2')
    await make(made)
    expect(made.name).toMatch(/^curfew_robert_drop_role_shop_admin_x+_hostile2$/)
    expect(await role('shop_admin')).toBeDefined()
    const found = await asAdministrator(making, never, deps, (one) => findUsers(one, 'gw-1', 'shop'))
    const mark = found.find(({ name }) => name === made.name)?.mark
    expect(mark).toEqual({ ...made.mark, person: hostile.slice(0, 200) })
    expect(await remove(made.name)).toEqual({ outcome: 'dropped', owns: '' })
  })

  test('its connections are ended with it, without further rights of the administrator', async () => {
    const made = await plan('busy@shop.example', 'grant-busy2222')
    await make(made)
    const client = await connect(made.name)
    const failed = client.query('select pg_sleep(60)').catch((error: unknown) => error)
    await postgres.untilRunning('pg_sleep', 1)
    expect(await remove(made.name)).toEqual({ outcome: 'dropped', owns: '' })
    expect(await failed).toMatchObject({ code: '57P01' })
    expect(await role(made.name)).toBeUndefined()
    expect(await remove(made.name)).toEqual({ outcome: 'absent', owns: '' })
  })

  test('one that holds on to itself in an open transaction is ended and dropped', async () => {
    const made = await plan('eve@shop.example', 'grant-holds222')
    await make(made)
    const client = await connect(made.name)
    const ended = new Promise((resolve) => client.on('error', resolve))
    await client.query("begin; alter role current_user password 'known'; alter role current_user set work_mem = '4MB'")
    expect(await remove(made.name)).toEqual({ outcome: 'dropped', owns: '' })
    expect(await ended).toMatchObject({ code: '57P01' })
  })

  test('one that owns something is left without login, password and rights; its grant gets it back', async () => {
    const made = await plan('owner@shop.example', 'grant-owner222')
    await make(made)
    await postgres.query(`grant create on database shop to ${made.name}`)
    const client = await connect(made.name)
    await client.query(`create schema hers create table notes (text text)`)
    await client.end()
    const { outcome, owns } = await remove(made.name)
    expect(outcome).toBe('disabled')
    expect(owns).toMatch(/shop/)
    expect(await role(made.name)).toMatchObject({ rolcanlogin: false, rolvaliduntil: new Date(0) })
    const { rows } = await postgres.query(
      'select g.rolname from pg_auth_members m join pg_roles g on g.oid = roleid join pg_roles u on u.oid = member where u.rolname = $1',
      [made.name],
    )
    expect(rows).toEqual([])
    await expect(connect(made.name)).rejects.toThrow()
    await make(made)
    const again = await connect(made.name)
    expect((await again.query('select count(*)::int as notes from hers.notes')).rows).toEqual([{ notes: 0 }])
    await again.end()
  })

  test('one that is brought back has the rights of today, not those it had', async () => {
    const made = await plan('moved@shop.example', 'grant-moved222')
    await postgres.query('grant shop_reporting to makes_users with admin option')
    const wide = { ...making, user: { ...making.user, memberOf: ['shop_readonly', 'shop_reporting'] } }
    await asAdministrator(wide, never, deps, (one) => makeUser(one, made, wide))
    await make(made)
    const { rows } = await postgres.query(
      'select g.rolname from pg_auth_members m join pg_roles g on g.oid = roleid join pg_roles u on u.oid = member where u.rolname = $1',
      [made.name],
    )
    expect(rows).toEqual([{ rolname: 'shop_readonly' }])
  })

  test('one that is brought back has the settings of today, not those it gave itself', async () => {
    const made = await plan('setter@shop.example', 'grant-setter22')
    await make(made)
    const client = await connect(made.name)
    await client.query("alter role current_user set work_mem = '9MB'")
    await client.query("alter role current_user in database shop set search_path = 'nowhere'")
    await client.end()
    await make(made)
    const again = await connect(made.name)
    const { rows } = await again.query(
      "select current_setting('search_path') as path, current_setting('work_mem') as mem",
    )
    await again.end()
    expect(rows).toEqual([{ path: 'public, "$user"', mem: '4MB' }])
  })

  test('one that is brought back may replicate as the role may today', async () => {
    const made = await plan('replicates@shop.example', 'grant-repl2222')
    const replicating = { ...making, role: { ...making.role, replication: true } }
    await postgres.query('alter role makes_users superuser')
    for (const today of [making, replicating, making]) {
      await asAdministrator(today, never, deps, (one) => makeUser(one, made, today))
      expect(await role(made.name)).toMatchObject({ rolreplication: today.role.replication })
    }
    await postgres.query('alter role makes_users nosuperuser')
  })

  test('one that owned something and does not any more can be found, and goes', async () => {
    const made = await plan('former@shop.example', 'grant-former22')
    await make(made)
    await postgres.query(`grant create on database shop to ${made.name}`)
    expect(await remove(made.name)).toMatchObject({ outcome: 'disabled' })
    const owns = async () => {
      const found = await asAdministrator(making, never, deps, (one) => findUsers(one, 'gw-1', 'shop'))
      return found.find(({ name }) => name === made.name)?.owns
    }
    expect(await owns()).toBe(true)
    const superuser = await postgres.connect('shop')
    await superuser.query(`drop owned by ${made.name}`)
    await superuser.end()
    expect(await owns()).toBe(false)
    expect(await remove(made.name)).toMatchObject({ outcome: 'dropped' })
  })

  test('as the role that its settings name, it leaves nothing of its own behind', async () => {
    await postgres.query('grant shop_admin to makes_users with admin option')
    const owner = { ...making, user: { ...making.user, memberOf: ['shop_admin'], settings: { role: 'shop_admin' } } }
    const made = await plan('guest@shop.example', 'grant-guest222')
    await asAdministrator(owner, never, deps, (one) => makeUser(one, made, owner))
    const client = await connect(made.name)
    await client.query('create table guests (text text)')
    const { rows } = await client.query('select session_user, current_user')
    expect(rows).toEqual([{ session_user: made.name, current_user: 'shop_admin' }])
    await client.end()
    expect(await remove(made.name)).toMatchObject({ outcome: 'dropped' })
  })

  test('users of others are neither taken over nor dropped', async () => {
    const made = await plan('taken@shop.example', 'grant-taken222')
    await postgres.query(`create role ${made.name} login`)
    await expect(make(made)).rejects.toMatchObject({ sqlstate: '42710' })
    expect(await remove(made.name)).toMatchObject({ outcome: 'absent' })
    await postgres.query(`comment on role ${made.name} is ${literal(writeMark({ ...made.mark, gateway: 'gw-2' }))}`)
    await expect(make(made)).rejects.toMatchObject({ sqlstate: '42710' })
    expect(await remove(made.name)).toMatchObject({ outcome: 'absent' })
    expect((await role(made.name))['rolcanlogin']).toBe(true)
    const found = await asAdministrator(making, never, deps, (one) => findUsers(one, 'gw-1', 'shop'))
    expect(found.map(({ name }) => name)).not.toContain(made.name)
  })

  test('a membership that may not be given makes nothing', async () => {
    const made = await plan('greedy@shop.example', 'grant-greedy22')
    const greedy = { ...making, user: { ...making.user, memberOf: ['shop_readonly', 'pg_nobody'] } }
    await expect(asAdministrator(greedy, never, deps, (one) => makeUser(one, made, greedy))).rejects.toMatchObject({
      sqlstate: '42704',
    })
    expect(await role(made.name)).toBeUndefined()
  })

  test('any text is one identifier, and one literal', async () => {
    const texts = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => text.isWellFormed() && text !== '')
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const clean = text.replaceAll('\0', '')
        if (clean === '') return
        for (const strings of ['on', 'off']) {
          await postgres.query(`set standard_conforming_strings = ${strings}`)
          const { fields, rows } = await postgres.query(`select ${literal(text)}::text as ${identifier(text)}`)
          expect(Object.values(rows[0] as object)).toEqual([clean])
          if (Buffer.byteLength(clean) < 64) expect(fields[0]!.name).toBe(clean)
        }
      }),
      { numRuns: 50 },
    )
  })
})

test('names are short, of a-z, 0-9 and _, and say who it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (person) => {
      expect(userName(person, 'grant-abcdefgh2345')).toMatch(/^curfew_[a-z0-9](?:[a-z0-9_]{0,38}[a-z0-9])?_abcdefgh$/)
    }),
  )
  expect(userName('Jörg Müller', 'grant-abcdefgh2345')).toBe('curfew_jorg_muller_abcdefgh')
  expect(userName('李', 'grant-abcdefgh2345')).toBe('curfew_person_abcdefgh')
})

test('a mark is read as it was written; nothing else is one', () => {
  const mark = { gateway: 'gw-1', resource: 'shop', role: 'readonly', grant: 'grant-1', person: hostile.slice(0, 200) }
  expect(writeMark(mark)).toMatch(/^[\x20-\x7e]+$/)
  expect(readMark(writeMark(mark))).toEqual(mark)
  for (const comment of ['', 'Curfew: ', 'Curfew: null', 'Curfew: {}', 'Curfew: {"gateway":1}', 'Made by Curfew: {}']) {
    expect(readMark(comment)).toBeUndefined()
  }
})
