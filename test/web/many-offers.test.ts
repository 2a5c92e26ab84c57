import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PostgresResource } from '../../src/resources/catalogue.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { plainRole } from '../postgres-role.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

// Goal: who may ask for hundreds of things finds theirs, and the page stays small. Method: real rooms; pages over HTTPS.
let pages: Pages
let erin: SignedIn

const fleet = Array.from({ length: 250 }, (_, index): PostgresResource => {
  const name = `db-${String(index).padStart(3, '0')}`
  const role = {
    kind: 'postgres',
    ...plainRole,
    name: 'reader',
    description: 'Read',
    login: 'r',
    password: null,
  } as const
  return {
    ...{ kind: 'postgres', name, description: `Orders of shop ${index}`, labels: { region: index % 2 ? 'eu' : 'us' } },
    ...{ host: '127.0.0.1', port: 5432, others: [], targetSession: 'any', connectMs: 15_000 },
    ...{ minTlsVersion: 'TLSv1.2', keepalives: null, logins: ['none'] },
    tls: { mode: 'disable', ca: null, serverName: null, identity: null },
    roles: { reader: { ...role, databases: ['shop'], recording: 'strict' } },
  }
})

const policy = {
  name: 'the fleet',
  who: { groups: ['engineering'] },
  what: { resources: ['db-*'], labels: {}, roles: null },
  length: { defaultMs: 3_600_000, mostMs: 3_600_000 },
  reason: 'optional',
  ticket: null,
} as const

beforeAll(async () => {
  const approval = { kind: 'people', steps: [stepOf(1, ['approvers'])] } as const
  const glass = {
    ...policy,
    name: 'glass',
    approval: { kind: 'none' } as const,
    breakGlass: { review: { from: ['security'], allOf: [], named: [], manager: false } },
  }
  pages = await startPages({ resources: fleet, policies: [{ ...policy, approval }, glass] })
  erin = await pages.signIn('erin')
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

const namesIn = (text: string) => [...text.matchAll(/aria-label="Ask for (\S+) as/g)].map(([, name]) => name)
const emergenciesIn = (text: string) => [...text.matchAll(/aria-label="Emergency: (\S+) as/g)].map(([, name]) => name)

test.each(['/', '/ask'])('%s shows the first hundred, and says how many there are', async (at) => {
  const { text } = await erin.get(at)
  expect(namesIn(text)).toHaveLength(100)
  expect(text).toContain('100 of 254. Type a part of a name to find the others.')
  expect(text).toContain(`role="search" action="${at}"`)
})

test.each([
  ['DB-24', 10],
  ['shop 249', 1],
  ['region=eu reader db-00', 5],
  ['prod-db', 2],
])('what is typed stands in name, description, role or labels: %s', async (typed, count) => {
  const { text } = await erin.get(`/?find=${encodeURIComponent(typed)}`)
  expect(namesIn(text)).toHaveLength(count)
  expect(text).toContain(`value="${typed}"`)
  expect(text).not.toContain('Type a part of a name')
  expect(emergenciesIn(text)).toEqual(namesIn(text).filter((name) => name!.startsWith('db-')))
})

test('nothing that matches is said, with a way back', async () => {
  const { text } = await erin.get('/ask?find=%22%3E%3Cb%3E')
  expect(namesIn(text)).toEqual([])
  expect(text).toContain('Nothing that you can ask for matches.')
  expect(text).toMatch(/href="\/ask"[^>]*>Show all/)
  expect(text).not.toContain('"><b>')
})

test('who may ask for little sees all of it, without a field to find it with', async () => {
  await using few = await startPages()
  const { text } = await (await few.signIn('erin')).get('/')
  expect(namesIn(text)).toHaveLength(4)
  expect(text).not.toContain('name="find"')
})
