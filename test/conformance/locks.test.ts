// Goal: a lock on a network or a group stops who comes from there or comes into it, and ends by itself.
// Method: a real psql in the middle of a statement and a real curl from two addresses of this machine. That live sessions
// of every protocol end by such a lock is one of the causes in causes.ts.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/system.ts'
import type { Login } from '../servers/gateway.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'

let gateway: HttpTestGateway
beforeAll(async () => {
  gateway = await startHttpTestGateway({
    configure: (config) => {
      config.identity.refreshEvery = '1s'
    },
  })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const nothing = { person: null, resource: null, role: null }

async function psql(login: Login, command: string) {
  const args = ['-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1']
  const commands = ['select 6 * 7', command]
  return gateway.psql({ user: 'reporting.token', password: await gateway.token(login), commands, args })
}

/** In the middle of a statement. */
async function working(login: Login) {
  await gateway.grant(login, 'reporting')
  const client = await psql(login, 'select pg_sleep(600)')
  await client.until(/42/)
  return client
}

test('a lock on a network ends what came from there, lets nobody in, and is over at its time', async () => {
  const { access, state } = gateway.gateway
  await using client = await working('alice')
  const scope = { ...nothing, resource: 'prod-db', address: '127.0.0.0/8' }
  const lock = await access.placeLock(await gateway.person('olga'), scope, 'odd traffic', 4000)
  expect((await client.exited()).stderr).toContain('FATAL:  57P01: Access is locked: odd traffic')
  await using refused = await psql('alice', 'select 1')
  expect((await refused.exited()).stderr).toContain('FATAL:  Access is locked: odd traffic')
  expect(systemClock.now()).toBeLessThan(lock.until!)
  await expect.poll(() => access.pastLocks(1), { timeout: 8000 }).toMatchObject([{ id: lock.id, liftedAt: lock.until }])
  await using again = await psql('alice', 'select 1')
  expect(await again.exited()).toMatchObject({ status: 0 })
  const [event] = await state.audit.search({ types: ['lock.lifted'], limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({ person: null, data: { lock: lock.id, scopeAddress: '127.0.0.0/8' } })
})

test('who comes into a locked group while their session lives loses it', async () => {
  const { access } = gateway.gateway
  const olga = await gateway.person('olga')
  const lock = await access.placeLock(olga, { ...nothing, group: 'suspended' }, 'until further notice')
  await using client = await working('dave')
  gateway.provider.setGroups('dave', ['engineering', 'suspended'])
  const { status, stderr } = await client.exited()
  expect([status, stderr]).toEqual([
    expect.any(Number),
    expect.stringContaining('57P01: Access is locked: until further'),
  ])
  await access.liftLock(olga, lock.id)
})

test('a session of an application is judged by each address that its requests come from', async () => {
  const { access, state } = gateway.gateway
  const olga = await gateway.person('olga')
  await gateway.httpGrant('alice', 'open')
  const headers = ['-H', `authorization: Bearer ${await gateway.token('alice')}`, '-H', 'curfew-role: open']
  const from = async (address: string) => {
    const { status, body } = await gateway.curl('/echo', [...headers, '--interface', address])
    return status === 200 ? 'passed' : (JSON.parse(body) as { code: string }).code
  }
  const live = async () => (await state.sessions.sessions({ live: true, limit: 10 })).map(({ session }) => session.id)
  expect(await from('127.0.0.1')).toBe('passed')
  const [session] = await live()
  const place = (address: string) => access.placeLock(olga, { ...nothing, address }, 'drill')
  const second = await place('127.0.0.2')
  expect([await from('127.0.0.2'), await from('127.0.0.1'), await live()]).toEqual(['LOCKED', 'passed', [session]])
  await access.liftLock(olga, second.id)
  // It was used from there, so a lock on that address is about it.
  expect(await from('127.0.0.2')).toBe('passed')
  await place('127.0.0.2')
  await expect.poll(live).toEqual([])
  // From elsewhere another begins.
  expect([await from('127.0.0.2'), await from('127.0.0.1')]).toEqual(['LOCKED', 'passed'])
})
