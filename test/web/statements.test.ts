// Goal: whoever is asked sees the statement as it is, answers it once from a telephone, and everybody reads what came of it.
// Method: the real pages and API over HTTPS with real rooms behind them, and a real Chromium.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { QuestionAnswer } from '../../src/access/put-question.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const hour = { defaultMs: 3_600_000, mostMs: 3_600_000 }
/** Access itself takes nobody; whoever the guard names is asked about statements. */
const open: Policy = {
  ...{ name: 'open', who: { groups: ['engineering'] }, what: { resources: ['prod-db'], labels: {}, roles: ['admin'] } },
  ...{ length: hour, reason: 'optional', ticket: null, approval: { kind: 'none' } },
}
const askers = { from: ['approvers'], allOf: [], named: [], manager: false }

let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
beforeAll(async () => {
  pages = await startPages({ before: [open] })
  chromium = await openBrowser([pages.certificate])
  ;[erin, ada, sam] = await Promise.all([pages.signIn('erin'), pages.signIn('ada'), pages.signIn('sam')])
  const wish = { resource: 'prod-db', role: 'admin', lengthMs: 3_600_000, reason: 'clean up', ticket: null }
  await pages.access.ask(erin.person, { ...wish, startsAt: null, origin: 'test' })
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

async function waiting(sql: string, waitMs = 60_000) {
  const { session } = await pages.openSession(erin.person, 'prod-db', 'admin')
  const gaveUp = new AbortController()
  const about = 'truncate on shop.orders'
  const rule = { rule: 'truncating', about, message: 'Is it the right table?' }
  const put = await pages.access.questions.ask({ session, sql, ...rule, askers, waitMs }, gaveUp.signal)
  return { id: put.id, path: put.link.pathname, answer: put.answer, giveUp: () => gaveUp.abort() }
}

async function api(who: SignedIn) {
  const { text } = await pages.identity.tokens.make(who.person, {
    label: 'a program',
    kind: 'cli',
    lengthMs: 3_600_000,
  })
  return (method: string, path: string, body?: unknown) =>
    pages.stranger().json(method, `/api/v1${path}`, body, { authorization: `Bearer ${text}` })
}

test('who is asked finds it in the list, reads it whole, and answers once', async () => {
  const question = await waiting('truncate shop.orders -- \u202eoops')
  const list = await ada.get('/approvals')
  expect(list.text).toContain(`href="${question.path}"`)
  const page = await ada.get(question.path)
  expect(page.text).toContain('truncate shop.orders -- ⟨U+202E⟩oops')
  expect(page.text).toMatch(/Rule “truncating”.*Is it the right table\?/s)
  // Looking changes nothing.
  await ada.get(`${question.path}?verdict=approve`)
  expect((await ada.get(question.path)).text).toContain('Let it run')
  const answered = await ada.post(question.path, { verdict: 'approve', comment: '' })
  expect([answered.status, answered.location]).toEqual([303, question.path])
  expect(await question.answer).toEqual<QuestionAnswer>({ answer: 'approved', by: expect.stringContaining('ada') })
  const again = await ada.post(question.path, { verdict: 'approve', comment: '' })
  expect(again.location).toBe(question.path) // a second tap is not too late
  const late = await ada.post(question.path, { verdict: 'refuse', comment: 'no' })
  expect(late.location).toBe(`${question.path}?late=refuse`)
  expect((await ada.get(late.location!)).text).toMatch(/Your refusal came too late\..*You agreed to it/s)
  expect((await ada.get('/approvals')).text).toMatch(/Statements lately.*agreed to/s)
})

test('nobody agrees to their own, and nobody sees those of others', async () => {
  const question = await waiting('truncate shop.orders')
  const own = await erin.get(question.path)
  expect(own.text).toContain('somebody else must agree')
  expect(own.text).not.toContain('Let it run')
  expect((await erin.post(question.path, { verdict: 'approve' })).location).toContain('late=approve')
  expect((await sam.get(question.path)).status).toBe(404)
  expect((await sam.post(question.path, { verdict: 'approve' })).status).toBe(404)
  expect((await pages.stranger().get(question.path)).status).toBe(303)
  question.giveUp()
  expect(await question.answer).toEqual({ answer: 'given-up' })
  await expect.poll(async () => (await ada.get(question.path)).text).toContain('It was given up')
})

test('programs list, read and answer as people do', async () => {
  const [asErin, asAda] = [await api(erin), await api(ada)]
  const question = await waiting('truncate shop.orders')
  const { waiting: listed } = (await asAda('GET', '/statements')).body
  const mine = listed.find(({ id }: { id: string }) => id === question.id)
  expect(mine).toMatchObject({ state: 'waiting', mayDecide: true, sql: 'truncate shop.orders', rule: 'truncating' })
  expect((await asErin('GET', '/statements')).body.waiting).toEqual([])
  expect(await asErin('POST', `/statements/${question.id}/decide`, { verdict: 'approve' })).toMatchObject({
    ...{ status: 403, body: { code: 'SELF_APPROVAL' } },
  })
  expect(await asAda('POST', `/statements/${question.id}/decide`, { verdict: 'perhaps' })).toMatchObject({
    status: 422,
  })
  const refusal = { verdict: 'refuse', comment: 'not on a Friday' }
  expect((await asAda('POST', `/statements/${question.id}/decide`, refusal)).body).toMatchObject({
    ...{ state: 'refused', comment: 'not on a Friday', decidedBy: { id: ada.person.id } },
  })
  expect(await question.answer).toMatchObject({ answer: 'refused', comment: 'not on a Friday' })
  expect(await asAda('POST', `/statements/${question.id}/decide`, refusal)).toMatchObject({
    ...{ status: 409, body: { code: 'QUESTION_CLOSED' } },
  })
  expect(await asAda('GET', '/statements/question-nothing')).toMatchObject({ status: 404 })
})

test('what nobody answers in time lapses', async () => {
  const question = await waiting('truncate shop.orders', 50)
  expect(await question.answer).toEqual({ answer: 'lapsed' })
  expect((await ada.get(question.path)).text).toContain('Nobody answered in time')
  const late = await ada.post(question.path, { verdict: 'approve' })
  expect((await ada.get(late.location!)).text).toContain('Your agreement came too late')
})

test('in a browser, on a telephone: it appears by itself, is read, and goes on', { timeout: 60_000 }, async () => {
  const page = await chromium.page({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })
  const value = /__Host-curfew=([^;]+)/.exec(ada.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  await page.goto(`${pages.url.origin}/approvals`)
  await page.getByRole('heading', { name: 'Approvals' }).waitFor()
  const sql = `truncate shop.orders, ${'a_rather_long_name_of_a_table_'.repeat(8)}`
  const question = await waiting(sql)
  await page.getByRole('link', { name: /^Decide on a statement/ }).click() // the list renewed itself
  await page.getByText('truncate shop.orders,').waitFor()
  const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
  expect(wide).toBe(false)
  if (process.env['SHOTS'] !== undefined) await page.screenshot({ path: `${process.env['SHOTS']}/statement.png` })
  await page.getByLabel('Comment').fill('go ahead')
  await page.getByRole('button', { name: 'Let it run' }).click()
  await page.getByText('You agreed to it').waitFor()
  expect(await question.answer).toMatchObject({ answer: 'approved' })
})
