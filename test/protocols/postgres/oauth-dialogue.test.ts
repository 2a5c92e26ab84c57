// Goal: the exchange of RFC 7628, byte by byte, and nothing that a client sends in it holds anybody up or gets further.
// Method: bytes by hand against a real listener; who somebody is, is decided by hand.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cstring,
  fromClient,
  fromServer,
  int32,
  message,
  readReport,
} from '../../../src/protocols/postgres/messages.ts'
import { startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { startPostgres } from '../../servers/postgres.ts'
import { openStage, readAll, type Stage } from './stage.ts'

const stack = new AsyncDisposableStack()
let stage: Stage
let hasty: Stage

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  hasty = stack.use(await openStage(postgres, { plaintext: true, signInMs: 200, handshakeMs: 1500 }))
  stage = stack.use(await openStage(postgres, { plaintext: true, perAddressMax: 1000 }))
})
afterAll(() => stack.disposeAsync())

const startup = (user: string) =>
  startupMessage([
    ['user', user],
    ['database', 'shop'],
  ])
const initial = (response: string) =>
  message(fromClient.password, cstring('OAUTHBEARER'), int32(response.length), Buffer.from(response, 'latin1'))
const bearer = (token: string) => `n,,\x01auth=${token === '' ? '' : `Bearer ${token}`}\x01\x01`
const surrender = message(fromClient.password, Buffer.of(1))

/** Sends all at once and reads until the gateway ends it. */
function say(...parts: readonly Buffer[]): Promise<Buffer> {
  const socket = stage.raw()
  socket.write(Buffer.concat(parts))
  return readAll(socket)
}

interface Message {
  readonly type: number
  readonly body: Buffer
}

function messagesIn(bytes: Buffer): Message[] {
  const found: Message[] = []
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    found.push({ type: bytes[at]!, body: bytes.subarray(at + 5, at + 1 + bytes.readInt32BE(at + 1)) })
  }
  return found
}

const kinds = (messages: readonly Message[]) =>
  messages.map(({ type, body }) =>
    type === fromServer.authentication ? body.readInt32BE(0) : String.fromCharCode(type),
  )
const reportIn = (messages: readonly Message[]) => readReport(messages.at(-1)!.body)

/** Waits for that many bytes of an answer that does not end the connection. */
async function bytesOf(socket: Socket, count: number): Promise<Buffer> {
  let all: Buffer = Buffer.alloc(0)
  while (all.length < count) all = Buffer.concat([all, ((await once(socket, 'data')) as [Buffer])[0]])
  return all
}

test('a client that asks where to sign in is told, and let go', async () => {
  const [offer, challenge, end, ...more] = messagesIn(
    await say(startup('readonly.oauth'), initial(bearer('')), surrender),
  )
  expect(offer!.body).toEqual(Buffer.concat([int32(10), cstring('OAUTHBEARER'), cstring('')]))
  expect(challenge!.body.readInt32BE(0)).toBe(11)
  expect(JSON.parse(challenge!.body.toString('utf8', 4))).toEqual({
    status: 'invalid_token',
    'openid-configuration': 'https://login.example.com/.well-known/openid-configuration',
    scope: 'openid curfew',
  })
  const { severity, sqlstate, hint } = reportIn([end!])
  expect({ severity, sqlstate, hint }).toEqual({
    ...{ severity: 'FATAL', sqlstate: '28000' },
    hint: expect.stringMatching(/oauth_issuer and oauth_client_id/) as string,
  })
  expect(more).toEqual([])
})

test('a good token is in without another word of the mechanism', async () => {
  const socket = stage.raw()
  socket.write(Buffer.concat([startup('readonly.oauth'), initial(bearer('right'))]))
  const answer = await bytesOf(socket, 26 + 9)
  expect(kinds(messagesIn(answer).slice(0, 2))).toEqual([10, 0])
  socket.destroy()
})

test('a client may wait to be asked for its token', async () => {
  const chosen = message(fromClient.password, cstring('OAUTHBEARER'), int32(-1))
  const token = message(fromClient.password, Buffer.from(bearer('wrong'), 'latin1'))
  const answer = messagesIn(await say(startup('readonly.oauth'), chosen, token, surrender))
  expect(kinds(answer)).toEqual([10, 11, 11, 'E'])
  expect(answer[1]!.body).toEqual(int32(11))
})

test.each([
  ['wrong', 'invalid_token', '28P01'],
  ['narrow', 'insufficient_scope', '28000'],
])('a token that is %s is refused with the status %s', async (token, status, sqlstate) => {
  const answer = messagesIn(await say(startup('readonly.oauth'), initial(bearer(token)), surrender))
  expect(kinds(answer)).toEqual([10, 11, 'E'])
  expect(JSON.parse(answer[1]!.body.toString('utf8', 4))).toMatchObject({ status })
  expect(reportIn(answer)).toMatchObject({ severity: 'FATAL', sqlstate })
})

test.each([
  ['a message that is no SASL', message(fromClient.query, cstring('select 1'))],
  ['a password', message(fromClient.password, cstring('curfew_right'))],
  ['another mechanism', message(fromClient.password, cstring('SCRAM-SHA-256'), int32(0))],
  ['a length that goes on behind the end', message(fromClient.password, cstring('OAUTHBEARER'), int32(9))],
  ['a message above 64 KiB', initial(bearer('x'.repeat(64 * 1024)))],
  ['a negative length', Buffer.concat([Buffer.of(fromClient.password), int32(-5)])],
  ['two tokens', initial('n,,\x01auth=Bearer right\x01auth=Bearer right\x01\x01')],
  ['channel binding', initial('p=tls-server-end-point,,\x01auth=Bearer right\x01\x01')],
])('%s ends it', async (_what, bytes) => {
  const answer = messagesIn(await say(startup('readonly.oauth'), bytes))
  expect(kinds(answer)).toEqual([10, 'E'])
  expect(reportIn(answer)).toMatchObject({ severity: 'FATAL', sqlstate: '08P01' })
})

test('who answers an error with anything but the one byte has broken the protocol', async () => {
  const again = message(fromClient.password, Buffer.from(bearer('right'), 'latin1'))
  const answer = messagesIn(await say(startup('readonly.oauth'), initial(bearer('wrong')), again))
  expect(kinds(answer)).toEqual([10, 11, 'E'])
  expect(reportIn(answer).sqlstate).toBe('08P01')
})

test('cut at every byte it ends as soon as the client does, and nobody is let in', async () => {
  const whole = Buffer.concat([startup('readonly.oauth'), initial(bearer('right'))])
  const admitted = stage.gate.admissions.length
  const cuts = Array.from({ length: whole.length }, (_one, length) => {
    const socket = stage.raw()
    socket.end(whole.subarray(0, length))
    return readAll(socket)
  })
  for (const answer of await Promise.all(cuts)) {
    expect(kinds(messagesIn(answer)).filter((kind) => kind !== 10)).toEqual([])
  }
  expect(stage.gate.admissions).toHaveLength(admitted)
})

test('sent byte by byte it is the same', async () => {
  const socket = stage.raw().setNoDelay(true)
  const answer = readAll(socket)
  for (const byte of Buffer.concat([startup('readonly.oauth'), initial(bearer('wrong')), surrender])) {
    socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(kinds(messagesIn(await answer))).toEqual([10, 11, 'E'])
})

test.each([
  ['no token', [], [10, 'E'], /Nobody signed in at the identity provider in time/],
  [
    'a mechanism and no token',
    [message(fromClient.password, cstring('OAUTHBEARER'), int32(-1))],
    [10, 11, 'E'],
    /SASL/,
  ],
  ['no answer to an error', [initial(bearer('wrong'))], [10, 11, 'E'], /SASL/],
])('%s for too long ends it', async (_what, parts, expected, why) => {
  const socket = hasty.raw()
  socket.write(Buffer.concat([startup('readonly.oauth'), ...parts]))
  const answer = messagesIn(await readAll(socket))
  expect(kinds(answer)).toEqual(expected)
  expect(reportIn(answer).message).toMatch(why)
})

test('a gateway without it says what to do instead', async () => {
  const { oauth } = stage.identity.parts
  Object.assign(stage.identity.parts, { oauth: null })
  const answer = messagesIn(await say(startup('readonly.oauth')))
  Object.assign(stage.identity.parts, { oauth })
  expect(kinds(answer)).toEqual(['E'])
  expect(reportIn(answer).hint).toMatch(/Leave out the \.oauth/)
})
