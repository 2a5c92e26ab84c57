// Goal: what somebody typed is not lost, and no key does what its owner did not mean. Method: the real pages over HTTPS.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPages, type Pages, type SignedIn } from './harness.ts'

let pages: Pages
let erin: SignedIn
let olga: SignedIn

beforeAll(async () => {
  pages = await startPages()
  erin = await pages.signIn('erin')
  olga = await pages.signIn('olga')
}, 60_000)
afterAll(async () => {
  await pages?.[Symbol.asyncDispose]()
})

test('a wrong field of an access review leaves the others as they were typed', async () => {
  const typed = { name: 'autumn <1>', for: '30d', grants: 'a week', tokens: '45d', reviewers: 'security, dba' }
  const { status, text } = await olga.post('/reviews/campaigns', typed)
  expect(status).toBe(422)
  expect(text).toContain('Nothing was started. Give a length of time.')
  for (const value of ['autumn &lt;1&gt;', 'a week', '45d', 'security, dba']) expect(text).toContain(`value="${value}"`)
  expect(text).toMatch(/<option value="30d"\s+selected/)
})

test('a wrong field of a token leaves the others as they were typed', async () => {
  const nothing = await erin.post('/sign-ins/tokens', { label: 'nightly <report>', for: '7d' })
  expect(nothing.status).toBe(422)
  expect(nothing.text).toContain('No token was made. Tick at least one thing that the token may do.')
  expect(nothing.text).toContain('value="nightly &lt;report&gt;"')
  expect(nothing.text).toMatch(/<option value="7d"\s+selected/)
  expect(nothing.text).not.toMatch(/name="scope-sessions"\s+value="yes"\s+checked/)
  const long = { label: 'weekly', for: '400d', 'scope-requests:read': 'yes' }
  const { status, text } = await erin.post('/sign-ins/tokens', long)
  expect(status).toBe(422)
  expect(text).toContain('No token was made. A token may last at most')
  expect(text).toMatch(/name="scope-requests:read"\s+value="yes"\s+checked/)
  expect(text).not.toMatch(/name="scope-sessions"\s+value="yes"\s+checked/)
})

test('an address that only takes a form leads back to the form', async () => {
  expect(await erin.get('/ask/bundle')).toMatchObject({ status: 303, location: '/ask' })
  expect(await erin.get('/sign-ins/tokens')).toMatchObject({ status: 303, location: '/sign-ins' })
})

// HTML, "Implicit submission": Enter presses the first button of the form, and does nothing where that one is disabled.
test('Enter on the box "Remember" answers nothing', async () => {
  const signIn = await pages.identity.inBand.begin({
    ...{ purpose: 'postgres', address: '127.0.0.1', application: 'psql', resource: 'prod-db', role: 'readonly' },
    secretHash: null,
  })
  const { text } = await erin.get(`/s/${signIn.code}`)
  const form = /<form method="post" action="\/s\/[^]*?<\/form>/.exec(text)![0]
  expect(form).toContain('name="remember"')
  expect(/<button[^>]*>/.exec(form)![0]).toContain('disabled')
})
