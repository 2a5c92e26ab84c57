import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadRules } from '../../src/config/load-rules.ts'
import { loadPolicyCases, situationOf } from '../../src/config/policy-cases.ts'
import { judge } from '../../src/policy/judge.ts'
import { riskDefaults } from '../../src/policy/risk.ts'
import { mmdbOf } from '../geo/mmdb.ts'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
  await writeFile(join(folder.folder, 'countries.mmdb'), mmdbOf({ '203.0.113.0/24': 'DE' }))
  await writeFile(join(folder.folder, 'broken.mmdb'), 'not this')
})
afterAll(() => folder[Symbol.asyncDispose]())

const geo = 'geo: { file: countries.mmdb }\n'
const resources = goodConfig.slice(0, goodConfig.indexOf('policies:'))
const withPolicy = (extra: string, top = '') => `${top}${resources}policies:
  - name: read
    who: { groups: [engineering] }
    what: { roles: [readonly] }
    approval: none
    ${extra}
`

test('countries are a list of codes, beside networks', async () => {
  const { config } = await folder.check(withPolicy('from: { countries: [DE, AT, DE], networks: [10.0.0.0/8] }', geo))
  expect(config.geo).toEqual({ file: join(folder.folder, 'countries.mmdb') })
  expect(config.policies[0]).toMatchObject({ countries: ['DE', 'AT'], networks: { texts: ['10.0.0.0/8'] } })
  const { config: other } = await folder.check(withPolicy('from: { countries: [DE] }', geo))
  expect(other.policies[0]?.networks).toBeUndefined()
})

test('nothing of it must be there', async () => {
  const { config, notices } = await folder.check(goodConfig)
  expect([config.geo, config.risk, notices]).toEqual([null, riskDefaults, []])
})

describe('refused, with the place', () => {
  const needed =
    'nobody can say in which country an address is | Name a file with the countries of addresses: geo.file.'
  test.each([
    ['from: { countries: [DE] }', '', [`policies[0].from.countries: ${needed}`]],
    ['if: client.country == "DE"', '', [`policies[0].if: ${needed}`]],
    ['from: {}', '', ['policies[0].from: it names no place | Name networks, countries or both.']],
    [
      'from: { countries: [UK] }',
      geo,
      [
        'policies[0].from.countries[0]: expected a country by its two capital letters, such as DE (ISO 3166-1), got "UK"',
      ],
    ],
    ['reason: optional', 'geo: { file: gone.mmdb }\n', ['geo.file: cannot read gone.mmdb: there is no such file']],
    [
      'reason: optional',
      'geo: { file: broken.mmdb }\n',
      ['geo.file: broken.mmdb is no database in the format of MaxMind DB'],
    ],
    [
      'reason: optional',
      'risk: { levels: { medium: 60 } }\n',
      ['risk.levels.high: expected a score above 60, from which on it is `medium`, got 60'],
    ],
    [
      'reason: optional',
      'risk: { weights: { first-tim: 4 } }\n',
      ['risk.weights.first-tim: there is no such key | Did you mean `first-time`?'],
    ],
    ['if: risk.level == 3', '', ['policies[0].if: no such overload: string == int']],
  ])('%s %s', async (extra, top, expected) => {
    const problems = await folder.problems(withPolicy(extra, top))
    expect(problems.map((line) => line.replace(/^\S+?:\d+:\d+:? /, ''))).toEqual(expected)
  })
})

test('a zone, sensitive labels, levels and weights of risk', async () => {
  const risk = `risk:
  zone: Europe/Berlin
  sensitive: { env: [production] }
  levels: { medium: 20 }
  weights: { first-time: 40, unusual-hour: 0 }
`
  const { config } = await folder.check(`${risk}${goodConfig}`)
  expect(config.risk).toEqual({
    ...{ zone: 'Europe/Berlin', sensitive: { env: ['production'] }, levels: { medium: 20, high: 60 } },
    weights: { ...riskDefaults.weights, 'first-time': 40, 'unusual-hour': 0 },
  })
})

describe('cases', () => {
  const write = (name: string, text: string) => writeFile(join(folder.folder, name), text)
  const policies = `policies:
  - name: low risk from home
    who: { groups: [engineering] }
    what: { roles: [readonly] }
    from: { countries: [DE] }
    if: risk.level == "low" && !("first-time" in risk.factors)
    approval: none
`
  const load = async (part: string) => {
    await write('policies.yaml', `geo: { file: not-here.mmdb }\n${resources}${policies}`)
    await write(
      'cases.yaml',
      `policies: policies.yaml\ncases:\n  - { name: x, person: { groups: [engineering] }, resource: shop, role: readonly, expect: allow, ${part} }\n`,
    )
    const loaded = await loadPolicyCases(join(folder.folder, 'cases.yaml'))
    return judge(loaded.rules, situationOf(loaded, loaded.cases[0]!)).kind
  }

  test.each([
    ['from: 203.0.113.9, country: DE, risk: { score: 20 }', 'allow'],
    ['from: 203.0.113.9, country: FR, risk: { score: 20 }', 'deny'],
    ['from: 203.0.113.9, risk: { score: 20 }', 'deny'],
    ['from: 10.0.0.1, country: DE, risk: { score: 20 }', 'deny'],
    ['from: 203.0.113.9, country: DE, risk: { score: 30 }', 'deny'],
    ['from: 203.0.113.9, country: DE, risk: { score: 30, level: low }', 'allow'],
    ['from: 203.0.113.9, country: DE, risk: { score: 20, factors: [first-time] }', 'deny'],
    ['from: 203.0.113.9, country: DE', 'allow'],
    ['risk: { score: 20 }', 'allow'],
  ])('%s: %s', async (part, kind) => expect(await load(part)).toBe(kind))

  test('need an address for a country, and no database', async () => {
    await expect(load('country: DE')).rejects.toMatchObject({
      problems: [{ message: 'nobody is in a country without an address', path: 'cases[0].country' }],
    })
    expect((await loadRules(join(folder.folder, 'policies.yaml'))).riskLevels).toEqual(riskDefaults.levels)
  })
})
