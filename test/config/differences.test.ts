// Goal: what a changed file changes is found, all of it, and a file that is read twice says the same. Method: every part of
// whole configurations is changed in turn, and checked values made of anything.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changesOf, differences, keepingSame } from '../../src/config/differences.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { compileCondition } from '../../src/policy/condition.ts'
import { networksOf } from '../../src/policy/networks.ts'
import { environment, goodConfig, makeConfigFolder } from './example.ts'
import { httpConfig, httpEnvironment, makeHttpFolder } from './http-example.ts'

test('a file that is read twice says the same', async () => {
  await using folder = await makeConfigFolder()
  await using httpFolder = await makeHttpFolder()
  const read = async () => [
    (await folder.check(goodConfig, environment)).config,
    (await httpFolder.check(httpConfig, httpEnvironment)).config,
  ]
  const [before, after] = [await read(), await read()]
  expect(before.flatMap((one, index) => differences(one, after[index]))).toEqual([])
})

test.each([
  ['port: 8443', 'port: 8444', 'listen.web.port'],
  ['clientId: curfew', 'clientId: other', 'identity.oidc.clientId'],
  ['https://login.example.com', 'https://other.example.com', 'identity.oidc.issuer'],
  ['env: staging', 'env: test', 'resources.1.labels.env'],
  ['OPS-[0-9]+', 'OPS-[0-9]*', 'policies.1.ticket.pattern'],
  ['password: file:admin.txt', 'password: env:SHOP_PASSWORD', 'resources.0.roles.admin.password'],
  ['people: 2', 'people: 1', 'policies.1.approval.steps.0.people'],
])('%s → %s is found', async (before, after, place) => {
  await using folder = await makeConfigFolder()
  const read = async (text: string) => (await folder.check(text, environment)).config
  const found = differences(await read(goodConfig), await read(goodConfig.replace(before, after)))
  expect(found).toEqual([place])
})

test('secrets, addresses, patterns, networks and conditions are compared by what they say', () => {
  const make = (word: string) => ({
    secret: new Secret(word),
    url: new URL(`https://${word}.example`),
    pattern: new RegExp(word),
    networks: networksOf([`10.${word.length}.0.0/16`]),
    condition: compileCondition(`person.email == "${word}"`),
  })
  expect(differences(make('a'), make('a'))).toEqual([])
  expect(differences(make('a'), make('bb'))).toEqual([
    ...['secret', 'url', 'pattern', 'networks.texts.0'],
    ...['networks.list.v4.0', 'condition'],
  ])
  expect(JSON.stringify(differences(make('a'), make('bb')))).not.toContain('bb')
  const opaque = () => 1
  expect(differences({ opaque }, { opaque })).toEqual([])
  expect(differences({ opaque }, { opaque: () => 1 })).toEqual(['opaque'])
})

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, 1, 'a', 'b'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value

test('of any two values, those differ that are not the same as JSON', () => {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toSorted(([left], [right]) => (left < right ? -1 : 1))
        .map(([name, inner]) => [name, sorted(inner)]),
    )
  }
  fc.assert(
    fc.property(plain, plain, (one, other) => {
      const isSame = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
      expect(differences(one, other).length === 0).toBe(isSame)
      expect(differences(one, structuredClone(one))).toEqual([])
    }),
  )
})

test('things with names are told apart, and what says the same stays the same object', () => {
  const before = [
    { name: 'a', is: 1 },
    { name: 'b', is: 1 },
    { name: 'c', is: 1 },
  ] as const
  const after = [
    { name: 'd', is: 1 },
    { name: 'c', is: 2 },
    { name: 'a', is: 1 },
  ]
  expect(changesOf(before, after)).toEqual({ added: ['d'], removed: ['b'], changed: ['c'] })
  const kept = keepingSame<{ name: string; is: number }>(before, after)
  expect(kept).toEqual(after)
  expect([kept[1] === after[1], kept[2] === before[0]]).toEqual([true, true])
})
