// Goal: an emergency is taken with open eyes, seen by those who review it with everything that was done, and closed once.
// Method: the real web application over HTTPS with real rooms behind it, as a client, over the API, and in a real Chromium.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { Policy } from '../../src/policy/rules.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const glass: Policy = {
  name: 'break glass',
  who: { groups: ['engineering'] },
  what: { resources: ['prod-db'], labels: {}, roles: ['admin'] },
  length: { defaultMs: 1_800_000, mostMs: 3_600_000 },
  reason: 'required',
  ticket: null,
  approval: { kind: 'none' },
  breakGlass: { review: { from: ['approvers'], allOf: [], named: [], manager: false } },
}

/** Sam has nothing in the usual way. */
const glassOnly: Policy = {
  ...glass,
  name: 'break glass for security',
  who: { groups: ['security'] },
  what: { resources: ['staging'], labels: {}, roles: ['readonly'] },
}

let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
beforeAll(async () => {
  pages = await startPages({ policies: [glass, glassOnly] })
  chromium = await openBrowser([pages.certificate])
  ;[erin, ada, sam] = await Promise.all([pages.signIn('erin'), pages.signIn('ada'), pages.signIn('sam')])
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const form = (reason: string, more = {}) => ({
  ...{ resource: 'prod-db', role: 'admin', for: '30m', reason, confirm: 'yes' },
  ...more,
})

async function broken(reason: string) {
  const taken = await erin.post('/ask/emergency', form(reason))
  const request = taken.location!.split('/').at(-1)!
  const review = (await pages.access.reviews.ofRequest(request as `request-${string}`))!
  return { request, review: review.id }
}

async function api(who: SignedIn) {
  const wish = { label: 'a program', kind: 'cli', lengthMs: 3_600_000 } as const
  const { text } = await pages.identity.tokens.make(who.person, wish)
  return (method: string, path: string, body?: unknown) =>
    pages.stranger().json(method, `/api/v1${path}`, body, { authorization: `Bearer ${text}` })
}

test('the form says that it is loud, takes nothing unconfirmed or without a reason, and leads to the access', async () => {
  expect((await erin.get('/')).text).toContain('/ask/emergency?resource=prod-db&amp;role=admin')
  expect((await sam.get('/')).text).not.toContain('/ask/emergency?resource=prod-db')
  expect((await erin.get('/ask?resource=prod-db&role=admin')).text).toContain('In an emergency')
  const page = await erin.get('/ask/emergency?resource=prod-db&role=admin')
  expect(page.text).toMatch(/This is loud.*approvers.*told/s)
  expect((await sam.get('/ask/emergency?resource=prod-db&role=admin')).status).toBe(404)
  const unconfirmed = await erin.post('/ask/emergency', form('checkout is down', { confirm: '' }))
  expect([unconfirmed.status, unconfirmed.text]).toEqual([422, expect.stringContaining('Nothing was done')])
  const wordless = await erin.post('/ask/emergency', form('x'))
  expect([wordless.status, wordless.text]).toEqual([422, expect.stringContaining('what is going on')])
  expect(await pages.access.livingGrants(erin.person.id)).toEqual([])
  const taken = await erin.post('/ask/emergency', form('checkout is down since 14:40'))
  expect([taken.status, taken.location]).toEqual([303, expect.stringMatching(/^\/requests\/request-/)])
  const own = await erin.get(taken.location!)
  expect([own.text, (await erin.get('/')).text].join()).not.toContain('More time')
  expect(own.text).toMatch(/This was an emergency\. approvers will look at it\..*review open/s)
})

test('what can be had in an emergency only leads from the usual form to the other', async () => {
  expect((await sam.get('/ask?resource=prod-db&role=admin')).status).toBe(404)
  const usual = await sam.get('/ask?resource=staging&role=readonly')
  expect([usual.status, usual.location]).toEqual([303, '/ask/emergency?resource=staging&role=readonly'])
  await expect(pages.openSession(sam.person, 'staging', 'readonly')).rejects.toMatchObject({
    ...{ code: 'NO_GRANT', hint: expect.stringContaining('/ask?resource=staging&role=readonly') },
  })
})

test('those who review see what was done, and nobody else does; one of them closes it, once', async () => {
  const { review, request } = await broken('the queue is stuck')
  const admission = await pages.openSession(erin.person, 'prod-db', 'admin')
  const { id } = admission.session
  expect((await sam.get('/sessions')).status).toBe(200)
  const olga = await pages.signIn('olga')
  expect((await olga.get('/sessions')).text).toContain('emergency')
  await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
  expect((await erin.get('/reviews')).status).toBe(403)
  expect((await erin.get(`/reviews/${review}`)).status).toBe(404)
  expect((await ada.get(`/requests/${request}`)).location).toBe(`/reviews/${review}`)
  const page = await ada.get(`/reviews/${review}`)
  expect(page.text).toMatch(/Not justified: end the access now/)
  expect(page.text).not.toContain('value="justified"')
  expect(page.text).toContain(`href="/recordings/${id}"`)
  expect((await ada.get(`/sessions/${id}`)).status).toBe(200)
  expect((await ada.get(`/recordings/${id}`)).status).toBe(200)
  expect((await ada.get('/recordings')).text).not.toContain(id)
  expect((await erin.get('/recordings')).text).toMatch(/emergency/)
  expect((await sam.get(`/reviews/${review}`)).text).not.toContain('Close the review')
  expect((await erin.post(`/reviews/${review}`, { verdict: 'justified', comment: 'it was' })).status).toBe(403)
  expect((await sam.post(`/reviews/${review}`, { verdict: 'justified', comment: 'it was' })).status).toBe(403)
  expect((await ada.post(`/reviews/${review}`, { verdict: 'justified', comment: '' })).status).toBe(422)
  expect((await ada.post(`/reviews/${review}`, { verdict: 'maybe', comment: 'x' })).status).toBe(422)
  const closed = await ada.post(`/reviews/${review}`, { verdict: 'not-justified', comment: 'it could have waited' })
  expect(closed.location).toBe(`/reviews/${review}`)
  const again = await ada.post(`/reviews/${review}`, { verdict: 'not-justified', comment: 'it could have waited' })
  expect(again.location).toBe(`/reviews/${review}`) // a second tap: nobody was quicker
  const late = await ada.post(`/reviews/${review}`, { verdict: 'justified', comment: 'no, it was' })
  expect(late.location).toBe(`/reviews/${review}?late=yes`)
  expect((await ada.get(late.location!)).text).toMatch(/not justified.*your word was not taken/s)
  expect((await erin.get(`/requests/${request}`)).text).toMatch(/The access was revoked.*it could have waited/s)
})

test('programs take, list and close emergencies as people do', async () => {
  const [asErin, asAda] = [await api(erin), await api(ada)]
  const wish = { resource: 'prod-db', role: 'admin', reason: 'the disk is full', emergency: true }
  expect(await asErin('POST', '/requests', { ...wish, reason: '' })).toMatchObject({ status: 422 })
  const taken = await asErin('POST', '/requests', wish)
  expect([taken.status, taken.body]).toEqual([
    201,
    expect.objectContaining({ state: 'approved', emergency: true, lengthMs: 1_800_000 }),
  ])
  expect((await asErin('GET', '/reviews')).body).toEqual({ open: [], closed: [] })
  const { open } = (await asAda('GET', '/reviews')).body
  const mine = open.find(({ request }: { request: string }) => request === taken.body.id)
  expect(mine).toMatchObject({
    state: 'open',
    mayClose: true,
    person: { id: erin.person.id },
    reason: 'the disk is full',
  })
  expect(await asErin('GET', `/reviews/${mine.id}`)).toMatchObject({ status: 404 })
  expect(await asErin('POST', `/reviews/${mine.id}/close`, { verdict: 'justified', comment: 'x' })).toMatchObject({
    ...{ status: 403, body: { code: 'SELF_APPROVAL' } },
  })
  expect(await asAda('POST', `/reviews/${mine.id}/close`, { verdict: 'justified' })).toMatchObject({ status: 422 })
  const close = { verdict: 'justified', comment: 'it was full' }
  expect(await asAda('POST', `/reviews/${mine.id}/close`, close)).toMatchObject({
    ...{ status: 409, body: { code: 'GRANT_IN_WRONG_STATE' } },
  })
  expect(await asErin('POST', `/grants/${taken.body.grant.id}/end`)).toMatchObject({ status: 204 })
  expect((await asAda('POST', `/reviews/${mine.id}/close`, close)).body).toMatchObject({ state: 'closed', ...close })
  expect(await asAda('POST', `/reviews/${mine.id}/close`, close)).toMatchObject({
    ...{ status: 409, body: { code: 'REVIEW_CLOSED' } },
  })
})

async function pageOf(who: SignedIn, options = {}): Promise<Page> {
  const page = await chromium.page(options)
  const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  return page
}

test('in a browser, on a telephone: take it, be seen, be reviewed', { timeout: 60_000 }, async () => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
  const page = await pageOf(erin, phone)
  await page.goto(`${pages.url.origin}/`)
  await page.getByRole('link', { name: 'Emergency: prod-db as admin' }).click()
  await page.getByLabel('What is going on').fill('payments fail since the deploy')
  await page.getByRole('button', { name: 'Take access now' }).click()
  expect(new URL(page.url()).pathname).toBe('/ask/emergency') // the browser asks for the box first
  await page.getByLabel('I know that people are told').check()
  if (process.env['SHOTS'] !== undefined)
    await page.screenshot({ path: `${process.env['SHOTS']}/ask.png`, fullPage: true })
  await page.getByRole('button', { name: 'Take access now' }).click()
  await page.getByText('This was an emergency.').waitFor()
  if (process.env['SHOTS'] !== undefined)
    await page.screenshot({ path: `${process.env['SHOTS']}/taken.png`, fullPage: true })

  const asErin = await api(erin)
  for (const { id } of (await asErin('GET', '/grants')).body.grants) await asErin('POST', `/grants/${id}/end`)
  const reviewer = await pageOf(ada, phone)
  await reviewer.goto(`${pages.url.origin}/reviews`)
  if (process.env['SHOTS'] !== undefined)
    await reviewer.screenshot({ path: `${process.env['SHOTS']}/list.png`, fullPage: true })
  await reviewer
    .locator('section', { hasText: 'payments fail since the deploy' })
    .getByRole('link', { name: /^Review/ })
    .click()
  await reviewer.getByLabel('What you found').fill('it was down; a config was rolled back')
  if (process.env['SHOTS'] !== undefined)
    await reviewer.screenshot({ path: `${process.env['SHOTS']}/review.png`, fullPage: true })
  await reviewer.getByRole('button', { name: 'Justified', exact: true }).click()
  await reviewer.getByText('ada@example.test looked at it').waitFor()
  await page.getByText('Somebody looked at this emergency').waitFor() // it renewed itself
  const wide = await reviewer.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
  expect(wide).toBe(false)
})
