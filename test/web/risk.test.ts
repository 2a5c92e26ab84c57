// Goal: two policies choose differently by risk, and those who decide see why, factor by factor; whoever asked does not.
// Method: the real web application over HTTPS, its API and its pages.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stepOf } from '../../src/policy/approval.ts'
import { compileCondition } from '../../src/policy/condition.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { Resource } from '../../src/resources/catalogue.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const machine = (name: string, labels: Record<string, string>): Resource => ({
  ...{ kind: 'ssh', name, description: '', labels, host: '127.0.0.1', port: 22 },
  hostKeys: { fingerprints: [], knownHosts: null, authorities: [] },
  keepalives: null,
  roles: {
    ops: {
      ...{ kind: 'ssh', name: 'ops', description: '', login: 'ops', key: null, allow: ['shell'] },
      ...{ recordInput: false, recording: 'strict' },
    },
  },
})
const policy = (name: string, condition: string, approval: Policy['approval']): Policy => ({
  name,
  who: { groups: ['engineering'] },
  what: { resources: ['ledger', 'sandbox'], labels: {}, roles: null },
  condition: compileCondition(condition),
  length: { defaultMs: 60_000, mostMs: 60_000 },
  reason: 'optional',
  ticket: null,
  approval,
})

let pages: Pages
let erin: SignedIn
let ada: SignedIn
beforeAll(async () => {
  pages = await startPages({
    resources: [machine('ledger', { sensitivity: 'high' }), machine('sandbox', {})],
    policies: [
      policy('usual', 'risk.score < 40', { kind: 'none' }),
      policy('looked at', 'true', { kind: 'people', steps: [stepOf(1, ['approvers'])] }),
    ],
  })
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

async function api({ person }: SignedIn, method: string, path: string, body?: unknown) {
  const { text } = await pages.identity.tokens.make(person, { label: 'CLI', kind: 'cli', lengthMs: 3_600_000 })
  return (await pages.stranger().json(method, `/api/v1${path}`, body, { authorization: `Bearer ${text}` })).body
}

test('by risk one request is granted at once and another is looked at; only those who decide see why', async () => {
  const sandbox = await api(erin, 'POST', '/requests', { resource: 'sandbox' })
  expect(sandbox).toMatchObject({ state: 'approved', policy: 'usual', risk: null })
  const ledger = await api(erin, 'POST', '/requests', { resource: 'ledger' })
  expect(ledger).toMatchObject({ state: 'requested', policy: 'looked at', risk: null })

  const risk = {
    ...{ score: 55, level: 'medium' },
    factors: [
      { code: 'first-time', label: 'First time on ledger', weight: 20 },
      { code: 'new-network', label: 'First time from the network 127.0.0.0/24', weight: 15 },
      { code: 'sensitive', label: 'ledger is sensitive (sensitivity: high)', weight: 20 },
    ],
  }
  expect((await api(ada, 'GET', '/requests')).toDecide).toMatchObject([{ id: ledger.id, risk }])
  expect((await api(ada, 'GET', `/requests/${ledger.id}`)).risk).toEqual(risk)

  const page = (await ada.get(`/approvals/${ledger.id}`)).text
  expect(page).toContain('medium, 55 of 100')
  for (const { label, weight } of risk.factors) {
    expect(page.replaceAll(/\s+/g, ' ')).toContain(`<span>${label}</span><b>+${weight}</b>`)
  }
  for (const path of [`/requests/${ledger.id}`, `/approvals/${ledger.id}`]) {
    expect((await erin.get(path)).text).not.toMatch(/of 100|is sensitive/)
  }
})
