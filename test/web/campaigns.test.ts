// Goal: reviewers go through standing access by page or program, operators take the report away, and nobody else sees it.
// Method: the real web application over HTTPS with real rooms behind it, over the API, and in a real Chromium.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Policy } from '../../src/policy/rules.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const dayMs = 86_400_000
const long: Policy = {
  name: 'long standing',
  who: { groups: ['engineering'] },
  what: { resources: ['prod-db'], labels: {}, roles: ['readonly'] },
  length: { defaultMs: dayMs, mostMs: 90 * dayMs },
  reason: 'optional',
  ticket: null,
  approval: { kind: 'none' },
}

let pages: Pages
let chromium: TestBrowser
const people = {} as Record<'erin' | 'ada' | 'sam' | 'olga', SignedIn>
beforeAll(async () => {
  pages = await startPages({ policies: [long] })
  chromium = await openBrowser([pages.certificate])
  for (const login of ['erin', 'ada', 'sam', 'olga'] as const) people[login] = await pages.signIn(login)
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

/** Past the policy that would ask somebody, as the first that matches is another. */
async function standing(reason: string): Promise<void> {
  const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 8 * 3_600_000, reason, ticket: null, startsAt: null }
  const { id } = await pages.access.ask(people.erin.person, { ...wish, origin: 'test' })
  await pages.access.decide(people.sam.person, id, 'approve', '')
}

async function api(who: SignedIn) {
  const wish = { label: 'a program', kind: 'cli', lengthMs: 3_600_000 } as const
  const { text } = await pages.identity.tokens.make(who.person, wish)
  return (method: string, path: string, body?: unknown) =>
    pages.stranger().json(method, `/api/v1${path}`, body, { authorization: `Bearer ${text}` })
}

const form = { name: 'autumn', for: '14d', grants: '1h', tokens: '30d', reviewers: 'security' }

test('a program starts one, decides, and takes the report away; others are refused', async () => {
  await standing('figures')
  const [asOlga, asSam, asErin] = await Promise.all([api(people.olga), api(people.sam), api(people.erin)])
  const wish = {
    name: 'spring',
    lengthMs: 14 * dayMs,
    grantMs: 3_600_000,
    tokenMs: 30 * dayMs,
    reviewers: ['security'],
  }
  expect((await asErin('POST', '/campaigns', wish)).status).toBe(403)
  expect((await asErin('GET', '/campaigns')).status).toBe(403)
  expect((await asOlga('POST', '/campaigns', { ...wish, lengthMs: 1 })).status).toBe(422)
  const started = await asOlga('POST', '/campaigns', wish)
  expect([started.status, started.body.entries.length]).toEqual([201, 4])
  const path = `/campaigns/${started.body.id}`
  expect((await asErin('GET', path)).status).toBe(404)
  const { entries } = (await asSam('GET', path)).body
  const grant = entries.find(({ kind }: { kind: string }) => kind === 'grant')
  expect(grant).toMatchObject({ title: 'prod-db as readonly', holder: { id: people.erin.person.id }, mayDecide: true })
  expect((await asOlga('POST', `${path}/entries/${grant.id}/end`)).body.code).toBe('NOT_ALLOWED')
  expect((await asSam('POST', `${path}/entries/${grant.id}/confirm`, { comment: '' })).status).toBe(422)
  const ended = await asSam('POST', `${path}/entries/${grant.id}/end`, { comment: 'not any more' })
  expect(ended.body.entries.find(({ id }: { id: string }) => id === grant.id)).toMatchObject({ state: 'ended' })
  expect((await asSam('POST', `${path}/entries/${grant.id}/end`)).body.code).toBe('REVIEW_CLOSED')
  expect(await pages.access.livingGrants(people.erin.person.id)).toEqual([])
  for (const { id, kind } of entries) {
    if (kind === 'policy') await asSam('POST', `${path}/entries/${id}/confirm`, { comment: 'as agreed' })
  }
  const csv = await asOlga('GET', `${path}?format=csv`).catch(() => undefined)
  expect(csv).toBeUndefined() // not JSON
  expect((await asOlga('GET', '/campaigns')).body.campaigns).toMatchObject([{ name: 'spring', waiting: 0 }])
})

test('in a browser: start one, confirm, let one end, and see what came of it', { timeout: 60_000 }, async () => {
  await standing('a broken index')
  const olga = await pageOf(people.olga)
  await olga.goto(`${pages.url.origin}/reviews`)
  await olga.getByRole('link', { name: 'access reviews' }).click()
  await olga.getByLabel('Name').fill(form.name)
  await olga.getByLabel('Grants of at least').fill(form.grants)
  await olga.getByLabel('Tokens of at least').fill(form.tokens)
  await olga.getByLabel('Who decides').fill(form.reviewers)
  await olga.getByRole('button', { name: 'Start' }).click()
  await olga.getByRole('heading', { name: 'Access review: autumn' }).waitFor()
  expect(await olga.getByRole('button', { name: /^Confirm/ }).count()).toBe(0) // she is no reviewer

  const sam = await pageOf(people.sam, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })
  await sam.goto(olga.url())
  if (process.env['SHOTS'] !== undefined)
    await sam.screenshot({ path: `${process.env['SHOTS']}/campaign.png`, fullPage: true })
  const wide = await sam.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
  expect(wide).toBe(false)
  const card = sam.locator('section', { hasText: 'a broken index' })
  await card.getByLabel('Comment').fill('still being mended')
  await sam.keyboard.press('Enter') // says nothing: neither button is meant
  await card.getByRole('button', { name: /^Confirm/ }).click()
  await sam.getByText('“still being mended”').waitFor()
  const place = new URL(olga.url()).pathname
  const view = await (await api(people.sam))('GET', place.replace('/reviews', ''))
  const confirmed = view.body.entries.find(({ state }: { state: string }) => state === 'confirmed')
  const say = (word: string) =>
    people.sam.post(`${place}/entries/${confirmed.id}`, { word, comment: 'still being mended' })
  expect((await say('confirm')).location).toBe(place) // a second tap: nobody was quicker
  expect((await say('end')).location).toBe(`${place}?late=yes`)
  const policy = sam.locator('section', { hasText: 'policy “long standing”' })
  await policy.getByRole('button', { name: /^End/ }).click()
  await sam.getByText('It stands until you change the configuration file.').waitFor()
  expect((await people.erin.get(new URL(olga.url()).pathname)).status).toBe(404)
  const report = await people.olga.get(`${new URL(olga.url()).pathname}/report.csv`)
  expect(report.headers.get('content-type')).toContain('text/csv')
  expect(report.text).toMatch(/^entry,kind,subject,title,details,holder,.*comment\r\nentry-[^]*still being mended\r\n/)
})

async function pageOf(who: SignedIn, options = {}) {
  const page = await chromium.page(options)
  const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  return page
}
