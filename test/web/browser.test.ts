import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

// Goal: people get their work done with a phone, a keyboard, or no script at all. Method: a real Chromium on the real pages.
let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn
let olga: SignedIn

beforeAll(async () => {
  pages = await startPages()
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
  olga = await pages.signIn('olga')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const
const noScript = { javaScriptEnabled: false } as const

async function pageOf(who: SignedIn, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await chromium.page(options)
  const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  return page
}

async function askFor(reason: string): Promise<string> {
  const asked = await erin.post('/ask', { resource: 'prod-db', role: 'readonly', for: '1h', reason })
  return asked.location!.split('/').at(-1)!
}

const at = (path: string) => `${pages.url.origin}${path}`

test('without any script: sign in, ask, approve, see what to type, sign out', { timeout: 30_000 }, async () => {
  const page = await chromium.page(noScript)
  await page.goto(at('/ask?resource=prod-db&role=readonly'))
  await signInAtProvider(page, pages.url.origin, 'erin')
  await page.getByLabel('Why').fill('No script here')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.getByText('One more person must approve').waitFor()
  expect(await page.locator('noscript meta[http-equiv=refresh]').count()).toBe(1)
  const id = new URL(page.url()).pathname.split('/').at(-1)!

  const approver = await pageOf(ada, { ...phone, ...noScript })
  await approver.goto(at(`/requests/${id}`))
  await approver.getByLabel('Comment').fill('fine')
  await approver.getByRole('button', { name: 'Approve' }).click()
  await approver.getByText('Approved by you').waitFor()

  await page.reload()
  await page.getByText('psql "host=localhost port=6432 user=readonly dbname=prod-db').waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page
    .getByRole('button')
    .or(page.getByRole('heading', { name: 'You are signed out' }))
    .first()
    .waitFor()
  await approver.context().close()
  await page.context().close()
})

test('the page of the requester and the count of the approver renew themselves', { timeout: 30_000 }, async () => {
  const approver = await pageOf(ada)
  await approver.goto(at('/approvals'))
  const id = await askFor('to be seen at once')
  await approver.getByText('to be seen at once').waitFor()
  expect(await approver.locator('nav .count').count()).toBe(1)
  const requester = await pageOf(erin)
  await requester.goto(at(`/requests/${id}`))
  await requester.getByText('waits for a decision').waitFor()
  await ada.post(`/approvals/${id}`, { verdict: 'approve' })
  await requester.getByText('Approved by ada@example.test').waitFor()
  await requester.getByRole('button', { name: 'Copy the command for prod-db' }).waitFor()
  await approver.context().close()
  await requester.context().close()
})

test('a page does not renew itself under the hands of somebody who types', { timeout: 30_000 }, async () => {
  const id = await askFor('typing')
  const page = await pageOf(ada)
  const events = page.waitForResponse((response) => response.url().includes('/events'))
  await page.goto(at(`/approvals/${id}`))
  await events
  await page.getByLabel('Comment').fill('half a sent')
  await page.evaluate(listenTo('request'))
  await pages.access.cancel(erin.person, id as never)
  await page.evaluate('window.changed')
  expect(await page.getByLabel('Comment').inputValue()).toBe('half a sent')
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByText('Your approval came too late.').waitFor()
  await page.context().close()
})

test(
  'deciding by keyboard alone: every control is reached in order and shows its focus',
  { timeout: 30_000 },
  async () => {
    const id = await askFor('by keyboard')
    const page = await pageOf(ada)
    await page.goto(at(`/approvals/${id}`))
    const seen: string[] = []
    for (let i = 0; i < 30 && seen.at(-1) !== 'Approve'; i++) {
      await page.keyboard.press('Tab')
      seen.push(await page.evaluate<string>(focusedName))
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
      expect(outline, seen.at(-1)).toBe('solid')
    }
    expect(seen[0]).toBe('To the content')
    expect(seen.slice(-4)).toEqual(['comment', 'Change before you approve', 'Refuse', 'Approve'])
    await page.keyboard.press('Enter')
    await page.getByText('Approved by you').waitFor()
    await page.context().close()
  },
)

test('Enter in a field decides nothing: only a button does', { timeout: 30_000 }, async () => {
  const id = await askFor('shorter')
  const page = await pageOf(ada)
  await page.goto(at(`/approvals/${id}`))
  await page.getByText('Change before you approve').click()
  await page.getByLabel('or to').fill('45m')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByText('Approved by you').waitFor()
  await page.context().close()
})

test(
  'no page is wider than a phone, every field has a label, headings begin with one h1',
  { timeout: 60_000 },
  async () => {
    const id = await askFor('phone')
    const sam = await pages.signIn('sam')
    const olga = await pages.signIn('olga')
    const walks: [SignedIn, string[]][] = [
      [erin, ['/', '/ask', '/ask?resource=prod-db&role=readonly', `/requests/${id}`, '/s', '/sign-ins', '/sessions']],
      [ada, ['/approvals', `/approvals/${id}`]],
      [sam, ['/recordings', '/audit']],
      [olga, ['/locks']],
    ]
    for (const [who, paths] of walks) {
      const page = await pageOf(who, phone)
      const problems: string[] = []
      page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
      page.on('pageerror', (error) => problems.push(error.message))
      for (const path of paths) {
        await page.goto(at(path))
        expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBeLessThanOrEqual(390)
        expect(await page.evaluate(nameless), path).toEqual([])
        expect(await page.locator('h1').count(), path).toBe(1)
        expect(await page.locator('html[lang] main').count(), path).toBe(1)
      }
      expect(problems).toEqual([])
      await page.context().close()
    }
  },
)

// What runs in the page is text: the types of a browser are not those of the gateway.
const focusedName = `document.activeElement?.textContent?.trim() || document.activeElement?.id || ''`
/** Resolves once the stream is open, so that no change is missed. */
const listenTo = (topic: string) => `new Promise((resolve) => {
  const source = new EventSource('/events?topic=${topic}')
  window.changed = new Promise((seen) => source.addEventListener('changed', () => seen(true)))
  source.addEventListener('hello', () => resolve(true))
})`
/** Controls that a screen reader could not name. */
const nameless = `[
  ...[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter((field) => !field.labels?.length && !field.ariaLabel),
  ...[...document.querySelectorAll('button, a[href]')].filter((button) => !button.textContent?.trim() && !button.ariaLabel),
].map((element) => element.outerHTML)`

test('an operator locks and unlocks on a phone', async () => {
  const page = await pageOf(olga, phone)
  await page.goto(at('/locks'))
  await page.getByText('Nothing is locked.').waitFor()
  await page.getByLabel('Group').fill('a-group-with-a-very-long-name-that-somebody-made-up-at-the-provider')
  await page.getByRole('textbox', { name: 'Address or network' }).fill('2001:db8:1234:5678::/64')
  await page.getByLabel('How long').selectOption({ label: '4 h' })
  await page.getByLabel('Reason').fill('odd traffic')
  await page.getByRole('button', { name: 'Lock now' }).click()
  await page.getByRole('button', { name: 'Lift' }).waitFor()
  const width = () => page.evaluate<number>('document.documentElement.scrollWidth')
  expect(await width()).toBeLessThanOrEqual(phone.viewport.width)
  await page.getByText(/By olga@example\.test, .*until /).waitFor()
  await page.getByRole('button', { name: 'Lift' }).click()
  await page.getByText(/Lifted by olga@example\.test/).waitFor()
  await page.getByText('Nothing is locked.').waitFor()
  expect(await width()).toBeLessThanOrEqual(phone.viewport.width)
  await page.getByRole('textbox', { name: 'Address or network' }).fill('10.0.0.0/40')
  await page.getByLabel('Reason').fill('odd traffic')
  await page.getByRole('button', { name: 'Lock now' }).click()
  await page.getByText('Nothing was locked. That is neither an IP address nor a network.').waitFor()
})

test('what is chosen from a list stays when the page looks again', { timeout: 30_000 }, async () => {
  const page = await pageOf(olga)
  const events = page.waitForResponse((response) => response.url().includes('/events'))
  await page.goto(at('/locks'))
  await events
  await page.getByLabel('Resource').selectOption('prod-db')
  await page.getByRole('heading', { name: 'Place a lock' }).click()
  await page.evaluate(listenTo('locks'))
  await olga.post('/locks', { group: 'away', reason: 'another operator was quicker', for: '' })
  await page.evaluate('window.changed')
  // as long as the page would take to look again
  for (let i = 0; i < 3; i++) await page.evaluate(`fetch('/locks').then((answer) => answer.text())`)
  expect(await page.getByLabel('Resource').inputValue()).toBe('prod-db')
  await page.context().close()
})

test('an answer that is slow to come does not replace a newer one', { timeout: 30_000 }, async () => {
  const page = await pageOf(ada)
  const [held, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isHeld = false
  await page.route('**/approvals', async (route) => {
    if (isHeld || route.request().resourceType() !== 'fetch') return route.continue()
    isHeld = true
    const { text } = await ada.get('/approvals')
    held.resolve()
    await free.promise
    return route.fulfill({ contentType: 'text/html; charset=utf-8', body: text })
  })
  await page.goto(at('/approvals'))
  await held.promise
  await page.evaluate(listenTo('approvals'))
  await askFor('raced by an older page')
  await page.evaluate('window.changed')
  const lookElsewhere = async () => {
    for (let i = 0; i < 3; i++) await page.evaluate(`fetch('/s').then((answer) => answer.text())`)
  }
  await lookElsewhere()
  free.resolve()
  await page.getByText('raced by an older page').waitFor()
  await lookElsewhere()
  expect(await page.getByText('raced by an older page').count()).toBe(1)
  await page.context().close()
})
