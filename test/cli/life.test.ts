// Goal: from a terminal one asks for more time, for recurring hours and for bundles, and reads plainly what came of it.
// Method: the real CLI against a real gateway, with a session as `curfew login` leaves it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
let curfew: Curfew
beforeAll(async () => {
  gateway = await startTestGateway({
    configure: (config) => {
      const [reporting, readonly, admin] = config.policies
      const grants = { recurring: '14d', total: '9h' }
      config.policies = [{ ...reporting!, grants }, readonly!, { ...admin!, grants: { uses: 'once' } }]
      const items = [
        { resource: 'prod-db', role: 'reporting', for: '30m' },
        { resource: 'prod-db', role: 'readonly' },
      ]
      config.bundles = [{ name: 'first-day', description: 'For new people', items }]
    },
  })
  curfew = await openCurfew(gateway)
}, 60_000)
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
})

const run = (who: Login, ...words: string[]) => curfew.run(who, ...words)
const json = ({ stdout }: { stdout: string }) =>
  stdout
    .trim()
    .split('\n')
    // oxlint-disable-next-line typescript/no-explicit-any -- tests state what they expect
    .map((line): any => JSON.parse(line))

test('more time where nobody is needed, and where somebody decides', { timeout: 60_000 }, async () => {
  const [request] = json(await run('alice', 'request', 'prod-db', 'reporting', '--for', '1h', '--json'))
  const more = await run('alice', 'extend', 'prod-db', '--for', '30m')
  expect(more.stdout).toMatch(/prod-db as reporting is extended until 20.* \(grant-\w+\)\.\n$/)
  const [grant] = json(await run('alice', 'grants', '--json'))
  expect(Date.parse(grant.expiresAt)).toBe(Date.parse(request.grant.expiresAt) + 1_800_000)
  expect((await run('alice', 'extend', 'prod-db', '--for', '8h')).stderr).toMatch(
    /With extensions this access lasts at most 9 h\.\n {2}Ask for at most 7 h 30 min more\./,
  )
  expect((await run('alice', 'extend', 'prod-db', 'admin')).stderr).toContain('you have no access to prod-db as admin')
  await run('alice', 'end', 'prod-db')

  const [asked] = json(await run('alice', 'request', 'prod-db', 'readonly', '--reason', 'x', '--json'))
  await run('bob', 'approve', asked.id)
  await using waiting = await curfew.start(
    'alice',
    'extend',
    'prod-db',
    '--for',
    '10m',
    '--reason',
    'not done',
    '--wait',
  )
  const [id] = await waiting.until(/request-\w+/)
  expect((await run('bob', 'approve', id)).stdout).toContain('is extended until 20')
  expect(await waiting.exited()).toMatchObject({ status: 0, stdout: expect.stringContaining('is extended') as string })
  await run('alice', 'end', 'prod-db')
})

test('recurring hours, and what is no hours', { timeout: 60_000 }, async () => {
  const ask = (...words: string[]) => run('alice', 'request', 'prod-db', 'reporting', ...words)
  expect(await ask('--days', 'mon')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('go with --hours') as string,
  })
  expect((await ask('--hours', '9-17')).stderr).toContain('expected hours such as 09:00-17:00')
  expect((await ask('--hours', '09:00-17:00', '--days', 'someday')).stderr).toContain('expected weekdays')
  const words = ['--hours', '09:00-17:00', '--days', 'weekdays', '--zone', 'Europe/Berlin', '--for', '14d']
  const [request] = json(await ask(...words, '--json'))
  const hours = [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00', zone: 'Europe/Berlin' }]
  expect(request).toMatchObject({ state: 'approved', hours, grant: { hours } })
  expect((await run('alice', 'grants')).stdout).toContain('only mon,tue,wed,thu,fri 09:00-17:00 (Europe/Berlin)')
  expect((await run('alice', 'extend', 'prod-db', '--for', '1h')).stderr).toContain('certain hours is not extended')
  await run('alice', 'end', 'prod-db')
})

test('a bundle', { timeout: 60_000 }, async () => {
  const done = await run('alice', 'request', '--bundle', 'first-day', '--reason', 'I am new')
  expect(done.stdout).toMatch(/prod-db as reporting is approved until .*\n.*prod-db as readonly waits for one more/)
  expect((await run('alice', 'request', '--bundle', 'first-dya')).stderr).toContain('Did you mean "first-day"?')
  expect((await run('alice', 'request', 'prod-db', '--bundle', 'first-day')).status).toBe(2)
  expect((await run('alice', 'request')).status).toBe(2)
  await run('alice', 'end', 'prod-db')
})
