import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { type HttpRecorder, recordUsualWork, startHttpRecording, withGrafana } from './http-recording.ts'
import { watchPage } from './watched-page.ts'

// Goal: a reviewer reads a session of the web, and nothing in it does anything. Method: a real Chromium shows it.
let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let sam: SignedIn

beforeAll(async () => {
  pages = await startPages(withGrafana)
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  sam = await pages.signIn('sam')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const

const watch = (path: string, options?: BrowserContextOptions) => watchPage({ chromium, pages, who: sam }, path, options)

async function recorded(work: (recording: HttpRecorder) => Promise<void> | void): Promise<string> {
  const recording = await startHttpRecording(pages, erin)
  await work(recording)
  await recording.seal()
  return `/recordings/${recording.id}`
}

const addresses = (page: Page) => page.locator('a.address').allInnerTexts()

test('requests are found and opened, with bars that are as long as the times', { timeout: 40_000 }, async () => {
  const { page, problems } = await watch(await recorded(recordUsualWork), { javaScriptEnabled: false })
  expect(await addresses(page)).toHaveLength(10)
  const widths = await page
    .locator('td.bar .received, td.bar .waited')
    .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width))
  expect(Math.max(...widths)).toBeGreaterThan(100)
  await page.getByLabel('Show').selectOption('failed')
  await page.getByRole('button', { name: 'Find' }).click()
  expect(await addresses(page)).toEqual(['DELETE /api/dashboards/uid/orders', 'GET /api/reports/yearly'])
  await page.getByRole('link', { name: 'DELETE' }).click()
  await page.getByText('The role viewer does not allow DELETE here.').waitFor()
  await page.getByRole('link', { name: 'Back to the list' }).click()
  expect(await addresses(page)).toHaveLength(2)
  expect(problems).toEqual([])
})

test('nothing in a recording reaches the page around it or the world', { timeout: 40_000 }, async () => {
  const evil = '"><img src=x onerror=alert(1)><script>alert(2)</script><style>*{display:none}</style>\u202e'
  const path = await recorded((recording) => {
    const n = recording.exchange({
      ...{ method: evil, url: `javascript:${evil}`, origin: evil, from: evil },
      headers: [
        [evil, evil],
        ['refresh', '0; url=https://evil.example/'],
      ],
    })
    recording.body({ n, direction: 'up', type: evil, encoding: evil }, evil)
    recording.body(
      { n, direction: 'down', type: 'text/html' },
      `<!doctype html></pre></section>${evil}\u0000`.slice(0, -1),
    )
    recording.event('u', { n, protocol: evil, headers: [[evil, evil]] })
    recording.event('w', { n, messages: [[1, 'up', 15, Number.MAX_SAFE_INTEGER]] })
    recording.event('m', { kind: 'warning', text: evil })
    recording.event('m', { kind: 'cut', text: evil, code: evil })
    recording.event('a', {
      ...{
        n,
        status: 999,
        bytesUp: 1,
        bytesDown: 1,
        waitMs: 1e300,
        totalMs: 1e300,
        result: 'target',
        code: evil,
        why: evil,
      },
      ...{ trailers: [[evil, evil]], address: evil },
    })
    recording.admission.recorder.event(`q${evil}`, { n: evil })
  })
  const { page, problems } = await watch(`${path}?text=javascript`)
  expect((await addresses(page))[0]).toContain('javascript:"><img src=x')
  await page.locator('a.address').click()
  await page.getByText('Back to the list').waitFor()
  expect(new URL(page.url()).pathname).toBe(path)
  expect(await page.locator('pre.body').last().innerText()).toContain('</pre></section>"><img')
  expect(await page.locator('main img, main script, main style, main a[href^="javascript"]').count()).toBe(0)
  expect(await page.locator('main').innerText()).not.toContain('\u202e')
  expect(await page.title()).not.toContain('img')
  expect(problems).toEqual([])
})

test('on a phone the page is as wide as the phone, whatever was asked for', { timeout: 40_000 }, async () => {
  const path = await recorded((recording) => {
    const n = recording.exchange({ url: `/${'long'.repeat(200)}`, headers: [['x-token', 'x'.repeat(500)]] })
    recording.body({ n, direction: 'down', type: 'text/plain' }, 'wide'.repeat(500))
    recording.event('a', { n, status: 200, bytesUp: 0, bytesDown: 2000, waitMs: 1, totalMs: 1, result: 'ok' })
  })
  const { page, problems } = await watch(path, phone)
  const width = () => page.evaluate('document.documentElement.scrollWidth')
  expect(await width()).toBeLessThanOrEqual(390)
  await page.locator('a.address').first().click()
  await page.locator('pre.body').waitFor()
  expect(await width()).toBeLessThanOrEqual(390)
  expect(problems).toEqual([])
})

test('the page of a session that is still open grows by itself', { timeout: 40_000 }, async () => {
  const recording = await startHttpRecording(pages, erin)
  recording.exchange({ url: '/first' }, {})
  const path = `/recordings/${recording.id}`
  await expect.poll(async () => (await sam.get(path)).text, { timeout: 10_000 }).toContain('/first')
  const { page, problems } = await watch(path)
  expect(await addresses(page)).toEqual(['GET /first'])
  recording.exchange({ url: '/second' })
  await page.getByText('/second').waitFor()
  await page.getByText('goes on').waitFor()
  await recording.seal()
  await page.getByText('Sealed and unchanged').waitFor()
  expect(problems).toEqual([])
})
