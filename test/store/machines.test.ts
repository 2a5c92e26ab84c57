// Goal: machines lie beside people, with what their tokens were exchanged for; and the file itself keeps them from what only
// people do. Method: the real store, then plain SQL through a connection of our own.
import { expect, test } from 'vitest'
import { machineId, machineIssuer } from '../../src/identity/machine.ts'
import { at, somePerson, someToken, storePerson, storeRequest } from '../contracts/samples.ts'
import { makeSqlitePlace } from './place.ts'
import { openRaw } from './raw.ts'

const ciDeploy = somePerson({
  ...{ id: machineId('ci-deploy'), issuer: machineIssuer, subject: 'ci-deploy', name: 'ci-deploy' },
  ...{ email: null, groups: ['deployers'], kind: 'machine' },
})
const origin = { issuer: 'https://ci.example.com', subject: 'repo:org/shop', definition: 'what it was' }

test('a machine is kept, found and listed, and people are not', async () => {
  await using place = await makeSqlitePlace()
  const state = await place.open()
  await storePerson(state)
  await state.identity.transact((tx) => tx.savePerson(ciDeploy))
  expect(await state.identity.person(ciDeploy.id)).toEqual(ciDeploy)
  expect(await state.identity.machines()).toEqual([ciDeploy])
})

test('its tokens are kept with what they were exchanged for, as long as they hold', async () => {
  await using place = await makeSqlitePlace()
  const state = await place.open()
  const { identity } = state
  const erin = await storePerson(state)
  const [token, ended, hers] = [someToken(ciDeploy.id), someToken(ciDeploy.id), someToken(erin.id)]
  await identity.transact(async (tx) => {
    await tx.savePerson(ciDeploy)
    await tx.insertMachineToken(token, origin)
    await tx.insertMachineToken(ended, origin)
    await tx.endToken(ended.id, at(1500))
    await tx.insertToken(hers)
  })
  expect(await identity.tokenBySecret(token.secretHash)).toEqual(token)
  expect(await identity.livingMachineTokens(at(1500))).toEqual([{ token, origin }])
  expect(await identity.livingMachineTokens(token.expiresAt)).toEqual([])
  expect(await identity.livingTokens(ciDeploy.id, at(1500))).toBe(1)
  expect(await identity.livingTokens(ciDeploy.id, token.expiresAt)).toBe(0)
  await expect(identity.transact((tx) => tx.insertMachineToken(someToken(erin.id), origin))).rejects.toMatchObject({
    code: 'STORE_FAILED',
  })
})

const machine = `(select id from persons where kind = 'machine')`

test.each([
  `update persons set kind = 'machine' where kind = 'person'`,
  `update persons set kind = 'person' where kind = 'machine'`,
  `update persons set email = 'ci@example.com' where kind = 'machine'`,
  `insert into persons (id, issuer, subject, groups, seen_at, kind)
     values ('person-x', 'https://login.example.com', 'x', '[]', 1, 'machine')`,
  `insert into persons (id, issuer, subject, groups, seen_at, kind)
     values ('person-x', '${machineIssuer}', 'x', '[]', 1, 'person')`,
  `insert into browser_sessions (id, person_id, secret_hash, address, user_agent, created_at, expires_at)
     values ('browser-x', ${machine}, 'hash', '', '', 1, 2)`,
  `insert into decisions (id, request_id, person_id, verdict, comment, at)
     select 'decision-x', id, ${machine}, 'approve', '', 5 from requests`,
  `insert into locks (id, resource, reason, placed_by, placed_at) values ('lock-x', 'prod-db', 'why', ${machine}, 1)`,
  `update machine_tokens set definition = 'another'`,
])('the file refuses: %s', async (sql) => {
  await using place = await makeSqlitePlace()
  const state = await place.open()
  const erin = await storePerson(state)
  await storeRequest(state, erin.id)
  await state.identity.transact(async (tx) => {
    await tx.savePerson(ciDeploy)
    await tx.insertMachineToken(someToken(ciDeploy.id), origin)
  })
  using database = openRaw(place.file)
  expect(() => database.exec(sql)).toThrow(/CHECK constraint failed|what was written stays|a machine/)
})
