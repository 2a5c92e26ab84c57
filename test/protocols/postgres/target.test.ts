import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Secret } from '../../../src/kernel/secret.ts'
import { cancelTarget } from '../../../src/protocols/postgres/cancel-target.ts'
import { errorResponse, int32, message, notice, query } from '../../../src/protocols/postgres/messages.ts'
import { connectTarget, type Target, type TargetWish } from '../../../src/protocols/postgres/target.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { makeAuthority } from '../../../scripts/certificates.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { resourceOf } from './stage.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

const deps = { clock: systemClock, random: systemRandom }
const never = new AbortController().signal

function wish(
  change: {
    tls?: TargetWish['resource']['tls']
    port?: number
    password?: string | null
    login?: string
    logins?: TargetWish['resource']['logins']
    parameters?: TargetWish['parameters']
  } = {},
): TargetWish {
  const whole = resourceOf(postgres, change.tls, change.port)
  const resource = { ...whole, logins: change.logins ?? whole.logins }
  const { readonly } = resource.roles
  const password = change.password === undefined ? readonly!.password : change.password && new Secret(change.password)
  const role = { ...readonly!, login: change.login ?? readonly!.login, password: password || null }
  return { resource, role, database: 'shop', parameters: change.parameters ?? [] }
}

async function closing(target: Target): Promise<Target> {
  target.socket.destroy()
  return target
}
const connect = async (which: TargetWish) => closing(await connectTarget(which, never, deps))

test('SCRAM with channel binding over verified TLS, and what the server says of itself', async () => {
  const target = await connect(
    wish({
      parameters: [
        ['application_name', 'bound'],
        ['client_encoding', 'LATIN1'],
      ],
    }),
  )
  expect(Object.fromEntries(target.parameters)).toMatchObject({ client_encoding: 'LATIN1', application_name: 'bound' })
  expect(target).toMatchObject({ processId: expect.any(Number), status: 'I'.charCodeAt(0) })
  expect(target.secret.length).toBe(4)
})

test.each([
  [
    'an authority that did not sign',
    async () => ({
      tls: { mode: 'verify-full', ca: (await makeAuthority('other')).certificate, serverName: null, identity: null },
    }),
    'UPSTREAM_TLS',
  ],
  [
    'another name',
    async () => ({ tls: { mode: 'verify-full', ca: postgres.ca, serverName: 'db.example.com', identity: null } }),
    'UPSTREAM_TLS',
  ],
  [
    'only the system’s authorities',
    async () => ({ tls: { mode: 'verify-full', ca: null, serverName: null, identity: null } }),
    'UPSTREAM_TLS',
  ],
  ['a wrong password', async () => ({ password: 'wrong' }), 'UPSTREAM_REFUSED'],
  ['no password', async () => ({ password: null }), 'UPSTREAM_REFUSED'],
  ['an unknown parameter', async () => ({ parameters: [['nonsense', '1']] }), 'UPSTREAM_REFUSED'],
  ['a closed port', async () => ({ port: 1 }), 'UPSTREAM_UNREACHABLE'],
] as const)('%s is a refusal', async (_name, change, code) => {
  await expect(connect(wish((await change()) as Parameters<typeof wish>[0]))).rejects.toMatchObject({
    name: 'Fault',
    code,
  })
})

test('the target is checked, whatever the environment says about checking', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  const stranger = {
    mode: 'verify-full',
    ca: (await makeAuthority('other')).certificate,
    serverName: null,
    identity: null,
  } as const
  await expect(connect(wish({ tls: stranger }))).rejects.toMatchObject({ code: 'UPSTREAM_TLS' })
  vi.unstubAllEnvs()
})

test('the upstream login’s name and password are not in what the person reads', async () => {
  const error = (await connect(wish({ password: 'wrong' })).catch((thrown: unknown) => thrown)) as Error
  expect(error.message).not.toContain('shop_readonly')
  expect(String((error.cause as Error).message)).toContain('28P01')
})

test('SCRAM, md5, clear text and trust, with and without TLS', async () => {
  await postgres.query(
    "set password_encryption = 'md5'; create role old_login login password 'old'; reset password_encryption",
  )
  await postgres.query("create role new_login login password 'new'")
  const { rows } = await postgres.query('show hba_file')
  const file = (rows[0] as { hba_file: string }).hba_file
  const before = await readFile(file, 'utf8')
  const use = async (line: string) => {
    await writeFile(file, `${line}\n${before}`)
    await postgres.query('select pg_reload_conf()')
  }
  const outcome = (change: Parameters<typeof wish>[0]) =>
    connect({ ...wish(change), database: 'postgres' }).then(
      () => 'in',
      (error: Error) => error.message,
    )
  const old = { login: 'old_login', password: 'old' }
  // A reload takes a moment, so the first look after each is repeated.
  await use('host all new_login all scram-sha-256')
  await expect.poll(() => outcome({ login: 'new_login', password: 'new', tls: plain })).toBe('in')
  await use('host all old_login all md5')
  await expect.poll(() => outcome(old)).toBe('in')
  expect(await outcome({ ...old, tls: plain })).toBe('in')
  expect(await outcome({ ...old, password: 'wrong' })).toContain('refused')
  await use('host all old_login all password')
  await expect.poll(() => outcome(old)).toContain('asks for a login of the kind password')
  expect(await outcome({ ...old, logins: ['password'] })).toBe('in')
  expect(await outcome({ ...old, logins: ['password'], tls: plain })).toBe('in')
  await use('host all old_login all trust')
  await expect.poll(() => outcome({ ...old, password: null })).toBe('in')
  expect(await outcome({ ...old, logins: ['scram-sha-256'] })).toContain('lets anybody in')
  await writeFile(file, before)
  await postgres.query('select pg_reload_conf()')
})

test('a cancel request reaches the right session', async () => {
  const target = await connectTarget(wish(), never, deps)
  target.socket.resume().write(query('select pg_sleep(71)'))
  await postgres.untilRunning('pg_sleep(71)', 1)
  await cancelTarget({ ...target, secret: Buffer.alloc(4) }, systemClock)
  await postgres.untilRunning('pg_sleep(71)', 1)
  await cancelTarget(target, systemClock)
  await postgres.untilRunning('pg_sleep(71)', 0)
  target.socket.destroy()
})

/** A target made of a script: what it says to each thing that it hears. */
async function fakeTarget(answer: Answering) {
  const server = createServer((socket) => {
    socket.once('data', () => answer(socket)).on('error', () => undefined)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, [Symbol.dispose]: () => void server.close() }
}
type Answering = (socket: Socket) => void
const plain = { mode: 'disable', ca: null, serverName: null, identity: null } as const

const says =
  (bytes: string | Uint8Array): Answering =>
  (socket) =>
    void socket.write(bytes)
const busy = errorResponse({ severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' })
/** Slowly enough that what waits unread is never too much. */
const chatter: Answering = (socket) => {
  socket.write(message(0x52, int32(0)))
  const notices = setInterval(() => socket.write(notice('x'.repeat(60_000))), 1)
  socket.once('close', () => clearInterval(notices))
}
const answers: [string, Answering, typeof plain | undefined, string][] = [
  ['bytes stuffed behind its S', says('Sxxxxx'), undefined, 'UPSTREAM_TLS'],
  ['no TLS', says('N'), undefined, 'UPSTREAM_TLS'],
  ['a hang-up', (socket) => void socket.end(), plain, 'UPSTREAM_UNREACHABLE'],
  ['HTTP', says('HTTP/1.1 400 Bad Request\r\n\r\n'), plain, 'UPSTREAM_REFUSED'],
  ['a message of 2 GB', says(Buffer.from('527fffffff00', 'hex')), plain, 'UPSTREAM_REFUSED'],
  ['Kerberos', says(message(0x52, int32(7))), plain, 'UPSTREAM_REFUSED'],
  ['SCRAM-SHA-1 only', says(message(0x52, int32(10), Buffer.from('SCRAM-SHA-1\0\0'))), plain, 'UPSTREAM_REFUSED'],
  ['notices without end', chatter, plain, 'UPSTREAM_REFUSED'],
  ['too many connections', says(busy), plain, 'UPSTREAM_UNREACHABLE'],
]

test.each(answers)('a target that answers with %s is a fault', async (_name, answer, tls, code) => {
  using fake = await fakeTarget(answer)
  await expect(connect(wish({ port: fake.port, ...(tls && { tls }) }))).rejects.toMatchObject({ name: 'Fault', code })
})

test('a target that says nothing is given up in time, and an attempt can be called off', async () => {
  using silent = await fakeTarget(() => undefined)
  const which = wish({ port: silent.port, tls: plain })
  const hasty = { ...which, resource: { ...which.resource, connectMs: 50 } }
  await expect(connectTarget(hasty, never, deps)).rejects.toMatchObject({
    code: 'UPSTREAM_UNREACHABLE',
  })
  const reason = new Error('called off')
  await expect(connectTarget(which, AbortSignal.abort(reason), deps)).rejects.toBe(reason)
  const later = new AbortController()
  const attempt = connectTarget(which, later.signal, deps)
  setImmediate(() => later.abort(reason))
  await expect(attempt).rejects.toBe(reason)
})
