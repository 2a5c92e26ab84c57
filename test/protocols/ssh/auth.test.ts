// Goal: whoever comes in is known, by a key they hold or by a sign-in; everything else is answered or ended.
// Method: the real server side over transports in memory, a client that sends what it likes.
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { fingerprintOf } from '../../../src/identity/ssh/public-key.ts'
import { SshReader } from '../../../src/identity/ssh/wire.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import { authenticate, type AuthenticateDeps, type Caller } from '../../../src/protocols/ssh/auth/authenticate.ts'
import type { Conversation } from '../../../src/protocols/ssh/conversation.ts'
import { HandClock } from '../../clock.ts'
import { ada, HandIdentity, newKey, requests } from './hand-identity.ts'
import { MessageClient, memoryPair } from './memory-transport.ts'

const user = 'ops@web'
const certificateAlgorithm = 'ssh-ed25519-cert-v01@openssh.com'
const certificateOf = { algorithm: certificateAlgorithm }
const open: AbortController[] = []
afterEach(() => open.splice(0).forEach((each) => each.abort(new Error('test over'))))

function begin(identity = new HandIdentity(), caller: Partial<Caller> = {}, more: Partial<AuthenticateDeps> = {}) {
  const pair = memoryPair()
  const stop = new AbortController()
  open.push(stop)
  const from = { address: '192.0.2.7', port: 4711 }
  const done = authenticate(pair.server, { from, ...caller }, stop.signal, identity.deps(more))
  done.catch(() => undefined)
  const client = new MessageClient(pair.client)
  return { identity, client, server: pair.server, done, stop, sessionId: pair.client.sessionId }
}

async function admitted(stage: { client: MessageClient }): Promise<void> {
  stage.client.send(requests.service())
  expect((await stage.client.next())[0]).toBe(6)
}

function failure(message: Buffer) {
  const reader = new SshReader(message, 1)
  return { type: message[0], methods: reader.nameList(), partial: reader.boolean() }
}
const no = { type: 51, methods: ['publickey', 'keyboard-interactive'], partial: false }
const notYet = { ...no, partial: true }

function textOf(message: Buffer): string {
  expect(message[0]).toBe(53)
  return new SshReader(message, 1).text()
}

function question(message: Buffer) {
  expect(message[0]).toBe(60)
  const reader = new SshReader(message, 1)
  const [title, instruction] = [reader.text(), reader.text()]
  reader.text()
  const prompts = Array.from({ length: reader.uint32() }, () => ({ text: reader.text(), echo: reader.boolean() }))
  return { title, instruction, prompts }
}

test('a remembered key is enough, after one question and one signature', async () => {
  const stage = begin()
  const key = newKey()
  stage.identity.remembered.set(fingerprintOf(key.publicBlob), ada)
  await admitted(stage)
  stage.client.send(requests.plain(user))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.offer(user, key.publicBlob))
  expect((await stage.client.next())[0]).toBe(60)
  stage.client.send(requests.signed(user, key, stage.sessionId))
  const conversation = await stage.done
  expect(conversation.identified).toEqual(ada)
  expect(conversation.wanted).toEqual({ kind: 'session', resource: 'web', role: 'ops' })
  expect(conversation.client).toEqual({
    protocol: 'ssh',
    address: '192.0.2.7',
    port: 4711,
    application: 'Memory_1.0',
    tls: false,
  })
  conversation.succeed()
  expect((await stage.client.next())[0]).toBe(52)
  expect(stage.server.onMessage).toBeNull()
})

test('an unknown key is proved once, then a sign-in says whose it is', async () => {
  const stage = begin()
  const [key, other] = [newKey(), newKey()]
  await admitted(stage)
  stage.client.send(requests.offer(user, key.publicBlob))
  expect((await stage.client.next())[0]).toBe(60)
  stage.client.send(requests.signed(user, key, stage.sessionId))
  expect(failure(await stage.client.next())).toEqual(notYet)
  stage.client.send(requests.offer(user, key.publicBlob))
  expect(textOf(await stage.client.next())).toContain(fingerprintOf(key.publicBlob))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.offer(user, other.publicBlob))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.interactive(user))
  const { title, instruction, prompts } = question(await stage.client.next())
  expect(prompts).toEqual([])
  expect(title).toBe('Sign in to reach web as ops')
  for (const part of ['https://gw.example.com/s/KF7-XR2', '192.0.2.7', fingerprintOf(key.publicBlob), '5 min']) {
    expect(instruction).toContain(part)
  }
  stage.client.send(requests.answers())
  stage.identity.answer.resolve(ada)
  expect((await stage.done).identified).toEqual(ada)
  expect(textOf(await stage.client.next())).toContain('ada@example.com')
  expect(stage.identity.begun).toMatchObject([
    { purpose: 'ssh', resource: 'web', role: 'ops', keyFingerprint: fingerprintOf(key.publicBlob) },
  ])
})

test('of an agent with many keys, a remembered one is found behind unknown ones', async () => {
  const stage = begin()
  const keys = Array.from({ length: 8 }, newKey)
  stage.identity.remembered.set(fingerprintOf(keys[6]!.publicBlob), ada)
  await admitted(stage)
  stage.client.send(requests.signed(user, keys[0]!, stage.sessionId))
  expect(failure(await stage.client.next())).toEqual(notYet)
  for (const key of keys.slice(1, 6)) {
    stage.client.send(requests.offer(user, key.publicBlob))
    expect(failure(await stage.client.next())).toEqual(no)
  }
  stage.client.send(requests.offer(user, keys[6]!.publicBlob))
  expect((await stage.client.next())[0]).toBe(60)
  stage.client.send(requests.signed(user, keys[6]!, stage.sessionId))
  expect((await stage.done).identified).toEqual(ada)
})

test('a signature over another connection, user or key proves nothing', async () => {
  const stage = begin()
  const [key, other] = [newKey(), newKey()]
  stage.identity.remembered.set(fingerprintOf(key.publicBlob), ada)
  await admitted(stage)
  const forged = [
    requests.signed(user, key, Buffer.alloc(32, 8)),
    requests.signed(user, other, stage.sessionId, key.publicBlob),
    requests.signed(user, key, stage.sessionId, key.publicBlob, 'ssh-rsa'),
    requests.signed(user, key, stage.sessionId, key.publicBlob, certificateAlgorithm),
    Buffer.concat([requests.signed('ops@xxx', key, stage.sessionId)]).fill('ops@web', 5, 12),
  ]
  for (const request of forged) {
    stage.client.send(request)
    expect(failure(await stage.client.next())).toEqual(no)
  }
})

test('a certificate of our own is enough; those of others are passed over', async () => {
  const stage = begin()
  const key = newKey()
  const [own, foreign] = [stage.identity.certificateFor(key), stage.identity.certificateFor(key, newKey())]
  await admitted(stage)
  stage.client.send(requests.offer(user, foreign, certificateAlgorithm))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.signed(user, key, stage.sessionId, foreign, certificateAlgorithm))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.signed(user, newKey(), stage.sessionId, own, certificateAlgorithm))
  expect(failure(await stage.client.next())).toEqual(no)
  stage.client.send(requests.offer(user, own, certificateAlgorithm))
  expect((await stage.client.next())[0]).toBe(60)
  stage.client.send(requests.signed(user, key, stage.sessionId, own, certificateOf.algorithm))
  expect((await stage.done).identified).toEqual(ada)
})

test('a certificate that is over says so and leaves the other ways open', async () => {
  const stage = begin()
  const key = newKey()
  stage.identity.certificateFault = new Fault('CERTIFICATE_REFUSED', 'The certificate is over.')
  await admitted(stage)
  const own = stage.identity.certificateFor(key)
  stage.client.send(requests.signed(user, key, stage.sessionId, own, certificateAlgorithm))
  expect(textOf(await stage.client.next())).toMatch(/is over[\s\S]*curfew login/)
  expect(failure(await stage.client.next())).toEqual(no)
})

test('no password is ever looked at', async () => {
  const stage = begin()
  await admitted(stage)
  for (const method of ['password', 'hostbased', 'gssapi-with-mic']) {
    stage.client.send(requests.plain(user, method), Buffer.from('\0\0\0\0\x06secret'))
    expect(failure(await stage.client.next())).toEqual(no)
  }
})

test('a sign-in that is refused ends the connection, with words in both places', async () => {
  const stage = begin()
  await admitted(stage)
  stage.client.send(requests.interactive(user))
  expect(question(await stage.client.next()).instruction).toContain('offered no key')
  stage.client.send(requests.answers())
  stage.identity.answer.reject(new Fault('SIGN_IN_REFUSED', 'The sign-in was refused.'))
  await expect(stage.done).rejects.toMatchObject({ code: 'SIGN_IN_REFUSED' })
  expect(textOf(await stage.client.next())).toContain('The sign-in was refused.\r\n')
  await expect(stage.client.next()).rejects.toThrow()
  expect(stage.client.transport.goodbye).toEqual({
    reason: 'NO_MORE_AUTH_METHODS_AVAILABLE',
    description: expect.stringMatching(/^The sign-in was refused\. .*Connect again/),
  })
})

test('a client that leaves a sign-in for a key is served, and nothing waits any more', async () => {
  const stage = begin()
  const key = newKey()
  stage.identity.remembered.set(fingerprintOf(key.publicBlob), ada)
  await admitted(stage)
  stage.client.send(requests.interactive(user))
  question(await stage.client.next())
  stage.client.send(requests.answers())
  stage.client.send(requests.signed(user, key, stage.sessionId))
  expect((await stage.done).identified).toEqual(ada)
  expect(stage.identity.waiting).toBe(0)
})

test('a sign-in ends when the client goes, and when the listener stops', async () => {
  for (const end of ['client', 'stop'] as const) {
    const stage = begin()
    await admitted(stage)
    stage.client.send(requests.interactive(user))
    question(await stage.client.next())
    stage.client.send(requests.answers())
    if (end === 'client') stage.client.transport.destroy()
    else stage.stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
    await expect(stage.done).rejects.toThrow(end === 'client' ? 'hung up' : 'shutting down')
    expect(stage.identity.waiting).toBe(0)
  }
})

test.each([
  ['another service', [requests.service('ssh-connection')]],
  ['a channel before authentication', [requests.service(), Buffer.of(90, 0, 0, 0, 0)]],
  ['another user name', [requests.service(), requests.plain('ops@web'), requests.plain('root@web')]],
  ['an answer to nothing', [requests.service(), requests.answers('x')]],
  ['a message that is cut', [requests.service(), requests.plain(user).subarray(0, 9)]],
  ['too much at once', [requests.service(), ...Array.from({ length: 40 }, () => requests.plain(user))]],
  ['too much in one', [requests.service(), requests.plain(user, 'x'.repeat(70_000))]],
])('%s ends the connection', async (_name, messages) => {
  const stage = begin()
  stage.client.send(messages[0]!)
  await new Promise(setImmediate)
  for (const message of messages.slice(1)) stage.client.send(message)
  await expect(stage.done).rejects.toThrow()
  await new Promise(setImmediate)
  expect(stage.client.transport.goodbye?.reason).toBe('PROTOCOL_ERROR')
})

test('tries are counted, and before they run out only the browser is offered', async () => {
  const stage = begin()
  await admitted(stage)
  const answers = []
  for (let count = 0; count < 48; count++) {
    stage.client.send(requests.plain(user))
    answers.push(failure(await stage.client.next()).methods)
  }
  expect(answers[0]).toEqual(['publickey', 'keyboard-interactive'])
  expect(answers.at(-1)).toEqual(['keyboard-interactive'])
  stage.client.send(requests.plain(user))
  await expect(stage.done).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' })
})

test('whoever says nothing is sent away in time; a person at the browser is not', async () => {
  const silent = begin(new HandIdentity(), {}, { handshakeMs: 20 })
  await expect(silent.done).rejects.toMatchObject({ code: 'DEADLINE_PASSED' })
  const slow = begin(new HandIdentity(), {}, { handshakeMs: 50 })
  await admitted(slow)
  slow.client.send(requests.interactive(user))
  question(await slow.client.next())
  slow.client.send(requests.answers())
  await new Promise((resolve) => setTimeout(resolve, 80))
  slow.identity.answer.resolve(ada)
  expect((await slow.done).identified).toEqual(ada)
})

test('a client that shows a sign-in and never goes on keeps its place no longer than a person may take', async () => {
  const clock = new HandClock()
  const stage = begin(new HandIdentity(), {}, { clock })
  await admitted(stage)
  stage.client.send(requests.interactive(user))
  question(await stage.client.next())
  clock.pass(300_000)
  expect(stage.server.gone.aborted).toBe(false)
  clock.pass(10_000)
  await expect(stage.done).rejects.toMatchObject({ code: 'DEADLINE_PASSED' })
})

test('no sequence of messages brings anything down, or anybody in', async () => {
  const key = newKey()
  const authority = new HandIdentity()
  const blobs = [key.publicBlob, authority.certificateFor(key), Buffer.alloc(0), Buffer.from('ssh-ed25519')]
  const piece = fc.oneof(
    fc.constantFrom(
      requests.service(),
      requests.plain(user),
      requests.plain(user, 'password'),
      requests.interactive(user),
      requests.answers(),
      requests.answers('x'),
      requests.signed(user, key, Buffer.alloc(32, 7)),
      ...blobs.flatMap((blob) => [
        requests.offer(user, blob),
        requests.offer(user, blob, certificateAlgorithm),
        requests.signed(user, key, Buffer.alloc(32, 9), blob, certificateAlgorithm),
      ]),
    ),
    fc.tuple(fc.constantFrom(5, 50, 60, 61, 90), fc.uint8Array({ maxLength: 60 })).map(([type, rest]) => {
      return Buffer.concat([Buffer.of(type), rest])
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (messages) => {
      const stage = begin()
      stage.client.send(requests.service())
      for (const message of messages) {
        stage.client.send(Buffer.from(message))
        await new Promise(setImmediate)
      }
      stage.client.transport.destroy()
      await expect(stage.done).rejects.toThrow()
      expect(stage.client.transport.goodbye?.description).not.toBe('internal error')
      expect(stage.identity.waiting).toBe(0)
    }),
    { numRuns: 200 },
  )
})

const within = { identified: ada, resource: 'web' }

test('within a jump the first request is enough, and the user is the role', async () => {
  const stage = begin(new HandIdentity(), { within })
  await admitted(stage)
  stage.client.send(requests.plain('ops'))
  const conversation = await stage.done
  expect(conversation.identified).toEqual(ada)
  expect(conversation.wanted).toEqual({ kind: 'session', resource: 'web', role: 'ops' })
})

test('within a jump another resource is refused', async () => {
  const stage = begin(new HandIdentity(), { within })
  await admitted(stage)
  stage.client.send(requests.plain('ops@db'))
  await expect(stage.done).rejects.toMatchObject({ code: 'ROLE_UNKNOWN' })
})

// ---- the conversation that follows

async function byKey(): Promise<{ client: MessageClient; conversation: Conversation }> {
  const stage = begin()
  const key = newKey()
  stage.identity.remembered.set(fingerprintOf(key.publicBlob), ada)
  await admitted(stage)
  stage.client.send(requests.signed(user, key, stage.sessionId))
  return { client: stage.client, conversation: await stage.done }
}

test('somebody known by a key is asked by way of a partial success', async () => {
  const { client, conversation } = await byKey()
  const asked = conversation.ask('Why?', 'Say so.', [{ text: 'Reason: ', echo: true }])
  expect(failure(await client.next())).toEqual({ type: 51, methods: ['keyboard-interactive'], partial: true })
  client.send(requests.interactive(user))
  expect(question(await client.next())).toMatchObject({ title: 'Why?', prompts: [{ text: 'Reason: ', echo: true }] })
  client.send(requests.answers('the disk is full'))
  expect(await asked).toEqual(['the disk is full'])
  const shown = conversation.show('Wait', 'for it')
  expect(question(await client.next())).toEqual({ title: 'Wait', instruction: 'for it', prompts: [] })
  client.send(requests.answers())
  await shown
  conversation.succeed()
  expect((await client.next())[0]).toBe(52)
})

test('a client that cannot be asked is left as it was', async () => {
  const { client, conversation } = await byKey()
  const asked = conversation.ask('Why?', '', [{ text: 'Reason: ', echo: true }])
  expect(failure(await client.next()).partial).toBe(true)
  client.send(requests.plain(user, 'password'), Buffer.of(0))
  expect(await asked).toBeUndefined()
  expect(await conversation.ask('Why?', '', [{ text: 'Reason: ', echo: true }])).toBeUndefined()
  await conversation.show('Wait', 'for it')
  expect(textOf(await client.next())).toBe('Wait\r\nfor it\r\n')
  expect(client.unread).toBe(0)
})

test('a client that hangs up when it is asked ends the question', async () => {
  const { client, conversation } = await byKey()
  const asked = conversation.ask('Why?', '', [{ text: 'Reason: ', echo: true }])
  expect(failure(await client.next()).partial).toBe(true)
  client.transport.destroy()
  await expect(asked).rejects.toThrow('hung up')
})

test('too few answers are none', async () => {
  const { client, conversation } = await byKey()
  const asked = conversation.ask('Why?', '', [{ text: 'Reason: ', echo: true }])
  await client.next()
  client.send(requests.interactive(user))
  await client.next()
  client.send(requests.answers())
  expect(await asked).toBeUndefined()
  expect(conversation.isInteractive).toBe(true)
})

test('what is said is plain ASCII, whatever it was made of', async () => {
  const { client, conversation } = await byKey()
  conversation.say('Jos\u{e9} said \u{201c}no\u{201d}\u{2026}\u{1b}[31m\n\u{4f60}')
  expect(textOf(await client.next())).toBe('Jose said "no"...?[31m\r\n?\r\n')
})
