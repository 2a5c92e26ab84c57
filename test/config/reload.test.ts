// Goal: a configuration is taken over once it is on record, and not a moment before; whoever looks again finds all of it.
// Method: the real parts of the rules and the catalogue, with a log that refuses, and listeners that note what they are shown.
import { expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { createReload, createRules } from '../../src/reload.ts'
import { createCatalogue } from '../../src/resources/catalogue.ts'
import { silent } from '../access/world.ts'
import { HandClock } from '../clock.ts'
import { listLog } from '../protocols/postgres/hand-made.ts'
import { environment, goodConfig, makeConfigFolder } from './example.ts'

async function place(append: () => Promise<never> | Promise<void>) {
  await using folder = await makeConfigFolder()
  const read = async (text: string) => (await folder.check(text, environment)).config
  const first = await read(goodConfig)
  const next = await read(goodConfig.replace('- name: read\n', '- name: look\n').replace('env: staging', 'env: test'))
  const catalogue = createCatalogue(first.resources)
  const rules = createRules(first, { countryOf: undefined, onConditionFailed: () => undefined })
  const seen: string[] = []
  const listening = (name: string) => ({
    ...{ address: '', port: 0, [Symbol.asyncDispose]: () => Promise.resolve() },
    renewal: () => () => void seen.push(`${name} while ${rules.policies[0]!.name}`),
  })
  const look = () => void seen.push(`${rules.policies[0]!.name} ${catalogue.resource('wiki')!.labels['env']}`)
  const reload = createReload(first, {
    ...{ catalogue, rules, web: listening('web'), postgres: [listening('postgres')], lookAgain: [look] },
    ...{ audit: { append } as never, clock: new HandClock(), log: listLog([]), metrics: silent },
  })
  return { first, next, catalogue, rules, seen, reload }
}

test('it holds when it is on record: all of it at once', async () => {
  const { first, next, catalogue, rules, seen, reload } = await place(() => Promise.resolve())
  const shop = catalogue.resource('shop')
  expect(await reload(next)).toEqual({
    kind: 'taken',
    resources: { added: [], removed: [], changed: ['wiki'] },
    rules: { added: ['look'], removed: ['read'], changed: [] },
  })
  expect(seen).toEqual(['web while read', 'postgres while read', 'look test'])
  expect([catalogue.resource('shop') === shop, { ...rules }.policies]).toEqual([true, next.policies])
  expect(await reload(first)).toMatchObject({ rules: { added: ['read'], removed: ['look'] } })
  expect(rules.policies).toBe(first.policies)
})

test('what cannot be written down does not happen', async () => {
  const { first, next, catalogue, rules, seen, reload } = await place(() =>
    Promise.reject(new Error('the disk is full')),
  )
  await expect(reload(next)).rejects.toThrow('the disk is full')
  expect([seen, rules.policies, catalogue.resources]).toEqual([[], first.policies, first.resources])
  const other: Config = { ...next, log: { level: 'debug' } }
  await expect(reload(other)).rejects.toThrow('the disk is full')
})
