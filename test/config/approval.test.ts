// Goal: an approval says who decides in one way only, and never waits for people who cannot be there.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const head = goodConfig.slice(0, goodConfig.indexOf('policies:'))
const approving = (approval: string) => `${head}policies:
  - name: read
    who: { groups: [engineering] }
    what: {}
    approval: ${approval}
`
const read = async (approval: string) => (await folder.check(approving(approval))).config
const problems = async (approval: string) =>
  (await folder.problems(approving(approval))).map((line) => line.replace(/^\S+ policies\[0\]\./, ''))
const nobody = { from: [], allOf: [], named: [], manager: false }
const plain = { ...nobody, people: 1, refusals: 1, escalate: null }

test('the short form is one step', async () => {
  const config = await read('{ people: 2, from: [dba] }')
  expect(config.policies[0]!.approval).toEqual({ kind: 'people', steps: [{ ...plain, people: 2, from: ['dba'] }] })
  expect(config.policies[0]).not.toHaveProperty('requestMs')
  expect(config.identity.oidc.policyClaims).toEqual([])
})

test('steps, one after the other, with all that each can say', async () => {
  const config = await read(`
      steps:
        - { people: 2, from: [dba, leads], named: [Kim@Example.com, kim@example.com], refusals: 2 }
        - manager: true
          escalate: { after: 15m, to: { allOf: [security, on-call] } }
      lapseAfter: 4h`)
  const escalate = { afterMs: 900_000, to: { ...nobody, allOf: ['security', 'on-call'] } }
  expect(config.policies[0]).toMatchObject({
    requestMs: 14_400_000,
    approval: {
      steps: [
        { ...plain, people: 2, from: ['dba', 'leads'], named: ['kim@example.com'], refusals: 2 },
        { ...plain, manager: true, escalate },
      ],
    },
  })
})

test('who is the manager is kept with people once a policy asks for it', async () => {
  const config = await read('{ from: [dba], escalate: { after: 1h, to: { manager: true } } }')
  expect(config.identity.oidc.policyClaims).toEqual(['manager'])
  expect(config.access.managerClaim).toBe('manager')
  const other = approving('{ manager: true }').replace('  clientId:', '  managerClaim: boss\n  clientId:')
  expect((await folder.check(other)).config.identity.oidc.policyClaims).toEqual(['boss'])
})

describe('what cannot be', () => {
  test.each([
    ['{ people: 2 }', 'approval: it names nobody'],
    ['{ steps: [{ from: [dba] }, { people: 1 }] }', 'approval.steps[1]: it names nobody'],
    ['{ from: [dba], steps: [{ from: [dba] }] }', 'approval.from: it stands beside `steps`'],
    ['{ steps: [] }', 'approval.steps: expected at least 1 entry'],
    ['{ steps: [{ from: [a], grups: [b] }] }', 'approval.steps[0].grups: there is no such key'],
    ['{ people: 3, named: [a@x.com, A@x.com, b@x.com] }', 'approval.people: 3 must approve, but only 2 people can'],
    ['{ people: 2, manager: true }', 'approval.people: 2 must approve, but only one person can'],
    ['{ refusals: 2, named: [a@x.com] }', 'approval.refusals: 2 must refuse, but only one person can'],
    ['{ people: 2, refusals: 2, named: [a@x.com, b@x.com] }', 'approval.refusals: after one refusal too few are left'],
    ['{ steps: [{ named: [a@x.com] }, { named: [a@x.com] }] }', 'approval.steps: its steps need more people'],
    ['{ named: [kim] }', 'approval.named[0]: expected an e-mail address, got "kim"'],
    ['{ from: [a], lapseAfter: 0h }', 'approval.lapseAfter: expected a length of time above 0'],
    ['{ from: [a], escalate: { after: 1h, to: {} } }', 'approval.escalate.to: it names nobody'],
    ['{ from: [a], escalate: { after: 0h, to: { from: [b] } } }', 'approval.escalate.after: expected a length of time'],
    [
      '{ from: [a], lapseAfter: 1h, escalate: { after: 1h, to: { from: [b] } } }',
      'approval.escalate.after: the request lapses before, after 1 h',
    ],
    ['{ from: [a], escalate: { after: 2d, to: { from: [b] } } }', 'approval.escalate.after: the request lapses before'],
  ])('%s', async (approval, problem) => {
    const [first, ...others] = await problems(approval)
    expect(first).toContain(problem)
    expect(others).toEqual([])
  })

  test('but whoever is called may make up for it', async () => {
    const { approval } = (await read('{ people: 2, named: [a@x.com], escalate: { after: 1h, to: { from: [b] } } }'))
      .policies[0]!
    expect(approval).toMatchObject({ steps: [{ people: 2 }] })
    await read('{ steps: [{ named: [a@x.com] }, { named: [a@x.com, b@x.com] }] }')
  })
})

test('what is worth knowing', async () => {
  const notices = async (approval: string) => (await folder.notices(approving(approval))).join('\n')
  expect(await notices('{ manager: true }')).toContain('manager: whoever has no known manager cannot ask for it')
  expect(await notices('{ manager: true, from: [leads] }')).toBe('')
  expect(await notices('{ from: [a, b], escalate: { after: 1h, to: { from: [b] } } }')).toContain(
    'escalate.to: it calls only those who are asked already',
  )
})
