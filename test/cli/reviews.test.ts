// Goal: from a terminal one can take access in an emergency, see which wait for their review, look at one and close it.
// Method: the real CLI against a real gateway, with a session as `curfew login` leaves it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
let curfew: Curfew
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
  curfew = await openCurfew(gateway)
})
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const run = (who: Login, ...words: string[]) => curfew.run(who, ...words)

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

test(
  'standing access is looked at: started, shown, confirmed, ended, and taken away as a table',
  { timeout: 60_000 },
  async () => {
    for (const who of ['sam', 'olga'] as const) await curfew.login(who)
    const refused = await run('alice', 'campaign', 'start', 'autumn')
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('Operators and reviewers start campaigns.'),
    ])
    const started = await run(
      'olga',
      'campaign',
      'start',
      'autumn',
      '--for',
      '14d',
      '--grants',
      '1m',
      '--tokens',
      '1m',
      '--reviewers',
      'security',
    )
    const [id] = /campaign-\w+/.exec(started.stdout)!
    expect(started.stdout).toMatch(
      /^campaign-\w+: \d+ entries, due 20.*\. https:\/\/localhost:\d+\/reviews\/campaigns\/campaign-\w+\n$/,
    )
    const shown = await run('sam', 'campaign', 'show', id)
    const [, token] = /(entry-\w+) +token “a terminal” +alice@shop\.example +20.* waits for you/.exec(shown.stdout)!
    const [, policy] = /(entry-\w+) +policy “[^”]+” +waits for you +gives /.exec(shown.stdout)!
    expect(await run('sam', 'campaign', 'confirm', id, token!)).toMatchObject({ status: 2 })
    const own = /(entry-\w+) +token “a terminal” +sam@shop\.example .* waiting /.exec(shown.stdout)![1]!
    expect((await run('sam', 'campaign', 'end', id, own)).stderr).toContain('Nobody decides on their own access.')
    expect((await run('sam', 'campaign', 'end', id, token!)).stdout).toBe(
      'token “a terminal” of alice@shop.example is ended.\n',
    )
    expect((await run('alice', 'grants')).status).toBe(1) // the token is gone
    expect((await run('sam', 'campaign', 'confirm', id, policy!, '--comment', 'as agreed')).stdout).toMatch(
      / is confirmed\.\n$/,
    )
    expect((await run('olga', 'campaign', 'list')).stdout).toMatch(
      new RegExp(`${id} +autumn +20.* \\d+ to decide +\\d+\n`),
    )
    const table = await run('olga', 'campaign', 'show', id, '--csv')
    expect(table.stdout).toMatch(/^entry,kind,subject,[^]*,confirmed,sam@shop\.example,20[^,]*,as agreed\r\n/)
  },
)
