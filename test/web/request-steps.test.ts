// Goal: whoever asks sees who has agreed, who is waited for, and what was made of their request.
// Method: real rooms; forms and pages over HTTPS.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { noTerms } from '../../src/access/terms.ts'
import { stepOf } from '../../src/policy/approval.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const escalate = { afterMs: 900_000, to: { from: ['operations'], allOf: [], named: [], manager: false } }
const inSteps: Policy = {
  name: 'in steps',
  who: { groups: ['engineering'] },
  what: { resources: ['prod-db'], labels: {}, roles: null },
  length: { defaultMs: 3_600_000, mostMs: 3_600_000 },
  reason: 'required',
  ticket: null,
  approval: {
    kind: 'people',
    steps: [stepOf(1, ['approvers']), { ...stepOf(1, ['security']), refusals: 2, escalate }],
  },
}

let pages: Pages
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
beforeAll(async () => {
  pages = await startPages({ before: [inSteps] })
  ;[erin, ada, sam] = [await pages.signIn('erin'), await pages.signIn('ada'), await pages.signIn('sam')]
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

test('steps that are done and to come, and what approvers changed', async () => {
  const form = { resource: 'prod-db', role: 'admin', for: '1h', reason: 'a broken index' }
  const id = (await erin.post('/ask', form)).location!.split('/').at(-1) as `request-${string}`
  const page = async () => (await erin.get(`/requests/${id}`)).text.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ')
  expect(await page()).toMatch(/One more person must approve: approvers, step 1 of 2\. It lapses/)
  expect(await page()).toMatch(/Who must agree One of approvers now .* One of security to come/)
  const { access } = pages
  await access.decide(ada.person, id, 'approve', 'only what you need', undefined, {
    ...noTerms,
    lengthMs: 600_000,
    role: 'readonly',
    networks: ['127.0.0.0/8'],
  })
  expect(await page()).toMatch(/must approve: security, step 2 of 2/)
  expect(await page()).toMatch(/Approved so far for 10 min, as readonly, only from 127\.0\.0\.0\/8/)
  expect(await page()).toMatch(/ada@example\.test approved .*“only what you need”/)
  expect(await page()).toMatch(/2 refusals refuse it; 0 so far\. If nobody decides by .*, operations may as well\./)
  await access.decide(sam.person, id, 'approve', '')
  expect(await page()).toMatch(/Approved for 10 min, as readonly/)
  expect(await page()).toMatch(/approved Approved by ada@example\.test and sam@example\.test/)
})
