// Goal: a page that was left open tells what is true: over night, in two tabs, after a sign-out, and when it is tapped twice.
// Method: the real pages, over HTTPS and in a real Chromium.
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Policy } from '../../src/policy/rules.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { watchPage } from './watched-page.ts'

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

let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn

beforeAll(async () => {
  pages = await startPages({ policies: [glass] })
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const ask = async (resource: string, reason: string) =>
  (await erin.post('/ask', { resource, role: 'readonly', for: '1h', reason })).location!
const byScript = { 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin' }

test('what is done already leads to how things stand, and scolds nobody', async () => {
  await ask('staging', 'x')
  const [grant] = await pages.access.livingGrants(erin.person.id)
  const handBack = () => erin.post(`/grants/${grant!.id}/hand-back`)
  expect([(await handBack()).location, (await handBack()).location]).toEqual(['/', '/'])
  const called = await ask('prod-db', 'y')
  const callOff = () => erin.post(`${called}/cancel`)
  expect([(await callOff()).location, (await callOff()).location]).toEqual([called, called])
  const request = (await ask('prod-db', 'z')).split('/').at(-1)!
  await ada.post(`/approvals/${request}`, { verdict: 'approve' })
  const [open] = await pages.access.livingGrants(erin.person.id)
  const revoke = () => ada.post(`/grants/${open!.id}/revoke`, { request, comment: '' })
  const page = `/approvals/${request}`
  expect([(await revoke()).location, (await revoke()).location]).toEqual([page, page])
})

test('more time is not offered for what is not extended', async () => {
  const wish = {
    resource: 'prod-db',
    role: 'admin',
    for: '30m',
    reason: 'checkout is down since 14:40',
    confirm: 'yes',
  }
  const taken = await erin.post('/ask/emergency', wish)
  expect((await erin.get('/')).text).toContain('Hand back: prod-db as admin')
  expect((await erin.get('/')).text).not.toContain('More time: prod-db as admin')
  expect((await erin.get(taken.location!)).text).not.toContain('More time')
})

test('a form that was sent too late gives back what took long to write', async () => {
  const headers = { origin: pages.url.origin, referer: `${pages.url.origin}/reports/dry-run` }
  const { status, text } = await pages.stranger().post('/reports/dry-run', { policies: 'mine:', days: '30' }, headers)
  expect(status).toBe(401)
  expect(text).toMatch(/<textarea[^>]*>mine:<\/textarea>/)
  expect(text).toContain('href="/sign-in?to=%2Freports%2Fdry-run"')
})

test('a script that looks again is told of the sign-out, and signs nobody in', async () => {
  const { status, text } = await pages.stranger().get('/approvals', byScript)
  expect(status).toBe(401)
  expect(text).toContain('You are not signed in any more.')
  expect((await pages.stranger().get('/approvals')).location).toBe('/sign-in?to=%2Fapprovals')
})

test('after a sign-in that failed, the way back is a page of ours or none', async () => {
  const failed = (referer: string) => pages.stranger().get('/sign-in/callback?error=access_denied', { referer })
  expect((await failed('https://id.example.com/login/step/2')).text).toContain('href="/sign-in"')
  expect((await failed(`${pages.url.origin}/locks`)).text).toContain('href="/sign-in?to=%2Flocks"')
})

/** As somebody of their own: what is ended here is nobody else's. */
async function opened(path: string): Promise<Page> {
  const { page } = await watchPage({ chromium, pages, who: await pages.signIn('erin') }, path)
  return page
}

test('signed out in one tab, the other says so and can be gone on from', { timeout: 60_000 }, async () => {
  const page = await opened('/')
  const other = await page.context().newPage()
  await other.goto(`${pages.url.origin}/s`)
  const followed = page.waitForResponse((answer) => answer.url().includes('/events') && answer.status() === 200)
  await page.reload()
  await followed
  await other.evaluate(`fetch('/sign-out', { method: 'POST' })`)
  await page.bringToFront()
  await page.getByRole('heading', { name: 'You are not signed in any more.' }).waitFor()
  const href = await page.getByRole('link', { name: 'Sign in' }).getAttribute('href')
  expect(new URL(href!, pages.url).pathname).toBe('/sign-in')
  await page.context().close()
})

test('what is being written stays when the sign-in is over', { timeout: 60_000 }, async () => {
  const request = (await ask('prod-db', 'written')).split('/').at(-1)!
  const who = await pages.signIn('ada')
  const { page } = await watchPage({ chromium, pages, who }, `/approvals/${request}`)
  await page.getByLabel('Comment').fill('half a sent')
  const looked = page.waitForResponse((answer) => answer.url().includes('/approvals/') && answer.status() === 401)
  await page.evaluate(`fetch('/sign-out', { method: 'POST' })`)
  await looked
  expect(await page.getByLabel('Comment').inputValue()).toBe('half a sent')
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByText('nothing was done').waitFor()
  expect(await page.getByLabel('What you wrote').inputValue()).toBe('half a sent')
  await page.context().close()
})

test('live updates go on after an answer that was none', { timeout: 60_000 }, async () => {
  const who = await pages.signIn('ada')
  const { page } = await watchPage({ chromium, pages, who }, '/s')
  let refused = 0
  await page.route('**/events?**', (route) => {
    refused++
    return refused === 1 ? route.fulfill({ status: 503, body: 'being restarted' }) : route.continue()
  })
  await page.clock.install()
  await page.goto(`${pages.url.origin}/approvals`)
  await expect.poll(() => refused).toBe(1)
  await page.clock.runFor(60_000)
  await expect.poll(() => refused).toBeGreaterThan(1)
  await ask('prod-db', 'after the restart')
  await page.getByText('after the restart').waitFor()
  await page.context().close()
})

test('somebody else signed in in another tab: the whole page is theirs', { timeout: 60_000 }, async () => {
  const page = await opened('/')
  await page.getByText('erin@example.test').waitFor()
  const value = /__Host-curfew=([^;]+)/.exec(ada.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  await ask('staging', 'a change')
  await page.getByText('ada@example.test').waitFor()
  await page.context().close()
})

test('how long ago something was goes on', { timeout: 60_000 }, async () => {
  const { page } = await watchPage({ chromium, pages, who: erin }, '/s')
  await ask('prod-db', 'some time ago')
  await page.clock.install()
  await page.goto(pages.url.origin)
  await page.getByText('Asked just now').first().waitFor()
  await page.route('**/events?**', (route) => route.abort())
  await page.clock.fastForward(125_000)
  await page.getByText('Asked 2 min ago').first().waitFor()
  await page.context().close()
})

test('the focus stays on what it was on when something comes before it', { timeout: 60_000 }, async () => {
  const who = await pages.signIn('erin')
  await ask('prod-db', 'one that waits')
  const { page } = await watchPage({ chromium, pages, who }, '/')
  await page.getByRole('button', { name: 'Call off' }).last().focus()
  const before = await page.evaluate<string>(focused)
  expect(before).toContain('/cancel')
  await erin.post('/ask', { resource: 'web-1', role: 'ops', for: '1h', reason: '' })
  await page.getByRole('button', { name: 'Hand back: web-1 as ops' }).waitFor()
  expect(await page.evaluate<string>(focused)).toBe(before)
  await page.context().close()
})

const focused = `document.activeElement.form?.action ?? ''`
