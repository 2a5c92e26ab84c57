// Goal: a policy is for a machine only where it says so by name or by the machine's groups, and never for a person where it
// names machines; machines never decide. Method: single rules and situations, and a file with cases through the real CLI's loader.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadPolicyCases, situationOf } from '../../src/config/policy-cases.ts'
import { ConfigProblems } from '../../src/config/problems.ts'
import { isAmong, isApprover, mayDecideNow, stepOf } from '../../src/policy/approval.ts'
import { explain } from '../../src/policy/explain.ts'
import { judge } from '../../src/policy/judge.ts'
import type { Who } from '../../src/policy/rules.ts'
import type { PersonFacts } from '../../src/policy/weigh.ts'
import { alice, allow, condition, deny, situation } from './rules.ts'

const ciDeploy: PersonFacts = { kind: 'machine', email: null, name: 'ci-deploy', groups: ['deployers'], claims: {} }

const verdict = (who: Who, person: PersonFacts) =>
  judge({ policies: [allow('p', { who })], denials: [] }, situation({ person })).kind

test.for<readonly [string, Who, boolean, boolean]>([
  ['its name', { machines: ['ci-deploy'] }, true, false],
  ['a pattern', { machines: ['ci-*', 'x'] }, true, false],
  ['another name', { machines: ['ci-test', 'ci-deplo'] }, false, false],
  ['a group of both', { groups: ['engineers', 'deployers'] }, true, true],
  ['a group of people', { groups: ['engineers'] }, false, true],
  ['its name and its group', { machines: ['ci-*'], groups: ['deployers'] }, true, false],
  ['its name and another group', { machines: ['ci-*'], groups: ['engineers'] }, false, false],
  ['people', { people: ['alice@example.com'] }, false, true],
  ['a claim', { claims: { department: ['data'] } }, false, true],
  ['a group and a claim', { groups: ['deployers', 'engineers'], claims: { department: ['data'] } }, false, true],
  ['nobody', {}, false, true],
])('a policy that names %s', ([, who, isForMachine, isForPerson]) => {
  expect(verdict(who, ciDeploy)).toBe(isForMachine ? 'allow' : 'deny')
  expect(verdict(who, alice)).toBe(isForPerson ? 'allow' : 'deny')
})

test('a person who is called like a machine is none, and one without a name neither', () => {
  for (const name of ['ci-deploy', null]) {
    expect(verdict({ machines: ['ci-deploy'] }, { ...alice, name })).toBe('deny')
  }
  expect(verdict({ machines: ['*'] }, { ...ciDeploy, name: null })).toBe('deny')
})

test('a denial of everybody stops machines, one by a claim does not, whatever is known of it', () => {
  const policies = [allow('p', { who: { machines: ['*'] } })]
  const kind = (who: Who | null, claims?: PersonFacts['claims']) => {
    const { claims: _, ...bare } = ciDeploy
    const person = claims === undefined ? bare : { ...bare, claims }
    return judge({ policies, denials: [deny('d', { who })] }, situation({ person })).kind
  }
  expect(kind(null)).toBe('deny')
  expect(kind({ machines: ['ci-*'] })).toBe('deny')
  expect(kind({ groups: ['deployers'] })).toBe('deny')
  expect(kind({ claims: { employer: ['guest'] } })).toBe('allow')
  expect(kind({ claims: { employer: ['guest'] } }, { employer: [] })).toBe('allow')
})

test('conditions know the kind', () => {
  const rules = (text: string) => ({
    policies: [allow('p', { who: { groups: ['deployers', 'engineers'] }, condition: condition(text) })],
  })
  const both = (text: string) => [ciDeploy, alice].map((person) => judge(rules(text), situation({ person })).kind)
  expect(both('person.kind == "machine"')).toEqual(['allow', 'deny'])
  expect(both('person.kind == "person" && person.email != ""')).toEqual(['deny', 'allow'])
  expect(() => condition('person.kind == 1')).toThrow()
})

test('a machine approves nothing, whatever groups it is in and whoever asked', () => {
  const groups = fc.array(fc.constantFrom('leads', 'dba', 'security'), { maxLength: 3 })
  fc.assert(
    fc.property(groups, groups, groups, fc.boolean(), (own, from, allOf, isEscalated) => {
      const approver = { ...ciDeploy, id: 'person-ci' as const, groups: own }
      const step = { ...stepOf(1, from), allOf, escalate: { afterMs: 1, to: { ...stepOf(1, from), allOf } } }
      const approval = { kind: 'people', steps: [step] } as const
      expect(isAmong(step, approver)).toBe(false)
      expect(isApprover(approval, approver)).toBe(false)
      expect(mayDecideNow({ approval, step: 0, isEscalated }, approver, [])).toBe(false)
    }),
  )
})

const file = `machineIssuers: { ci: { issuer: https://ci.example.com, audience: https://gw.example.com } }
machines:
  ci-deploy: { issuer: ci, claims: { repository: org/shop }, groups: [deployers] }
  ci-test: { issuer: ci, claims: { repository: org/test } }
resources:
  shop:
    kind: postgres
    host: shop.internal
    roles:
      migrate: { login: m, password: env:X, databases: [shop] }
      readonly: { login: r, password: env:X, databases: [shop] }
policies:
  - { name: migrations, who: { machines: [ci-deploy] }, what: { roles: [migrate] }, approval: none }
  - { name: reading, who: { groups: [engineers, deployers] }, what: { roles: [readonly] }, approval: none }
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-machines-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function load(policies: string, cases: string) {
  await writeFile(join(folder, 'curfew.yaml'), policies)
  await writeFile(join(folder, 'cases.yaml'), `policies: curfew.yaml\ncases:\n${cases}`)
  return loadPolicyCases(join(folder, 'cases.yaml'))
}

async function problems(policies: string, cases: string): Promise<readonly string[]> {
  const error = await load(policies, cases).catch((reason: unknown) => reason)
  if (error instanceof ConfigProblems)
    return error.problems.map(({ path, message, hint }) => `${path}: ${message} ${hint ?? ''}`)
  throw error
}

const one = (part: string) => `  - { name: x, resource: shop, expect: allow, ${part} }\n`

test('cases name machines, with the groups that they have in the file', async () => {
  const parts = [
    'machine: ci-deploy, role: migrate',
    'machine: ci-deploy, role: readonly',
    'machine: ci-test, role: readonly',
    'person: { groups: [engineers] }, role: migrate',
  ]
  const loaded = await load(file, parts.map(one).join(''))
  const kinds = loaded.cases.map((each) => explain(loaded.rules, situationOf(loaded, each)).verdict.kind)
  expect(kinds).toEqual(['allow', 'allow', 'deny', 'deny'])
})

test('what cannot be is said with its place', async () => {
  expect(await problems(file, one('machine: ci-deplo, role: migrate'))).toEqual([
    'cases[0].machine: there is no machine "ci-deplo" in `machines` Did you mean "ci-deploy"?',
  ])
  const both = await problems(file, one('role: migrate') + one('machine: ci-test, person: {}, role: migrate'))
  expect(both).toEqual(Array(2).fill(expect.stringContaining('about a person or a machine')))
  const good = one('machine: ci-deploy, role: migrate')
  expect(await problems(file.replace('[ci-deploy]', '[ci-deploi]'), good)).toEqual([
    'policies[0].who.machines[0]: there is no machine "ci-deploi" in `machines` Did you mean "ci-deploy"?',
  ])
  const mixed = file.replace('machines: [ci-deploy]', 'machines: [ci-deploy], people: [kim@example.com]')
  expect(await problems(mixed, good)).toEqual([expect.stringContaining('nothing is a machine and a person')])
  const hidden = file.replace(
    'policies:\n',
    `policies:
  - { name: all of it, who: { machines: [ci-deploy] }, what: {}, approval: none }\n`,
  )
  expect(await problems(hidden, good)).toEqual([expect.stringContaining('"all of it" always decides before it')])
})
