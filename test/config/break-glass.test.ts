// Goal: a policy for emergencies says who looks at it afterwards, is short, and cannot be made a quiet way round approvals.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const before = goodConfig.slice(0, goodConfig.indexOf('policies:'))
const written = (extra: string, more = '') => `${before}policies:
  - name: read
    who: { groups: [engineering] }
    what: {}
    approval: none
  - name: glass
    who: { groups: [engineering] }
    what: { roles: [readonly] }
${extra}${more}`
const problems = async (extra: string) =>
  (await folder.problems(written(extra))).map((line) => line.replace(/^\S+?:\d+:\d+ /, ''))

const glass = '    breakGlass: { review: { from: [security], named: [Sam@example.com] } }\n'

test('it needs no approval, and stands beside one that gives the same in the usual way', async () => {
  const freeze = "freezes:\n  - { name: 'year end', from: 2026-12-20, to: 2027-01-03, except: { breakGlass: true } }\n"
  const { config, notices } = await folder.check(written(glass, freeze))
  expect(notices).toEqual([])
  expect(config.policies[1]).toMatchObject({
    ...{ name: 'glass', reason: 'required', approval: { kind: 'none' } },
    length: { defaultMs: 3_600_000, mostMs: 3_600_000 },
    breakGlass: { review: { from: ['security'], named: ['sam@example.com'] } },
  })
  expect(config.denials).toMatchObject([{ name: 'year end', except: [], exceptEmergencies: true }])
})

test('what would make it quiet, long or unreviewed is refused', async () => {
  expect(await problems(`${glass}    approval: { from: [approvers] }\n`)).toMatchObject([
    expect.stringContaining('an emergency waits for nobody'),
  ])
  expect(await problems(`${glass}    reason: optional\n`)).toMatchObject([expect.stringContaining('needs a reason')])
  expect(await problems(`${glass}    for: { most: 5h }\n`)).toMatchObject([expect.stringContaining('is short')])
  expect(await problems(`${glass}    grants: { clock: first-use }\n`)).toMatchObject([
    expect.stringContaining('it says nothing about emergencies'),
  ])
  expect(await problems('    breakGlass: { review: {} }\n')).toMatchObject([expect.stringContaining('names nobody')])
  expect(await problems('    breakGlass: {}\n')).toHaveLength(1)
  expect(await problems('    effect: deny\n    breakGlass: { review: { from: [security] } }\n')).toContainEqual(
    expect.stringContaining('a policy that denies asks for nothing'),
  )
})
