import { randomBytes } from 'node:crypto'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fingerprintOf } from '../../src/identity/ssh/public-key.ts'
import type { SignIn } from '../../src/identity/store.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

// Goal: whoever confirms an SSH connection sees which key they vouch for, and finds it again to end it.
let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn

beforeAll(async () => {
  pages = await startPages()
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const someKey = () => fingerprintOf(randomBytes(32))
const asText = (fingerprint: string) => fingerprint.replaceAll('+', '\\+')

function begin(over: Partial<Pick<SignIn, 'keyFingerprint' | 'address' | 'resource' | 'role'>> = {}) {
  const program = { application: 'OpenSSH_9.2p1', resource: 'prod-db', role: 'admin', secretHash: null }
  return pages.identity.inBand.begin({ purpose: 'ssh', address: '127.0.0.1', ...program, ...over })
}

async function confirm(who: SignedIn, signIn: SignIn, remember: boolean): Promise<string> {
  const answered = await who.post(`/s/${signIn.code}`, { answer: 'confirm', ...(remember && { remember: 'yes' }) })
  expect(answered.status, answered.text).toBe(303)
  return (await who.get(answered.location!)).text
}

test('the page says that it is SSH, and shows the key; confirming remembers it if asked', async () => {
  const keyFingerprint = someKey()
  const signIn = await begin({ keyFingerprint })
  const { text } = await erin.get(`/s/${signIn.code}`)
  expect(text).toContain('An SSH client')
  expect(text).toContain(keyFingerprint)
  expect(text).toContain('Remember this key for 8 h')
  expect(text).toMatch(/name="remember"[^>]* checked/)
  const after = await confirm(erin, signIn, true)
  expect(after).toContain('the connection goes on by itself')
  expect(after).toContain('Its key is remembered until')
  expect((await pages.identity.ssh.recogniseKey(keyFingerprint))?.person).toBe(erin.person.id)
})

test('it is not ticked for a connection from elsewhere, and not remembered unless ticked', async () => {
  const keyFingerprint = someKey()
  const signIn = await begin({ keyFingerprint, address: '203.0.113.9' })
  const { text } = await erin.get(`/s/${signIn.code}`)
  expect(text).toContain('Remember this key')
  expect(text).not.toMatch(/name="remember"[^>]* checked/)
  expect(await confirm(erin, signIn, false)).toContain('Its key is not remembered')
  expect(await pages.identity.ssh.recogniseKey(keyFingerprint)).toBeUndefined()
})

test('without a key there is nothing to remember, whatever the form says', async () => {
  const before = (await pages.identity.own.list(erin.person.id)).bindings.length
  const signIn = await begin({ resource: null, role: null })
  const { text } = await erin.get(`/s/${signIn.code}`)
  expect(text).toContain('so it will be asked each time')
  expect(text).toContain('to see what you may use, and choose')
  expect(text).not.toContain('name="remember"')
  expect(await confirm(erin, signIn, true)).toContain('It showed no key')
  expect((await pages.identity.own.list(erin.person.id)).bindings).toHaveLength(before)
})

test('a key of somebody else is refused in words, and the sign-in still waits', async () => {
  const keyFingerprint = someKey()
  await confirm(erin, await begin({ keyFingerprint }), true)
  const signIn = await begin({ keyFingerprint })
  const refused = await ada.post(`/s/${signIn.code}`, { answer: 'confirm', remember: 'yes' })
  expect(refused.status).toBe(409)
  expect(refused.text).toContain('Somebody else is signed in with this key')
  expect((await pages.identity.inBand.byCode(signIn.code))?.state).toBe('waiting')
  expect((await ada.post(`/s/${signIn.code}`, { answer: 'refuse' })).status).toBe(303)
})

test('sign-ins list keys beside addresses, each with its end', async () => {
  const keyFingerprint = someKey()
  await confirm(erin, await begin({ keyFingerprint }), true)
  const { bindings } = await pages.identity.own.list(erin.person.id)
  const { id } = bindings.find(({ value }) => value === keyFingerprint)!
  const list = (await erin.get('/sign-ins')).text
  const [keys, addresses] = list.split('Remembered SSH keys')[1]!.split('Remembered addresses')
  expect(keys).toMatch(
    new RegExp(`${asText(keyFingerprint)}[\\s\\S]*at 127\\.0\\.0\\.1[\\s\\S]*/sign-ins/${id}/revoke`),
  )
  expect(addresses).not.toContain('SHA256:')
  expect((await ada.get('/sign-ins')).text).not.toContain(keyFingerprint)
  expect((await ada.post(`/sign-ins/${id}/revoke`)).status).toBe(404)
  expect((await erin.post(`/sign-ins/${id}/revoke`)).status).toBe(303)
  expect((await erin.get('/sign-ins')).text).not.toContain(keyFingerprint)
  expect(await pages.identity.ssh.recogniseKey(keyFingerprint)).toBeUndefined()
})

test("the command line's token says what hangs on it", async () => {
  await pages.identity.tokens.make(ada.person, { label: 'curfew on laptop', kind: 'cli', lengthMs: 3_600_000 })
  expect((await ada.get('/sign-ins')).text).toMatch(/curfew on laptop[\s\S]*its SSH certificates end with it/)
})

async function pageOf(who: SignedIn, options: BrowserContextOptions): Promise<Page> {
  const page = await chromium.page(options)
  const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  return page
}

test('on a phone, without any script: confirm, read on, forget; nothing is wider than it', async () => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const
  const page = await pageOf(ada, { ...phone, javaScriptEnabled: false })
  const fits = async () => expect(await page.locator('body').evaluate(widthOf)).toBeLessThanOrEqual(390)
  const keyFingerprint = someKey()
  const signIn = await begin({ keyFingerprint })
  await page.goto(`${pages.url.origin}/s/${signIn.code}`)
  await fits()
  expect(await page.getByLabel('Remember this key for 8 h').isChecked()).toBe(true)
  await page.getByRole('button', { name: 'This was me: let it in' }).click()
  await page.getByText('Its key is remembered until').waitFor()
  await fits()
  await page.getByRole('link', { name: 'Forget it' }).click()
  await page.getByText(keyFingerprint).waitFor()
  await fits()
  await page.getByRole('button', { name: `Forget: ${keyFingerprint}` }).click()
  await page.getByText('None. When ssh asks you to sign in').waitFor()
  expect(await pages.identity.ssh.recogniseKey(keyFingerprint)).toBeUndefined()
})

/** Runs in the page. */
const widthOf = (body: { ownerDocument: { documentElement: { scrollWidth: number } } }) =>
  body.ownerDocument.documentElement.scrollWidth
