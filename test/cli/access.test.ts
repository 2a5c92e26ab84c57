// Goal: from a terminal one can ask, decide, wait, hand back, revoke, lock and unlock, and reads plainly what came of it.
// Method: the real CLI against a real gateway, with a session as `curfew login` leaves it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
let curfew: Curfew
beforeAll(async () => {
  gateway = await startTestGateway()
  curfew = await openCurfew(gateway)
})
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const run = (who: Login, ...words: string[]) => curfew.run(who, ...words)

const json = ({ stdout }: { stdout: string }) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('a request waits until somebody decides; what was given is handed back', async () => {
  await using waiting = await curfew.start(
    'alice',
    'request',
    'prod-db',
    'readonly',
    '--for',
    '1h',
    '--reason',
    'why',
    '--wait',
  )
  const [id] = await waiting.until(/request-\w+/)
  const list = await run('bob', 'requests')
  expect(list.stdout).toMatch(
    new RegExp(`${id} +alice@shop\\.example +prod-db as readonly +1 h +\\w+ \\d+ +20.* why\n`),
  )
  expect((await run('alice', 'approve', id)).stderr).toMatch(/^curfew: Nobody decides on their own request\.\n {2}/)
  expect((await run('bob', 'approve', id, '--comment', 'fine')).stdout).toMatch(
    /is approved until 20.* \(grant-\w+\)\.\n/,
  )
  expect(await waiting.exited()).toMatchObject({ status: 0, stdout: expect.stringContaining('is approved until 20') })

  expect((await run('alice', 'grants')).stdout).toMatch(/grant-\w+ +prod-db as readonly +active +20/)
  expect((await run('alice', 'end', 'prod-db', 'admin')).stderr).toContain('you have no access to prod-db as admin now')
  expect(await run('alice', 'end', 'prod-db')).toMatchObject({
    status: 0,
    stdout: 'prod-db as readonly is handed back.\n',
  })
  expect(await run('alice', 'grants')).toMatchObject({ status: 0, stdout: '' })
  expect(json(await run('alice', 'requests', '--json'))).toMatchObject([{ id, grant: { state: 'ended' } }])
})

test('a refusal ends the wait with its comment and exit code 1', async () => {
  await using waiting = await curfew.start('alice', 'request', 'prod-db', 'readonly', '--reason', 'again', '--wait')
  const [id] = await waiting.until(/request-\w+/)
  await run('bob', 'deny', id, '--comment', 'not today')
  const { status, stdout } = await waiting.exited()
  expect([status, stdout]).toEqual([1, expect.stringMatching(/was refused by bob@shop\.example: not today\n$/)])
})

test('who asked calls it off, and nobody else', async () => {
  await using waiting = await curfew.start('alice', 'request', 'prod-db', 'readonly', '--reason', 'oh', '--wait')
  const [id] = await waiting.until(/request-\w+/)
  const other = await run('bob', 'cancel', id)
  expect([other.status, other.stderr]).toEqual([1, expect.stringMatching(/^curfew: .*\n {2}\S/)])
  expect(await run('alice', 'cancel', id)).toMatchObject({
    status: 0,
    stdout: `${id}: prod-db as readonly was called off.\n`,
  })
  expect(await waiting.exited()).toMatchObject({ status: 1 })
  const again = await run('alice', 'cancel', id, '--json')
  expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/^curfew: /)])
  const grant = await run('alice', 'cancel', 'grant-1')
  expect([grant.status, grant.stderr]).toEqual([2, expect.stringContaining('curfew requests')])
})

test('an approver gives less than was asked for', async () => {
  const [asked] = json(
    await run('alice', 'request', 'prod-db', 'readonly', '--reason', 'less', '--for', '1h', '--json'),
  )
  const id = asked!['id'] as string
  expect((await run('alice', 'requests')).stdout).toMatch(
    new RegExp(`${id} .* requested +20.* one more of approvers\n`),
  )
  expect((await run('bob', 'approve', id, '--for', '2h')).stderr).toContain('They asked for 1 h; nobody gets more.')
  expect((await run('bob', 'approve', id, '--from', 'soon')).stderr).toContain('expected a moment such as')
  const less = ['--for', '10m', '--from', '2030-01-01T09:00Z', '--network', '127.0.0.1', '--network', '10.1.2.3/8']
  expect((await run('bob', 'approve', id, ...less)).stderr).toContain('The start is more than 90 days ahead.')
  const given = await run('bob', 'approve', id, ...less.toSpliced(2, 2), '--comment', 'ten minutes will do')
  expect(given.stdout).toMatch(
    /is approved until 20.*\n {2}bob@shop\.example approved it for at most 10 min, only from 10\.0\.0\.0\/8 and 127\.0\.0\.1\.\n$/,
  )
  expect((await run('alice', 'end', 'prod-db')).status).toBe(0)
})

test('what needs nobody is there at once; approvers and operators revoke it', async () => {
  const [request] = json(await run('alice', 'request', 'prod-db', 'reporting', '--json'))
  expect(request).toMatchObject({ state: 'approved', grant: { state: 'active' } })
  const { id } = request!['grant'] as { id: string }
  expect((await run('bob', 'revoke', id)).stderr).toContain('Only operators and the approvers of this role')
  expect((await run('olga', 'revoke', id, '--comment', 'drill')).stdout).toBe(`${id} is revoked.\n`)
  const unclear = await run('alice', 'request', 'prod-db')
  expect([unclear.status, unclear.stderr]).toEqual([
    1,
    expect.stringContaining('Say which: reporting, readonly, admin'),
  ])
})

test('an operator locks a network for a while, sees it, and lifts it; psql feels both', async () => {
  await gateway.grant('alice', 'reporting')
  const password = await gateway.token('alice')
  await using psql = gateway.psql({
    user: 'reporting.token',
    password,
    commands: ['select 42', 'select pg_sleep(600)'],
  })
  await psql.until(/42/)
  const refused = await run('alice', 'lock', '--resource', 'prod-db', '--reason', 'x')
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('Only operators place and lift locks.')])
  const words = ['--address', '127.0.0.0/8', '--group', 'engineering', '--for', '2h', '--reason', 'odd traffic']
  const placed = await run('olga', 'lock', ...words)
  expect(placed.stdout).toMatch(/^group engineering, from 127\.0\.0\.0\/8 is locked until 20.*\.\n$/)
  expect((await psql.exited()).stderr).toContain('Access is locked: odd traffic')
  const [id] = /lock-\w+/.exec(placed.stderr)!
  expect((await run('olga', 'locks')).stdout).toMatch(new RegExp(`${id} +group engineering, from .* odd traffic\n`))
  expect((await run('olga', 'unlock', id)).stdout).toBe(`${id} is lifted.\n`)
  expect((await run('olga', 'unlock', id)).stderr).toContain('There is no such lock, or it was lifted already.')
  expect(json(await run('olga', 'locks', '--all', '--json'))).toMatchObject([
    { id, state: 'lifted', address: '127.0.0.0/8' },
  ])
  await using again = gateway.psql({ user: 'reporting.token', password, commands: ['select 42'] })
  expect(await again.exited()).toMatchObject({ status: 0, stdout: '42\n' })
  const typo = await run('olga', 'lock', '--resource', 'prod-bd', '--reason', 'x')
  expect(typo.stderr).toBe('curfew: There is no resource "prod-bd" here.\n  Did you mean "prod-db"?\n')
})
