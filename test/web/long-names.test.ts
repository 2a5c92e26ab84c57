// Goal: names and addresses of any length leave every page as wide as its window, and every button in reach.
// Method: a real Chromium, a narrow telephone and a usual desk, and the longest names that the configuration takes.
import type { BrowserContextOptions, Locator } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stepOf } from '../../src/policy/approval.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { PostgresResource } from '../../src/resources/catalogue.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { plainRole } from '../postgres-role.ts'
import { people } from '../servers/oidc.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { recordUsualWork, startSshRecording } from './ssh-recording.ts'
import { watchPage } from './watched-page.ts'

const resource = 'customer_accounts_production_readonly_replica_eu_central_1'
const role = 'readonly_with_masked_personal_data_and_exports'
const database = 'a_database_with_a_name_as_long_as_postgres_takes_them'
const email = 'averylongfirstname.anevenlongerlastname@department.of.engineering.subsidiary.example.test'
const unbroken = 'x'.repeat(70)

const accounts: PostgresResource = {
  ...{ kind: 'postgres', name: resource, description: unbroken, labels: {} },
  ...{ host: '127.0.0.1', port: 5432, others: [], targetSession: 'any', connectMs: 15_000 },
  ...{ minTlsVersion: 'TLSv1.2', keepalives: null, logins: ['none'] },
  tls: { mode: 'disable', ca: null, serverName: null, identity: null },
  roles: {
    [role]: {
      ...plainRole,
      ...{ kind: 'postgres', name: role, description: unbroken, login: 'reader', password: null },
      ...{ databases: [database, `${database}_2`], recording: 'strict' },
    },
  },
}
const policy: Policy = {
  name: `accounts_${unbroken}`,
  who: { groups: ['engineering'] },
  what: { resources: [resource], labels: {}, roles: null },
  length: { defaultMs: 3_600_000, mostMs: 8 * 3_600_000 },
  reason: 'required',
  ticket: null,
  approval: { kind: 'people', steps: [stepOf(1, ['approvers', 'security'])] },
}

let pages: Pages
let chromium: TestBrowser
const signedIn = {} as Record<'erin' | 'ada' | 'sam' | 'olga', SignedIn>
let request: string
let session: string
let campaign: string
let code: string
let recording: string

beforeAll(async () => {
  const called = people.map((person) => (person.subject === 'erin' ? { ...person, email } : person))
  pages = await startPages({ resources: [accounts], policies: [policy], people: called })
  chromium = await openBrowser([pages.certificate])
  for (const login of ['erin', 'ada', 'sam', 'olga'] as const) signedIn[login] = await pages.signIn(login)
  const { erin, olga } = signedIn
  const asked = await erin.post('/ask', { resource, role, for: '1h', reason: unbroken })
  request = asked.location!.split('/').at(-1)!
  await erin.post('/ask', { resource: 'staging', role: 'readonly', for: '1h', reason: unbroken })
  session = (await pages.openSession(erin.person, 'staging', 'readonly')).session.id
  const ssh = await startSshRecording(pages, erin)
  await recordUsualWork(ssh)
  await ssh.seal()
  recording = ssh.id
  await erin.post('/sign-ins/tokens', { label: unbroken, for: '1h', 'scope-sessions': 'yes' })
  await olga.post('/locks', { group: unbroken, resource, role, reason: unbroken })
  const wish = { name: unbroken, for: '14d', grants: '1h', tokens: '1h', reviewers: 'security' }
  campaign = (await olga.post('/reviews/campaigns', wish)).location!
  const client = { address: '2001:db8:1234:5678:9abc:def0:1234:5678', application: unbroken }
  code = (await pages.identity.inBand.begin({ ...client, purpose: 'postgres', resource, role, secretHash: null })).code
}, 120_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const walks = (): readonly (readonly [keyof typeof signedIn, readonly string[]])[] => [
  ['erin', ['/', '/ask', `/ask?resource=${resource}&role=${role}`, `/requests/${request}`, `/s/${code}`, '/sign-ins']],
  [
    'erin',
    [
      '/sessions',
      `/sessions/${session}`,
      '/recordings',
      `/recordings/${recording}`,
      '/open/none',
      '/ask?role=x&resource=y',
    ],
  ],
  ['ada', ['/approvals', `/approvals/${request}`]],
  ['sam', ['/reviews/campaigns', campaign, '/audit', ...reports.map((name) => `/reports/${name}`)]],
  ['olga', ['/locks', '/sessions', '/reports/dry-run']],
]
const reports = ['without-a-human', 'standing', 'unused', 'requests', 'failed', 'use']

/** A telephone's: name, and three lines of links. */
const topMax = 160

async function tooWide(options: BrowserContextOptions): Promise<readonly string[]> {
  const found: string[] = []
  for (const [who, paths] of walks()) {
    const { page } = await watchPage({ chromium, pages, who: signedIn[who] }, paths[0]!, options)
    for (const path of paths) {
      await page.goto(`${pages.url.origin}${path}`)
      await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`)
      const [whole, window] = await page.evaluate<[number, number]>(widths)
      if (whole > window) found.push(`${path}: ${whole}`)
      const top = await page.evaluate<number>(`document.querySelector('header').offsetHeight`)
      if (top > topMax) found.push(`${path}: a top of ${top}`)
    }
    await page.context().close()
  }
  return found
}

const widths = `[document.documentElement.scrollWidth, document.documentElement.clientWidth]`

test('on a narrow telephone', { timeout: 120_000 }, async () => {
  expect(await tooWide({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true })).toEqual([])
})

test('on a desk', { timeout: 120_000 }, async () => {
  expect(await tooWide({ viewport: { width: 1280, height: 800 } })).toEqual([])
})

test('what a token may do stands below its name, and pushes nothing away', { timeout: 60_000 }, async () => {
  const options = { viewport: { width: 1280, height: 800 } }
  const { page } = await watchPage({ chromium, pages, who: signedIn.erin }, '/sign-ins', options)
  const heading = page.getByRole('heading', { name: 'Make a token' })
  const below = async (what: Locator) => (await what.boundingBox())!.y - (await heading.boundingBox())!.y
  const name = page.getByLabel('What for')
  const before = await below(name)
  await page.getByText('What it may do').click()
  const first = page.getByRole('checkbox').first()
  await first.waitFor()
  expect(await below(name)).toBe(before)
  expect(await below(first)).toBeGreaterThan(before)
  await page.context().close()
})
