// Goal: whoever answers for access reads who has it and what happened, as a page, as JSON and as CSV that any program reads
// as it was; and sees before a policy changes what it would have changed. Method: the real rooms, the real API, a real CSV
// reader, a real browser of the size of a phone.
import { execFileSync } from 'node:child_process'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../src/audit/event.ts'
import type { Scope } from '../../src/identity/scopes.ts'
import { reportNames, type ReportName } from '../../src/access/reports/shapes.ts'
import { dryRun, report as reportShape } from '../../src/web/api-schema.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let sam: SignedIn
let olga: SignedIn
let ada: SignedIn
beforeAll(async () => {
  pages = await startPages()
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  sam = await pages.signIn('sam')
  olga = await pages.signIn('olga')
  ada = await pages.signIn('ada')
  await live()
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const reason = '=HYPERLINK("http://evil.example","look")'

/** What the reports are about: two requests that waited, one of them refused; one at once; a session; attempts that failed. */
async function live(): Promise<void> {
  await erin.post('/ask', { resource: 'staging', role: 'readonly', for: '1h' })
  const approved = await asked('readonly')
  await pages.access.decide(ada.person, approved, 'approve', 'fine')
  await pages.access.decide(ada.person, await asked('admin'), 'deny', 'no')
  await erin.post('/ask', { resource: 'prod-db', role: 'readonly', for: '9d', reason })
  await expect(asked('x', 'no-such')).rejects.toThrow('There is no resource')
  const session = await pages.openSession(erin.person, 'staging', 'readonly')
  await session.end({ by: 'client', bytesFromClient: 120, bytesFromTarget: 4096 })
  await expect(pages.openSession(erin.person, 'prod-db', 'admin')).rejects.toThrow('no access')
}

async function asked(role: string, resource = 'prod-db') {
  const wish = { resource, role, lengthMs: 3_600_000, reason, ticket: null, startsAt: null }
  return (await pages.access.ask(erin.person, { ...wish, origin: 'psql at 10.1.2.3' })).id
}

async function tokenOf(who: SignedIn, scopes: readonly Scope[] = ['all']): Promise<Record<string, string>> {
  const wish = { label: 'reports', kind: 'access', lengthMs: 3_600_000, scopes } as const
  return { authorization: `Bearer ${(await pages.identity.tokens.make(who.person, wish)).text}` }
}

async function read(name: ReportName, query = '') {
  const answer = await pages.stranger().json('GET', `/api/v1/reports/${name}${query}`, undefined, await tokenOf(sam))
  expect(answer.status).toBe(200)
  return reportShape.parse(answer.body)
}

describe('over the API', () => {
  test('every report comes in the shape that it says, and there is a list of them', async () => {
    const list = await pages.stranger().json('GET', '/api/v1/reports', undefined, await tokenOf(sam, ['reports:read']))
    expect(list.body.reports.map(({ name }: { name: string }) => name)).toEqual(reportNames)
    for (const name of reportNames) {
      const { columns, rows } = await read(name)
      expect(rows.length).toBeGreaterThan(0)
      for (const row of rows) expect(Object.keys(row)).toEqual(columns.map(({ key }) => key))
    }
  })

  test('what they say is what happened', async () => {
    expect((await read('without-a-human')).rows).toEqual([
      expect.objectContaining({
        who: 'engineering',
        resource: 'staging',
        role: 'readonly',
        takes: 'nobody',
        people: 2,
      }),
      expect.objectContaining({ who: 'engineering', resource: 'web-1', role: 'ops', lengthMostMs: 8 * 3_600_000 }),
    ])
    expect((await read('standing')).rows).toMatchObject([
      { kind: 'grant', person: 'erin@example.test', resource: 'staging', approvedBy: [], lengthMs: 3_600_000 },
      { kind: 'grant', resource: 'prod-db', role: 'readonly', approvedBy: ['ada@example.test'], lastUsedAt: null },
    ])
    const unused = (await read('unused')).rows
    expect(unused.filter(({ kind }) => kind === 'role').map(({ name }) => name)).toEqual([
      'prod-db as readonly',
      'prod-db as admin',
      'web-1 as ops',
    ])
    expect(unused.filter(({ kind }) => kind !== 'role')).toMatchObject([{ kind: 'grant', resource: 'prod-db' }])
    const requests = (await read('requests')).rows
    expect(requests[0]).toMatchObject({ by: 'all', requests: 3, approved: 1, atOnce: 1, refused: 1, refusedShare: 0.5 })
    expect(requests.map(({ by, name, requests: count }) => [by, name, count])).toEqual([
      ['all', 'all requests', 3],
      ['resource', 'prod-db', 2],
      ['resource', 'staging', 1],
      ['team', 'engineering', 3],
      ['approvers', 'approvers', 2],
      ['approvers', 'security', 2],
    ])
    expect((await read('failed')).rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ what: 'request.refused', code: 'LENGTH_REFUSED', resource: 'prod-db', times: 1 }),
        expect.objectContaining({ what: 'request.refused', code: 'RESOURCE_UNKNOWN', resource: 'no-such' }),
        expect.objectContaining({ what: 'session.refused', code: 'NO_GRANT', address: '203.0.113.9' }),
      ]),
    )
    expect((await read('use')).rows).toMatchObject([
      {
        person: 'erin@example.test',
        resource: 'staging',
        sessions: 1,
        live: 0,
        bytesFromClient: 120,
        bytesFromTarget: 4096,
      },
    ])
  })

  test.each(reportNames)('another program reads the CSV of %s as it was', async (name) => {
    const token = await tokenOf(sam)
    const report = await pages
      .stranger()
      .json('GET', `/api/v1/reports/${name}`, undefined, token)
      .then(({ body }) => body)
    const call = await pages.stranger().get(`/api/v1/reports/${name}?format=csv`, token)
    expect(call.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
    const parsed = readCsv(call.text)
    expect(parsed[0]).toEqual(report.columns.map(({ key }: { key: string }) => key))
    expect(parsed).toHaveLength(report.rows.length + 1)
    const isSteady = (_: unknown, column: number) => report.columns[column].key !== 'ageMs'
    expect(parsed.slice(1).map((row) => row.filter(isSteady))).toEqual(
      report.rows.map((row: Record<string, unknown>) => Object.values(row).map(cellText).filter(isSteady)),
    )
  })

  test('only for reviewers and operators, with a token for it, within bounds', async () => {
    const call = async (token: Promise<Record<string, string>>, path = '/reports/use') =>
      (await pages.stranger().json('GET', `/api/v1${path}`, undefined, await token)).body.code
    expect(await call(tokenOf(erin))).toBe('NOT_ALLOWED')
    expect(await call(tokenOf(sam, ['audit:read']))).toBe('INSUFFICIENT_SCOPE')
    expect(await call(tokenOf(olga, ['reports:read']))).toBeUndefined()
    expect(await call(tokenOf(sam), '/reports/nothing')).toBe('NOT_FOUND')
    expect(await call(tokenOf(sam), '/reports/use?days=0')).toBe('INPUT_INVALID')
    expect(await call(tokenOf(sam), '/reports/use?days=367')).toBe('INPUT_INVALID')
  })

  test('reading one is a fact, once for each token', async () => {
    const token = await tokenOf(sam)
    const since = (await pages.state.audit.head()).sequence
    for (const name of ['use', 'use', 'failed']) {
      await pages.stranger().json('GET', `/api/v1/reports/${name}?days=7`, undefined, token)
    }
    const events = (await pages.state.audit.events(since, 10)).map(({ json }) => JSON.parse(json) as AuditEvent)
    expect(events.map(({ type, data }) => [type, data['report'], data['days']])).toEqual([
      ['report.read', 'use', 7],
      ['report.read', 'failed', 7],
    ])
  })
})

/** Python's, which is not ours. */
function readCsv(text: string): string[][] {
  const program =
    'import csv, io, json, sys; print(json.dumps(list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), newline="")))))'
  return JSON.parse(execFileSync('python3', ['-c', program], { input: text, encoding: 'utf8' })) as string[][]
}

function cellText(cell: unknown): string {
  if (cell === null) return ''
  if (typeof cell === 'string') return cell
  return Array.isArray(cell) ? cell.join('; ') : JSON.stringify(cell)
}

/** As a file would have them: nothing changed. */
const resource = (kind: string, roles: Record<string, object>) => ({
  kind,
  host: 'db.example',
  tls: { mode: 'disable' },
  roles,
})
const login = (databases = ['shop']) => ({ login: 'x', password: 'env:X', databases })
const resources = {
  'prod-db': resource('postgres', { readonly: login(), admin: login() }),
  staging: resource('postgres', { readonly: login() }),
  'web-1': {
    ...{ kind: 'ssh', host: 'web.example' },
    hostKeys: { fingerprints: ['SHA256:PJzhHsWAa7vpcF2HU8rE7IVwWLXsZwFSFR7xCMJEVI0'] },
    roles: { ops: { login: 'ops' } },
  },
}
const production = {
  name: 'production takes an approver',
  who: { groups: ['engineering'] },
  what: { resources: ['prod-db'] },
  approval: { from: ['approvers', 'security'] },
}
const staging = {
  name: 'staging is self-service',
  who: { groups: ['engineering'] },
  what: { resources: ['staging', 'web-1'] },
  reason: 'optional',
  approval: 'none',
}

describe('a dry run', () => {
  const call = async (policies: object[], who = olga, more: object = {}) =>
    pages
      .stranger()
      .json('POST', '/api/v1/policies/dry-run', { rules: { resources, policies, ...more } }, await tokenOf(who))
  const run = async (policies: object[], more?: object) => {
    const answer = await call(policies, olga, more)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return dryRun.parse(answer.body)
  }
  const differing = async (policies: object[], more?: object) => {
    const { differences, counts } = await run(policies, more)
    const found = Object.entries(counts).filter(([, count]) => count > 0)
    return { counts: Object.fromEntries(found), differences }
  }

  test('what stays as it is differs in nothing', async () => {
    const { looked, differences, reach } = await run([production, staging])
    expect(looked).toMatchObject({ requests: 3, grants: 2 })
    expect([differences, reach]).toEqual([[], { gained: [], lost: [] }])
  })

  test('refused now, also living access', async () => {
    const { counts, differences } = await differing([staging])
    expect(counts).toEqual({ 'now-refused': 2, 'grant-stopped': 1 })
    expect(differences.find(({ what }) => what === 'request')).toMatchObject({
      ...{ person: 'erin@example.test', resource: 'prod-db', id: expect.stringMatching(/^request-/) },
      before: '“production takes an approver”: one of approvers or security, at most 8 h',
      after: 'No policy lets you have prod-db as admin.',
    })
  })

  test('another approval, other approvers, another length, another name', async () => {
    expect(
      (await differing([{ ...production, approval: { people: 2, from: ['approvers', 'security'] } }, staging])).counts,
    ).toEqual({
      'other-approval': 2,
    })
    expect((await differing([{ ...production, approval: { from: ['security'] } }, staging])).counts).toEqual({
      'other-approvers': 2,
    })
    expect((await differing([{ ...production, for: { most: '2h' } }, staging])).counts).toEqual({ 'other-length': 2 })
    expect((await differing([{ ...production, name: 'another' }, staging])).counts).toEqual({ 'other-policy': 2 })
    const both = await differing([{ ...production, name: 'another', for: { most: '2h' } }, staging])
    expect(both.differences[0]!.kinds).toEqual(['other-length', 'other-policy'])
  })

  test('what was asked for does not fit any more: too long, no ticket, from elsewhere', async () => {
    const short = await differing([{ ...production, for: { default: '10m', most: '30m' } }, staging])
    expect(short.counts).toEqual({ 'now-refused': 2 })
    expect(short.differences[0]!.after).toBe(
      '1 h is longer than the policy allows. (by “production takes an approver”)',
    )
    const ticket = await differing([{ ...production, ticket: { pattern: 'INC-[0-9]+' } }, staging])
    expect(ticket.differences[0]!.after).toContain('A ticket is needed for this.')
    expect((await differing([{ ...production, from: { networks: ['10.0.0.0/8'] } }, staging])).counts).toEqual({})
    expect((await differing([{ ...production, from: { networks: ['192.168.0.0/16'] } }, staging])).counts).toEqual({
      'now-refused': 2,
    })
  })

  test('what was refused then, and would be allowed now; and who could reach more', async () => {
    const more = { 'no-such': resource('postgres', { x: login() }) }
    const open = { ...staging, name: 'open', what: { resources: ['no-such'] } }
    const answer = await run([production, staging, open], { resources: { ...resources, ...more } })
    expect(answer.counts).toMatchObject({ 'now-allowed': 1 })
    expect(answer.differences).toMatchObject([
      { what: 'attempt', id: null, resource: 'no-such', role: 'x', before: 'There is no resource “no-such”.' },
    ])
    expect(answer.reach).toEqual({ gained: ['engineering: no-such as x, takes nobody, at most 8 h'], lost: [] })
  })

  test('a denial, and a resource that is gone', async () => {
    const no = { name: 'no admins', effect: 'deny', what: { roles: ['admin'] }, message: 'Nobody is admin.' }
    const { differences } = await differing([production, staging, no])
    expect(differences).toMatchObject([{ role: 'admin', after: 'Nobody is admin. (by “no admins”)' }])
    const { staging: _, ...rest } = resources
    const ssh = { ...staging, what: { resources: ['web-1'] } }
    expect((await differing([production, ssh], { resources: rest })).counts).toEqual({
      'now-refused': 1,
      'grant-stopped': 1,
    })
  })

  test('only for operators; what is no file is told; and not too much at once', async () => {
    expect((await call([production], sam)).body.code).toBe('NOT_ALLOWED')
    expect((await call([production], erin)).body.code).toBe('NOT_ALLOWED')
    const wrong = await call([{ ...production, what: { resources: ['prod-bd'] } }])
    expect([wrong.status, wrong.body.detail]).toEqual([
      422,
      expect.stringContaining('policies[0].what.resources[0]: there is no resource "prod-bd"'),
    ])
    expect((await call([{ name: 1 }])).body.code).toBe('INPUT_INVALID')
    expect((await call([{ ...production, name: 'x'.repeat(600_000) }])).body.code).toBe('TOO_LARGE')
  })
})

describe('on the pages', () => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const
  async function pageOf(who: SignedIn): Promise<Page> {
    const page = await chromium.page(phone)
    const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
    await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
    return page
  }
  const at = (path: string) => `${pages.url.origin}${path}`
  const shots = process.env['CURFEW_SHOTS']

  test('a reviewer finds every report, reads it on a phone, and takes it away', { timeout: 60_000 }, async () => {
    const page = await pageOf(sam)
    await page.goto(at('/reports'))
    expect(await page.getByText('Dry run').count()).toBe(0)
    for (const name of reportNames) {
      await page.goto(at(`/reports/${name}`))
      await page.locator('table.report tbody tr').first().waitFor()
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
      if (shots) await page.screenshot({ path: `${shots}/report-${name}.png`, fullPage: true })
    }
    await page.goto(at('/reports/requests'))
    await page.getByLabel('Back from now').selectOption('90 days')
    await page.getByRole('button', { name: 'Show' }).click()
    await page.waitForURL('**/reports/requests?days=90')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'CSV' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('curfew-requests.csv')
    await page.context().close()
  })

  test('what people wrote does nothing on them', async () => {
    const failed = await sam.get('/reports/failed')
    expect(failed.text).not.toContain('<script>alert')
    expect(failed.status).toBe(200)
  })

  test('where there is nothing, it says so; others do not get in', async () => {
    const nothing = await olga.get('/reports/standing')
    expect(nothing.status).toBe(200)
    for (const path of ['/reports', '/reports/use', '/reports/use/download?format=csv', '/reports/dry-run']) {
      expect((await erin.get(path)).status).toBe(403)
    }
    expect((await sam.get('/reports/dry-run')).status).toBe(403)
    expect((await sam.get('/reports/nothing')).status).toBe(404)
    expect((await sam.get('/reports/use/download?format=xls')).status).toBe(404)
    expect((await sam.get('/reports/use?days=many')).status).toBe(422)
  })

  test('an operator tries changed policies', { timeout: 30_000 }, async () => {
    const page = await pageOf(olga)
    await page.goto(at('/reports/dry-run'))
    const area = page.getByLabel('The changed file')
    await area.fill('policies: [')
    await page.getByRole('button', { name: 'Try it' }).click()
    await page.getByText('this is not YAML').waitFor()
    await area.fill(JSON.stringify({ resources, policies: [staging] }))
    await page.getByRole('button', { name: 'Try it' }).click()
    await page.getByText('would be refused').first().waitFor()
    await page.getByText('No policy lets you have prod-db as admin.').waitFor()
    await page.getByText('engineering: prod-db as admin, takes one of approvers or security').waitFor()
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    if (shots) await page.screenshot({ path: `${shots}/dry-run.png`, fullPage: true })
    await page.context().close()
  })
})
