// Goal: what a guard means is clear from the file, and rules that could never do what they say are refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const role = '{ login: r, password: env:SHOP_PASSWORD, databases: [shop] }'
const guarded = (options: string) =>
  goodConfig.replace(role, role.replace(' }', `, ${options.replaceAll(/\s+/g, ' ')} }`))
const read = async (options: string) => {
  const { config } = await folder.check(guarded(options))
  const shop = config.resources.find(({ name }) => name === 'shop')
  if (shop?.kind !== 'postgres') throw new Error('there is no shop')
  return shop.roles['readonly']!.guard
}
const problems = async (guard: string) =>
  (await folder.problems(guarded(guard))).map((line) => line.replace(/^\S+ resources\.shop\.roles\.readonly\./, ''))
const rule = (when: string, then = 'refuse') => `guard: { rules: [{ name: x, when: ${when}, then: ${then} }] }`
const quiet = { tables: null, functions: null, whereMissing: false, several: false, message: null }

describe('what it means', () => {
  test('without a word, nothing is looked at', async () => {
    expect(await read('serverFiles: allow')).toBeNull()
  })

  test('server files alone', async () => {
    expect(await read('serverFiles: refuse')).toMatchObject({
      rules: [{ kinds: ['copy-program', 'copy-file', 'server-file'], action: 'refuse' }],
      otherwise: 'allow',
    })
  })

  test('read-only is a list of what passes', async () => {
    const guard = await read('guard: read-only')
    expect(guard).toMatchObject({
      otherwise: 'refuse',
      rules: [{ action: 'allow' }, { kinds: null, action: 'refuse' }],
    })
    expect(guard!.rules[0]!.kinds).not.toContain('insert')
  })

  test('rules, with groups of kinds written out, behind the one about server files', async () => {
    const options = `serverFiles: refuse, guard: { askFor: 2m, askers: { from: [dba], named: [Kim@Example.com] }, rules: [
      { name: full-tables, when: { kinds: [update, delete], where: missing }, then: refuse, message: add a WHERE },
      { name: changes, when: { kinds: [ddl, truncate], tables: [shop.*] }, then: ask },
      { name: one, when: { statements: several }, then: warn },
      { name: naps, when: { functions: [pg_sleep*] }, then: refuse } ] }`
    expect(await read(options)).toEqual({
      rules: [
        expect.objectContaining({ name: 'server-files' }),
        {
          ...quiet,
          name: 'full-tables',
          kinds: ['update', 'delete'],
          whereMissing: true,
          action: 'refuse',
          message: 'add a WHERE',
        },
        {
          ...quiet,
          name: 'changes',
          kinds: ['create', 'alter', 'drop', 'grant', 'role', 'truncate'],
          tables: ['shop.*'],
          action: 'ask',
        },
        { ...quiet, name: 'one', kinds: null, several: true, action: 'warn' },
        { ...quiet, name: 'naps', kinds: null, functions: ['pg_sleep*'], action: 'refuse' },
      ],
      otherwise: 'allow',
      askForMs: 120_000,
      askers: { from: ['dba'], allOf: [], named: ['kim@example.com'], manager: false },
    })
  })
})

test.each([
  [rule('{ kinds: [drop-table] }'), /kinds\[0\]: expected `select`, /],
  [rule('{ tables: [a], functions: [b] }'), /functions: a rule is about tables or about functions/],
  [rule('{ kinds: [unparsable, select] }'), /kinds: of what is `unparsable` nothing else is known/],
  [rule('{ kinds: [select], where: missing }'), /where: only `update` and `delete`/],
  [rule('{ functions: [f], where: missing }'), /where: a rule about functions does not look at WHERE/],
  ['guard: { rules: [{ name: x, then: warn }, { name: x, then: refuse }] }', /rules\[1\]\.name: another rule/],
  ['guard: { otherwise: ask, askFor: 2h }', /askFor: expected a length of time of at most 1h/],
  ['guard: { otherwise: ask, askFor: "0" }', /askFor: expected a length of time of at most 1h/],
  ['guard: { otherwise: ask, askers: {} }', /askers: expected `from`, `allOf` or `named`/],
  ['guard: { askers: { from: [dba] } }', /askers: no rule asks anybody/],
  ['replication: true, guard: read-only', /replication: commands of replication cannot be judged/],
  ['replication: true, serverFiles: refuse', /replication: commands of replication cannot be judged/],
])('%s is refused', async (guard, expected) => {
  expect((await problems(guard)).join('\n')).toMatch(expected)
})

test('a guard that asks where access takes nobody, and that names nobody, is worth knowing about', async () => {
  const notices = async (guard: string) => (await folder.notices(guarded(guard))).join('\n')
  expect(await notices(rule('{ kinds: [drop] }', 'ask'))).toMatch(
    /resources\.shop\.roles\.readonly\.guard: statements that it asks about fail for those who come by "read": .*`askers`/,
  )
  expect(await notices('guard: { otherwise: ask }')).toContain('nobody could answer')
  expect(await notices('guard: { otherwise: ask, askers: { from: [dba] } }')).toBe('')
  expect(await notices(rule('{ kinds: [drop] }'))).toBe('')
})
