// Goal: from a terminal one can take access in an emergency, see which wait for their review, look at one and close it.
// Method: the real CLI against a real gateway, with a session as `curfew login` leaves it.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

let gateway: TestGateway
let home: string
beforeAll(async () => {
  gateway = await startTestGateway({
    configure: (config) =>
      config.policies.unshift({
        name: 'break glass',
        who: { groups: ['engineering'] },
        what: { roles: ['admin'] },
        breakGlass: { review: { from: ['approvers'] } },
      }),
  })
  home = await mkdtemp(join(tmpdir(), 'curfew-cli-'))
  for (const who of ['alice', 'bob'] as const) await keepSession(who)
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await rm(home, { recursive: true })
})

async function keepSession(who: Login): Promise<void> {
  const wish = { label: 'a terminal', kind: 'cli', lengthMs: 3_600_000 } as const
  const { text } = await gateway.gateway.identity.tokens.make(await gateway.person(who), wish)
  const folder = join(home, who, 'curfew')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  const session = { gateway: gateway.url.origin, ca: gateway.ca, token: text, person: who, expiresAt }
  await writeFile(join(folder, 'session.json'), JSON.stringify(session), { mode: 0o600 })
}

async function run(who: Login, ...words: string[]) {
  await using program = new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: join(home, who) } })
  return await program.exited()
}

test('an emergency is taken, looked at, and closed by somebody else', { timeout: 60_000 }, async () => {
  const wordless = await run('alice', 'request', 'prod-db', 'admin', '--emergency', '--reason', 'x')
  expect([wordless.status, wordless.stderr]).toEqual([1, expect.stringContaining('say in a sentence what is going on')])
  const taken = await run(
    'alice',
    'request',
    'prod-db',
    'admin',
    '--emergency',
    '--reason',
    'checkout is down',
    '--for',
    '30m',
  )
  expect(taken.stdout).toMatch(/prod-db as admin is approved until 20.* \(grant-\w+\)\.\n/)
  expect(taken.stderr).toContain('Somebody will look at it afterwards.')

  await using psql = gateway.psql({
    user: 'admin.token',
    password: await gateway.token('alice'),
    commands: ['select 42'],
  })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: '42\n' })

  const list = await run('bob', 'reviews')
  const [id] = /review-\w+/.exec(list.stdout)!
  expect(list.stdout).toMatch(/alice@shop\.example +prod-db as admin +20.* waits for you +checkout is down\n/)
  expect(await run('alice', 'reviews')).toMatchObject({ status: 0, stdout: '' })
  const shown = await run('bob', 'review', id)
  expect(shown.stdout).toMatch(
    /Why +checkout is down\n[^]*Session +20.* https:\/\/localhost:\d+\/recordings\/session-\w+\n/,
  )
  expect(await run('bob', 'review', id, '--justified')).toMatchObject({ status: 2 })
  expect((await run('alice', 'review', id, '--justified', '--comment', 'x')).stderr).toContain(
    'Nobody reviews their own',
  )
  const closed = await run('bob', 'review', id, '--not-justified', '--comment', 'there was no outage')
  expect(closed.stdout).toBe(`${id} is closed: not justified.\n`)
  expect((await run('alice', 'grants')).stdout).toBe('')
  expect((await run('bob', 'review', id, '--justified', '--comment', 'x')).stderr).toContain(
    'closed this review already',
  )
  const [all] = (await run('bob', 'reviews', '--all', '--json')).stdout.trim().split('\n')
  expect(JSON.parse(all!)).toMatchObject({ id, state: 'closed', comment: 'there was no outage', grantState: 'revoked' })
})
