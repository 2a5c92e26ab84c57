// Goal: a role logs in at its target in exactly one of the two ways, and who mixes them up reads which.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const role = '{ login: r, password: env:SHOP_PASSWORD, databases: [shop] }'
const withRole = (written: string) => goodConfig.replace(role, written)
const user = (more = '') =>
  `user: { administrator: { login: a, password: env:SHOP_PASSWORD }, memberOf: [reads]${more} }`
const problems = async (written: string) =>
  (await folder.problems(withRole(written))).map((line) => line.replace(/^\S+ resources\.shop\./, ''))

test('a user for each grant, with what is usual', async () => {
  const settings = ', settings: { statement_timeout: 5min, jit: false }'
  const { config } = await folder.check(withRole(`{ ${user(settings)}, databases: [shop] }`))
  const shop = config.resources.find(({ name }) => name === 'shop')
  expect(shop?.roles['readonly']).toMatchObject({
    ...{ login: '', password: null },
    user: {
      administrator: { login: 'a', database: 'postgres' },
      memberOf: ['reads'],
      settings: { statement_timeout: '5min', jit: 'off' },
      keepMs: 300_000,
    },
  })
})

test.each([
  ['neither', '{ databases: [shop] }', /expected either `login` or `user`, got neither/],
  ['both', `{ login: r, ${user()}, databases: [shop] }`, /expected either `login` or `user`, got both/],
  ['a password', `{ password: env:SHOP_PASSWORD, ${user()}, databases: [shop] }`, /password: it belongs to `login`/],
  ['no rights', '{ user: { administrator: { login: a }, memberOf: [] }, databases: [shop] }', /memberOf/],
  ['no administrator', '{ user: { memberOf: [a] }, databases: [shop] }', /user\.administrator/],
  ['a secret that is not there', `{ ${user().replace('SHOP', 'NO')}, databases: [shop] }`, /administrator\.password/],
])('%s is refused, with its place', async (_what, written, expected) => {
  const found = await problems(written)
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(expected)
})

test('a target that would not let them in', async () => {
  const written = withRole(`{ ${user()}, databases: [shop] }`).replace(
    'kind: postgres',
    'kind: postgres\n    logins: [md5]',
  )
  expect(await folder.problems(written)).toEqual([expect.stringContaining('log in by SCRAM') as string])
})
