// Goal: whoever is refused, or cut off, reads an ErrorResponse with SQLSTATE, message and hint; nobody meets a bare close.
// Method: every refusal that the listener can come to, by what a client or a target really does where that is possible,
// and every fault through the doors by which faults come: identity, gate, cut.
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Fault, faultCodes, type FaultCode } from '../../../src/kernel/fault.ts'
import { sqlstate } from '../../../src/protocols/postgres/fault-sqlstate.ts'
import {
  cstring,
  fromClient,
  message,
  query,
  readReport,
  type Report,
} from '../../../src/protocols/postgres/messages.ts'
import { sslRequest, startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { makeAuthority } from '../../../scripts/certificates.ts'
import { freePort } from '../../../scripts/ports.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { openStage, readAll, type Stage, type StageOptions } from './stage.ts'

let postgres: TestPostgres
let stage: Stage
beforeAll(async () => {
  postgres = await startPostgres()
  stage = await openStage(postgres, { plaintext: true, handshakeMs: 1000, perAddressMax: 1000 })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

const startup = (...more: readonly (readonly [string, string])[]) =>
  startupMessage([['user', 'readonly'], ['database', 'shop'], ...more])
const password = (text: string) => message(fromClient.password, cstring(text))
const asToken = startup(['user', 'readonly.token'])
const hex = (text: string) => Buffer.from(text, 'hex')

/** What is sent, all at once; what comes back, to the end. */
async function say(on: Stage, ...bytes: readonly Buffer[]): Promise<Buffer> {
  const socket = on.raw()
  const all = readAll(socket)
  await once(socket, 'connect')
  for (const part of bytes) socket.write(part)
  return all
}

/** The last message, behind which nothing comes. @param skipped bytes that are none of a message: answers about TLS. */
function lastReport(all: Buffer, skipped = 0): Report {
  let at = skipped
  let last = -1
  while (at < all.length) {
    last = at
    at += 1 + all.readInt32BE(at + 1)
  }
  expect(at, 'it ends with a whole message').toBe(all.length)
  expect(last, 'something is said').toBeGreaterThanOrEqual(0)
  expect(String.fromCharCode(all[last]!)).toBe('E')
  return readReport(all.subarray(last + 5))
}

function expectWhole(report: Report, state: string): void {
  expect(report).toMatchObject({ severity: 'FATAL', sqlstate: state })
  expect(report.message).toMatch(/\w.*\w/)
  expect(report.hint).toMatch(/^[A-Z"].*\w/)
}

describe('before anybody is known', () => {
  test.each<[string, string, readonly Buffer[]]>([
    ['a length that cannot be', '08P01', [hex('00000004')]],
    ['a startup message that is too long', '08P01', [hex('00002711')]],
    ['a negative length', '08P01', [hex('ffffffff')]],
    ['another protocol', '08P01', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['protocol 2', '0A000', [hex('0000000800020000')]],
    ['no user', '08P01', [startupMessage([['database', 'shop']])]],
    ['a request for TLS with more in it', '08P01', [hex('0000000c04d2162f00000000')]],
    ['a cancel key that is none', '08P01', [hex('0000000e04d2162e000000010102')]],
    ['a setting of ours that does not exist', '22023', [startup(['options', '-c curfew.raeson=x'])]],
    ['a length of time that is none', '42501', [startup(['curfew.for', 'long'])]],
    ['no token', '28P01', [asToken, password('')]],
    ['a wrong token', '28P01', [asToken, password('wrong')]],
    ['a token that is too long', '08P01', [asToken, password('x'.repeat(2000))]],
    ['a question instead of a token', '08P01', [asToken, query('select 1')]],
    ['a token that does not come', '57014', [asToken]],
    ['a startup message that does not come', '57014', [startup().subarray(0, 20)]],
  ])('%s', async (_what, state, bytes) => {
    expectWhole(lastReport(await say(stage, ...bytes)), state)
  })

  test('bytes behind a request for TLS', async () => {
    expectWhole(lastReport(await say(stage, Buffer.concat([sslRequest, startup()]))), '08P01')
  })

  test('TLS at once, without saying for what', async () => {
    const socket = connectTls({ host: '127.0.0.1', port: stage.port, ca: stage.ca, servername: 'localhost' })
    expectWhole(lastReport(await readAll(socket)), '08P01')
  })

  test.each<[string, string, StageOptions]>([
    ['without TLS where it is needed', '28000', {}],
    ['one connection too many', '53300', { plaintext: true, perAddressMax: 0 }],
    ['no header of a load balancer', '08P01', { plaintext: true, balancers: ['127.0.0.0/8'] }],
  ])('%s', async (_what, state, options) => {
    await using own = await openStage(postgres, options)
    expectWhole(lastReport(await say(own, startup())), state)
  })

  test('a flood while somebody is to sign in', async () => {
    stage.identity.remembered = false
    const flood = Buffer.alloc(200 * 1024, query('select 1'))
    expectWhole(lastReport(await say(stage, startup(), flood)), '08P01')
    stage.identity.remembered = true
  })
})

describe('whatever the gate says', () => {
  test.each(faultCodes)('%s', async (code) => {
    const { gate } = stage
    stage.gate.open = () => Promise.reject(new Fault(code, 'Something is so.'))
    try {
      const report = lastReport(await say(stage, startup()))
      expectWhole(report, sqlstate[code])
      expect(report.message).toBe('Something is so.')
    } finally {
      Reflect.deleteProperty(gate, 'open')
    }
  })

  test.each<[FaultCode, string | undefined, string]>([
    ['ROLE_UNKNOWN', undefined, 'See what you may use on your access page: https://gw.example.com/'],
    ['POLICY_CHANGED', undefined, 'Ask again on your access page: https://gw.example.com/'],
    [
      'TOO_MANY_CONNECTIONS',
      'End one, for example on the page "Sessions".',
      '"Sessions": https://gw.example.com/sessions',
    ],
    ['NO_GRANT', 'On your access page: https://gw.example.com/x', 'access page: https://gw.example.com/x'],
  ])('where the page is that a hint of %s names', async (code, hint, end) => {
    stage.gate.open = () => Promise.reject(new Fault(code, 'Something is so.', hint === undefined ? {} : { hint }))
    const report = lastReport(await say(stage, startup()))
    Reflect.deleteProperty(stage.gate, 'open')
    expectWhole(report, sqlstate[code])
    expect(report.hint?.endsWith(end), report.hint).toBe(true)
  })

  test('a bug of the gateway', async () => {
    stage.gate.open = () => Promise.reject(new TypeError('undefined is not a function'))
    const report = lastReport(await say(stage, startup()))
    Reflect.deleteProperty(stage.gate, 'open')
    expectWhole(report, 'XX000')
    expect(JSON.stringify(report)).not.toContain('undefined')
  })
})

describe('on the way to the target', () => {
  test.each<[string, string, readonly [string, string]]>([
    ['a database that the role may not open', '42501', ['database', 'shop/secret']],
    ['replication where the role does not allow it', '0A000', ['replication', 'true']],
    ['a value that the target refuses', '08004', ['client_encoding', 'KLINGON']],
  ])('%s', async (_what, state, parameter) => {
    expectWhole(lastReport(await say(stage, startup(parameter))), state)
  })

  test.each<[string, string, () => Promise<StageOptions>]>([
    ['a target that is not there', '08001', async () => ({ port: await freePort() })],
    ['a target that another authority vouches for', '08001', async () => ({ tls: await foreignTls() })],
  ])('%s', async (_what, state, options) => {
    await using own = await openStage(postgres, { plaintext: true, ...(await options()) })
    expectWhole(lastReport(await say(own, startup())), state)
  })
})

describe('in a session', () => {
  /** @param act once it is ready for queries. @returns what it read last. */
  async function inSession(act: (socket: ReturnType<Stage['raw']>) => unknown): Promise<Report> {
    const socket = stage.raw()
    const all = readAll(socket)
    socket.write(startup())
    let heard = Buffer.alloc(0)
    const ready = hex('5a0000000549')
    while (!heard.includes(ready)) heard = Buffer.concat([heard, ((await once(socket, 'data')) as [Buffer])[0]])
    await act(socket)
    return lastReport(await all)
  }

  test.each<[string, string, Buffer]>([
    ['a message that claims to be shorter than it can be', '08P01', hex('5100000001')],
    ['a message that claims to be longer than the protocol allows', '08P01', hex('517fffffff')],
    [
      'a name to hide a statement behind',
      '08P01',
      message(fromClient.parse, cstring('n'.repeat(2000)), cstring('select 1'), hex('0000')),
    ],
  ])('%s', async (_what, state, bytes) => {
    expectWhole(await inSession((socket) => socket.write(bytes)), state)
  })

  const ends: readonly FaultCode[] = faultCodes.filter((code) => ['57P01', '57P05'].includes(sqlstate[code]))
  test.each(ends)('the cut: %s', async (code) => {
    expectWhole(await inSession(() => stage.gate.last.cut(code)), sqlstate[code])
  })
})

async function foreignTls(): Promise<NonNullable<StageOptions['tls']>> {
  return { mode: 'verify-full', ca: (await makeAuthority('Somebody')).certificate, serverName: null, identity: null }
}
