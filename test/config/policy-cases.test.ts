import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadPolicyCases, situationOf } from '../../src/config/policy-cases.ts'
import { ConfigProblems } from '../../src/config/problems.ts'
import { judge, type Verdict } from '../../src/policy/judge.ts'

const root = join(import.meta.dirname, '../..')
const teamCases = join(root, 'config/policies-team.cases.yaml')

const decidedBy = (verdict: Verdict) =>
  verdict.kind === 'deny' ? (verdict.by ?? verdict.policy)?.name : verdict.policy.name

describe('the example of a team of fifty', async () => {
  const loaded = await loadPolicyCases(teamCases)

  test.each(loaded.cases)('$name', (one) => {
    const verdict = judge(loaded.rules, situationOf(loaded, one))
    expect(verdict.kind).toBe(one.expect)
    if (one.policy !== undefined) expect(decidedBy(verdict)).toBe(one.policy)
    if (one.opensAt !== undefined) expect(verdict).toMatchObject({ opensAt: one.opensAt })
  })

  test('every rule decides in some case', () => {
    const decided = new Set(loaded.cases.map((one) => decidedBy(judge(loaded.rules, situationOf(loaded, one)))))
    const { policies, denials = [] } = loaded.rules
    const idle = [...policies, ...denials].map(({ name }) => name).filter((name) => !decided.has(name))
    expect(idle).toEqual([])
  })
})

describe('a file of cases', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'curfew-cases-'))
    await copyFile(join(root, 'config/policies-team.yaml'), join(folder, 'policies-team.yaml'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const one = '{ name: x, person: {}, resource: shop-db, role: readonly, expect: deny }'

  test.each([
    ['an unknown resource', one.replace('shop-db', 'shp'), /:3:\d+ cases\[0\]\.resource: there is no resource "shp"/],
    ['an unknown role', one.replace('readonly', 'root'), /cases\[0\]\.role: shop-db has no role "root"/],
    ['a verdict that there is not', one.replace('deny', 'maybe'), /cases\[0\]\.expect/],
    ['a moment without a zone', one.replace('}, res', '}, at: 2026-11-23T10:00, res'), /at: expected a moment such as/],
    ['a key that there is not', one.replace('name: x', 'name: x, nme: y'), /cases\[0\]/],
  ])('is refused for %s, with the place', async (_, text, message) => {
    const file = join(folder, 'cases.yaml')
    await writeFile(file, `policies: policies-team.yaml\ncases:\n  - ${text}\n`)
    const failure = await loadPolicyCases(file).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ConfigProblems)
    expect(String((failure as Error).message)).toMatch(message)
  })

  test('needs no secret and no listener, and says what is wrong with the policies', async () => {
    const text = await readFile(join(folder, 'policies-team.yaml'), 'utf8')
    await writeFile(join(folder, 'policies-team.yaml'), text.replace('request.minutes <= 60', 'request.mins <= 60'))
    await writeFile(join(folder, 'cases.yaml'), `policies: policies-team.yaml\ncases:\n  - ${one}\n`)
    await expect(loadPolicyCases(join(folder, 'cases.yaml'))).rejects.toThrow(
      /policies-team\.yaml:\d+:17 policies\[5\]\.if: No such key: mins/,
    )
  })
})
