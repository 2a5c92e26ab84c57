// Goal: from a terminal one reads every report, takes it away as a file, and sees what a changed file would change before it
// does. Method: the real CLI against a real gateway, with the gateway's own configuration file, changed.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { reportNames } from '../../src/access/reports/shapes.ts'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
let curfew: Curfew
beforeAll(async () => {
  gateway = await startTestGateway({ configure: (config) => (config.reports = { teams: ['engineering'] }) })
  curfew = await openCurfew(gateway)
  await gateway.grant('alice', 'reporting')
  await gateway.grant('dave', 'readonly')
}, 60_000)
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const run = (who: Login, ...words: string[]) => curfew.run(who, ...words)

test('a list of reports, and each as a table', { timeout: 60_000 }, async () => {
  const list = await run('sam', 'report')
  for (const name of reportNames) expect(list.stdout).toMatch(new RegExp(`^${name} +[A-Z]`, 'm'))
  const free = await run('sam', 'report', 'without-a-human')
  expect(free.stdout).toMatch(/^engineering +prod-db +reporting +nobody +8 h +reporting +2$/m)
  const requests = await run('sam', 'report', 'requests')
  expect(requests.stdout).toMatch(/^all +all requests +2 +0 +1 +1 +0 +0 +0 +0 % /m)
  expect(requests.stdout).toMatch(/^team +engineering +2 /m)
  expect(requests.stdout).not.toMatch(/^team +approvers/m)
  expect((await run('sam', 'report', 'use')).stdout).toContain('There is nothing to show.')
})

test('the same CSV as the gateway makes, also into a file that nobody else reads', { timeout: 60_000 }, async () => {
  const file = join(curfew.folder, 'requests.csv')
  const { status, stdout, stderr } = await run('sam', 'report', 'requests', '--csv', '--output', file, '--days', '7')
  expect([status, stdout, stderr]).toEqual([0, '', expect.stringMatching(/^\d rows are in .*requests\.csv\.\n$/)])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const visitor = await gateway.visitor('sam')
  const page = await visitor.open(new URL('/reports/requests/download?format=csv&days=7', gateway.url), 'sam')
  expect(await readFile(file, 'utf8')).toBe(page.body)
  expect(page.body).toMatch(/^by,name,requests,.*\r\nall,all requests,2,/)
})

test('JSON for programs; mistakes are told', { timeout: 60_000 }, async () => {
  const { stdout } = await run('olga', 'report', 'standing', '--json')
  expect(JSON.parse(stdout)).toMatchObject({
    name: 'standing',
    days: null,
    rows: expect.arrayContaining([expect.objectContaining({ kind: 'grant', person: 'alice@shop.example' })]),
  })
  expect(await run('alice', 'report')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('Reports are for reviewers and operators.'),
  })
  const unknown = await run('sam', 'report', 'nothing')
  expect([unknown.status, unknown.stderr]).toEqual([1, expect.stringContaining('There are: without-a-human, ')])
  expect((await run('sam', 'report', 'use', '--days', '0')).status).toBe(2)
  expect((await run('sam', 'report', 'use', '--json', '--csv')).status).toBe(2)
})

async function changed(change: (config: ConfigInput) => void): Promise<string> {
  const config = parse(await readFile(gateway.configFile, 'utf8')) as ConfigInput
  change(config)
  const file = join(gateway.folder, 'changed.yaml')
  await writeFile(file, stringify(config))
  return file
}

test('a dry run of the file that is in use finds nothing', { timeout: 60_000 }, async () => {
  const { status, stdout, stderr } = await run('olga', 'policy', 'dry-run', gateway.configFile)
  expect([status, stdout]).toEqual([
    0,
    '2 requests and 0 refused attempts of 30 days, and 2 living grants were judged by both.\nNothing of it would have been judged otherwise.\n',
  ])
  expect(stderr).toContain('the groups and claims that they have now')
})

test(
  'a dry run says who would be refused, what would stop, and who could reach less',
  { timeout: 60_000 },
  async () => {
    const file = await changed((config) => {
      config.policies = config.policies.filter(({ name }) => name !== 'readonly')
    })
    const { status, stdout } = await run('olga', 'policy', 'dry-run', file, '--days', '7')
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^1 would be refused\n {2}request-\w+ {2}20.* UTC {2}dave@shop\.example {2}prod-db as readonly\n {6}now {6}“readonly”: one of approvers, at most 8 h\n {6}changed {2}No policy lets you have prod-db as readonly\.$/m,
    )
    expect(stdout).toMatch(/^1 living access that would stop\n {2}grant-\w+ /m)
    expect(stdout).toContain(
      'Who could reach less\n  - engineering: prod-db as readonly, takes one of approvers, at most 8 h\n',
    )
    const json = JSON.parse((await run('olga', 'policy', 'dry-run', file, '--json')).stdout) as { counts: object }
    expect(json.counts).toMatchObject({ 'now-refused': 1, 'grant-stopped': 1, 'now-allowed': 0 })
  },
)

test('a file that is wrong goes nowhere, and others may not try', { timeout: 60_000 }, async () => {
  const wrong = await changed((config) => (config.policies[0]!.what = { resources: ['prod-bd'] }))
  const told = await run('olga', 'policy', 'dry-run', wrong)
  expect([told.status, told.stderr]).toEqual([2, expect.stringContaining('there is no resource "prod-bd"')])
  const refused = await run('sam', 'policy', 'dry-run', gateway.configFile)
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('Dry runs are for operators.')])
})
