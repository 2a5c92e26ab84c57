// Several servers, several ways to reach one, and several ways to be sure of it. Real servers, one of them a standby.
import dns from 'node:dns'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { issue, makeAuthority, type Authority } from '../../../scripts/certificates.ts'
import { readPostgresPlace } from '../../../src/config/postgres-place.ts'
import { SecretFile } from '../../../src/config/secret-file.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { cancelTarget } from '../../../src/protocols/postgres/cancel-target.ts'
import { query } from '../../../src/protocols/postgres/messages.ts'
import { connectAgain, connectTarget, type Target, type TargetWish } from '../../../src/protocols/postgres/target.ts'
import type { PostgresPlace, PostgresResource } from '../../../src/resources/catalogue.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { resourceOf } from './stage.ts'

const stack = new AsyncDisposableStack()
let clients: Authority
let primary: TestPostgres
let standby: TestPostgres
let socketFolder: string

beforeAll(async () => {
  clients = await makeAuthority('Who signs clients')
  socketFolder = join(tmpdir(), `curfew-socket-${process.pid}`)
  await mkdir(socketFolder)
  // Somebody else runs the server where root runs the tests.
  await chmod(socketFolder, 0o777)
  stack.defer(() => rm(socketFolder, { recursive: true, force: true }))
  primary = stack.use(
    await startPostgres({ settings: { unix_socket_directories: socketFolder, listen_addresses: addresses.join() } }),
  )
  standby = stack.use(await startPostgres({ standby: true }))
}, 60_000)
afterAll(() => stack.disposeAsync())

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const addresses = ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])]

const closedPlace: PostgresPlace = { host: 'localhost', port: 1 }
const placeOf = ({ host, port }: PostgresPlace) => ({ host, port })
type Found = (error: null, addresses: { address: string; family: number }[]) => void
type Change = Partial<Pick<PostgresResource, 'host' | 'port' | 'others' | 'targetSession' | 'logins'>> & {
  readonly tls?: Partial<PostgresResource['tls']>
  readonly login?: string
  readonly password?: TargetWish['role']['password']
  readonly parameters?: TargetWish['parameters']
}

function wish({ tls, login, password, parameters = [], ...change }: Change = {}): TargetWish {
  const resource = resourceOf(primary)
  const role = resource.roles['readonly']!
  return {
    resource: { ...resource, ...change, tls: { ...resource.tls, ...tls } },
    role: { ...role, login: login ?? role.login, password: password ?? role.password },
    database: 'shop',
    parameters,
  }
}

const never = new AbortController().signal
const deps = { clock: systemClock, random: systemRandom }
async function reached(which: TargetWish): Promise<Target> {
  const target = await connectTarget(which, never, deps)
  target.socket.destroy()
  return target
}
const outcome = (which: TargetWish) =>
  reached(which).then(
    ({ encryption }) => encryption,
    (error: Error) => error.message,
  )

async function withRules(postgres: TestPostgres, rules: readonly string[], work: () => Promise<void>): Promise<void> {
  const { rows } = await postgres.query('show hba_file')
  const file = (rows[0] as { hba_file: string }).hba_file
  const before = await readFile(file, 'utf8')
  await writeFile(file, `${rules.join('\n')}\n${before}`)
  await postgres.query('select pg_reload_conf()')
  try {
    await work()
  } finally {
    await writeFile(file, before)
    await postgres.query('select pg_reload_conf()')
  }
}

describe('which server', () => {
  test('the next is tried when one cannot be reached, and a cancel goes to the one that was', async () => {
    const target = await connectTarget(wish({ ...closedPlace, others: [closedPlace, placeOf(primary)] }), never, deps)
    expect(target.address.port).toBe(primary.port)
    target.socket.resume().write(query('select pg_sleep(72)'))
    await primary.untilRunning('pg_sleep(72)', 1)
    await cancelTarget(target, systemClock)
    await primary.untilRunning('pg_sleep(72)', 0)
    target.socket.destroy()
  })

  // A reader endpoint of a cloud names another replica each time; there, the process number is somebody else's.
  test('what belongs to a session goes to its very server, whatever its name means by then', async () => {
    const meanings = ['127.0.0.1', '127.0.0.99']
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((_name: string, _options: unknown, found: Found) => {
      found(null, [{ address: meanings.shift() ?? '127.0.0.99', family: 4 }])
    }) as typeof dns.lookup)
    onTestFinished(() => lookup.mockRestore())
    const target = await connectTarget(wish({ host: 'localhost' }), never, deps)
    target.socket.resume().write(query('select pg_sleep(73)'))
    await primary.untilRunning('pg_sleep(73)', 1)
    await cancelTarget(target, systemClock)
    await primary.untilRunning('pg_sleep(73)', 0)
    const again = await connectAgain(target, wish({ host: 'localhost' }), never, deps)
    expect(again.address).toEqual(target.address)
    again.socket.destroy()
    target.socket.destroy()
  })

  test('the next is not tried when one refuses us', async () => {
    const wrong = wish({ password: new Secret('wrong'), others: [closedPlace] })
    await expect(reached(wrong)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
  })

  test('none at all is one fault that tells operators about each', async () => {
    const error = await reached(wish({ ...closedPlace, others: [closedPlace] })).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', message: 'No server of shop will do now.' })
    expect(String((error as Error).cause)).toMatch(/ECONNREFUSED.*;.*ECONNREFUSED/)
  })

  test.each([
    ['any', 'standby'],
    ['primary', 'primary'],
    ['read-write', 'primary'],
    ['standby', 'standby'],
    ['read-only', 'standby'],
    ['prefer-standby', 'standby'],
  ] as const)('%s: of a standby and a primary, the %s', async (targetSession, which) => {
    // Passwords are those of each server's own files; the template is the same for both.
    const target = await reached(
      wish({ ...placeOf(standby), others: [placeOf(primary)], targetSession, tls: either() }),
    )
    expect(target.address.port).toBe({ standby, primary }[which].port)
  })

  test('prefer-standby takes a primary where there is nothing else; standby does not', async () => {
    expect((await reached(wish({ targetSession: 'prefer-standby' }))).address.port).toBe(primary.port)
    await expect(reached(wish({ targetSession: 'standby' }))).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
  })

  test('a primary whose sessions only read is read-only', async () => {
    const reading = [['options', '-c default_transaction_read_only=on']] as const
    expect((await reached(wish({ targetSession: 'read-only', parameters: reading }))).address.port).toBe(primary.port)
    await expect(reached(wish({ targetSession: 'read-write', parameters: reading }))).rejects.toMatchObject({
      code: 'UPSTREAM_UNREACHABLE',
    })
  })

  const either = () => ({ ca: `${primary.ca}\n${standby.ca}` })
})

describe('how it is reached', () => {
  test('through the socket in a folder, without TLS whatever the mode', async () => {
    await withRules(primary, ['local all all scram-sha-256'], async () => {
      const there = wish({ host: socketFolder, port: primary.port })
      await expect.poll(() => outcome(there)).toBe('none')
      const target = await connectTarget(there, never, deps)
      target.socket.resume().write(query('select pg_sleep(73)'))
      await primary.untilRunning('pg_sleep(73)', 1)
      await cancelTarget(target, systemClock)
      await primary.untilRunning('pg_sleep(73)', 0)
      target.socket.destroy()
    })
  })

  test.skipIf(!hasIpv6)('by an IPv6 address (skipped where the machine has none)', async () => {
    expect(await outcome(wish({ host: '::1' }))).toBe('required')
  })

  test('a password file is read again, so that a change needs no restart', async () => {
    const file = join(primary.folder, 'password')
    await primary.query("create role rotating login password 'one' in role shop_readonly")
    await primary.query('grant connect on database shop to rotating')
    await writeFile(file, 'one\n')
    const rotating = wish({ login: 'rotating', password: new SecretFile(file, new Secret('one')) })
    expect(await outcome(rotating)).toBe('required')
    await primary.query("alter role rotating password 'two'")
    expect(await outcome(rotating)).toContain('refused')
    await writeFile(file, 'two\n')
    expect(await outcome(rotating)).toBe('required')
    await rm(file)
    expect(await outcome(rotating)).toBe('required')
  })
})

describe('whom it is sure of', () => {
  const stranger = async () => (await makeAuthority('somebody else')).certificate

  test('verify-full asks for authority and name, verify-ca for the authority, require for neither', async () => {
    const otherName = { serverName: 'db.example.com' }
    const proof = /could not prove who it is/
    expect(await outcome(wish({ tls: { mode: 'verify-full', ...otherName } }))).toMatch(proof)
    expect(await outcome(wish({ tls: { mode: 'verify-ca', ...otherName } }))).toBe('required')
    expect(await outcome(wish({ tls: { mode: 'verify-ca', ca: await stranger() } }))).toMatch(proof)
    expect(await outcome(wish({ tls: { mode: 'require', ca: null } }))).toBe('required')
    expect(await outcome(wish({ tls: { mode: 'require', ca: await stranger() } }))).toMatch(proof)
  })

  test('allow begins without TLS, prefer with it; the other way is tried when the server turns the first away', async () => {
    expect(await outcome(wish({ tls: { mode: 'disable' } }))).toContain('refused')
    expect(await outcome(wish({ tls: { mode: 'allow' } }))).toBe('required')
    expect(await outcome(wish({ tls: { mode: 'prefer', ca: null } }))).toBe('offered')
    await withRules(primary, ['hostnossl all all all scram-sha-256', 'hostssl all all all reject'], async () => {
      await expect.poll(() => outcome(wish({ tls: { mode: 'disable' } }))).toBe('none')
      expect(await outcome(wish({ tls: { mode: 'allow' } }))).toBe('none')
      expect(await outcome(wish({ tls: { mode: 'prefer', ca: null } }))).toBe('none')
      expect(await outcome(wish({ tls: { mode: 'require', ca: null } }))).toContain('refused')
    })
  })

  test('prefer goes on without TLS where the server has none, require does not', async () => {
    await primary.query('alter system set ssl = off')
    await withRules(primary, ['hostnossl all all all scram-sha-256'], async () => {
      const there = (mode: 'prefer' | 'require') => wish({ tls: { mode, ca: null } })
      await expect.poll(() => outcome(there('require'))).toContain('does not offer TLS')
      await expect.poll(() => outcome(there('prefer'))).toBe('offered')
    })
    await primary.query('alter system reset ssl')
    await primary.query('select pg_reload_conf()')
    await expect.poll(() => outcome(wish())).toBe('required')
  })

  test('the gateway shows its own certificate', async () => {
    await primary.query('create role with_certificate login')
    await primary.query('grant connect on database shop to with_certificate')
    const { certificate, key } = await issue(clients, { names: ['with_certificate'], purpose: 'both' })
    const caFile = join(primary.folder, 'data', 'clients.pem')
    await writeFile(caFile, clients.certificate)
    await primary.query(`alter system set ssl_ca_file = 'clients.pem'`)
    await withRules(primary, ['hostssl all with_certificate all cert'], async () => {
      const identity = { certificate, key: new Secret(key) }
      const shown = wish({ login: 'with_certificate', tls: { identity }, logins: ['none'] })
      await expect.poll(() => outcome(shown)).toBe('required')
      expect(await outcome({ ...shown, resource: { ...shown.resource, tls: wish().resource.tls } })).toContain(
        'refused',
      )
    })
  })
})

test.each([
  ['db.internal', { host: 'db.internal', port: 5432 }],
  ['db.internal:5433', { host: 'db.internal', port: 5433 }],
  ['192.0.2.7:1', { host: '192.0.2.7', port: 1 }],
  ['2001:db8::7', { host: '2001:db8::7', port: 5432 }],
  ['[2001:db8::7]:5433', { host: '2001:db8::7', port: 5433 }],
  ['/var/run/postgresql', { host: '/var/run/postgresql', port: 5432 }],
  ['/var/run/postgresql:5433', { host: '/var/run/postgresql', port: 5433 }],
  ['db.internal:0', undefined],
  ['db.internal:70000', undefined],
  ['db internal', undefined],
  ['[db.internal]:5432', undefined],
  ['a:b', undefined],
])('the place %s', (text, place) => {
  expect(readPostgresPlace(text, 5432)).toEqual(place)
})
