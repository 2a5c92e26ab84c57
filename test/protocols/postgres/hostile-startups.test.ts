// Goal: before somebody is known, every byte sequence is a refusal or the end; none is a session, a bug, or a log without end.
// Method: a real listener, and everything that clients say before they are asked, broken off at every byte, doubled and mixed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cstring, fromClient, message, readReport } from '../../../src/protocols/postgres/messages.ts'
import { cancelRequest, sslRequest, startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { proxyHeader } from '../proxy-bytes.ts'
import { startScriptedTarget, type ScriptedTarget } from './scripted-target.ts'
import { openStage, readAll, type Stage } from './stage.ts'

let target: ScriptedTarget
let stage: Stage
let balanced: Stage
beforeAll(async () => {
  target = await startScriptedTarget()
  const tls = { mode: 'disable', ca: null, serverName: null, identity: null } as const
  const options = { tls, plaintext: true, perAddressMax: 1000, handshakeMs: 400 }
  stage = await openStage(target.postgres, options)
  balanced = await openStage(target.postgres, { ...options, balancers: ['127.0.0.1/32'] })
})
afterAll(async () => {
  await target[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
  await balanced[Symbol.asyncDispose]()
})

const startup = startupMessage([
  ['user', 'admin.token'],
  ['database', 'shop'],
  ['options', "-c curfew.reason='two words'"],
])
const password = message(fromClient.password, cstring('curfew_wrong'))
const gss = Buffer.from('0000000804d21630', 'hex')

async function answerTo(place: Stage, send: (socket: Socket) => void): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: place.port, noDelay: true })
  const answer = readAll(socket)
  await once(socket, 'connect')
  send(socket)
  return verdict(await answer)
}

/** What somebody unknown may read: whether there is encryption, how to sign in, and why not. */
function verdict(answer: Buffer): string {
  let at = 0
  while (answer[at] === 0x53 || answer[at] === 0x4e) at += 1 // S and N: TLS, and no GSSAPI
  while (answer[at] === 0x52 || answer[at] === 0x76) at += 1 + answer.readInt32BE(at + 1)
  const rest = answer.subarray(at)
  // TLS that does not begin ends with an alert of TLS (RFC 8446, section 6).
  if (rest.length === 0 || (rest[0] === 0x15 && rest.length === 7)) return 'nothing'
  const isError = rest[0] === 0x45 && rest.length > 5 && rest.readInt32BE(1) === rest.length - 1
  return isError ? readReport(rest.subarray(5)).severity : rest.toString('latin1')
}

const noBugs = (place: Stage) => place.logged.filter(({ level }) => level === 'error')

test.each([
  ['a startup and a password', Buffer.concat([startup, password])],
  ['GSSENCRequest, a startup and a password', Buffer.concat([gss, startup, password])],
  ['a cancel request', cancelRequest(17, Buffer.from('abcd'))],
  ['what begins as TLS does and is none', Buffer.from('16030100050100000000', 'hex')],
])('%s, broken off at every byte', async (_, bytes) => {
  const ends = Array.from({ length: bytes.length + 1 }, (__, at) =>
    answerTo(stage, (socket) => void socket.end(bytes.subarray(0, at))),
  )
  for (const answer of await Promise.all(ends)) expect(answer).toMatch(/^(FATAL|nothing)$/)
  expect(stage.gate.asks).toEqual([])
  expect(noBugs(stage)).toEqual([])
})

test('a PROXY header and what follows it, broken off at every byte', async () => {
  const bytes = Buffer.concat([proxyHeader('203.0.113.9', 5), startup, password])
  const ends = Array.from({ length: bytes.length + 1 }, (_, at) =>
    answerTo(balanced, (socket) => void socket.end(bytes.subarray(0, at))),
  )
  for (const answer of await Promise.all(ends)) expect(answer).toMatch(/^(FATAL|nothing)$/)
  expect(noBugs(balanced)).toEqual([])
})

test('half of anything, and then silence, is refused when the time is over', async () => {
  const places = [0, 1, 3, 4, 7, 8, 20, startup.length - 1, startup.length, startup.length + 4]
  const bytes = Buffer.concat([startup, password])
  const silent = places.map((at) => answerTo(stage, (socket) => void socket.write(bytes.subarray(0, at))))
  const header = proxyHeader('203.0.113.9', 5)
  const unproxied = [0, 5, 12, 15, 16, 20].map((at) =>
    answerTo(balanced, (socket) => void socket.write(header.subarray(0, at))),
  )
  for (const answer of await Promise.all([...silent, ...unproxied])) expect(answer).toBe('FATAL')
})

const namesIn = (bytes: Buffer): number => bytes.toString('latin1').split('\0admin.token\0').length - 1

test('no bytes before a sign-in are more than a refusal', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      startup,
      password,
      gss,
      sslRequest,
      cancelRequest(1, Buffer.alloc(4)),
      proxyHeader('203.0.113.9', 5),
    ),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
  )
  const change = fc.tuple(fc.nat(300), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 5 }),
      fc.array(change, { maxLength: 5 }),
      fc.boolean(),
      async (pieces, changes, isBalanced) => {
        const bytes = Buffer.concat(pieces)
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        // Whoever changes the name may be somebody whose address the stage remembers.
        fc.pre(namesIn(bytes) === pieces.filter((one) => one.equals(startup)).length)
        const answer = await answerTo(isBalanced ? balanced : stage, (socket) => void socket.end(bytes))
        expect(answer).toMatch(/^(FATAL|nothing)$/)
      },
    ),
    { numRuns: 200 },
  )
  expect([...noBugs(stage), ...noBugs(balanced)]).toEqual([])
  expect(stage.gate.asks).toEqual([])
})

test('a flood of cancel requests cancels nothing, and fills no log', async () => {
  stage.logged.length = 0
  const wrong = Array.from({ length: 300 }, (_, index) =>
    answerTo(stage, (socket) => void socket.write(cancelRequest(17, Buffer.from([0, 0, 1, index % 256])))),
  )
  for (const answer of await Promise.all(wrong)) expect(answer).toBe('nothing')
  const lines = stage.logged.filter(({ message: text }) => text === 'cancel request')
  expect(lines.length).toBeLessThanOrEqual(30)
})

test('places in the lobby are given back by everybody', async () => {
  await expect.poll(() => stage.metrics.counts.get('curfew_unauthenticated_connections postgres') ?? 0).toBe(0)
  await expect.poll(() => balanced.metrics.counts.get('curfew_unauthenticated_connections postgres') ?? 0).toBe(0)
})
