// Goal: nobody who is let in as far as a transport can make the gateway compute without end, or keep what they do not take;
// and nobody on the way can put anything in before there are keys.
import { randomBytes } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { sshBoolean, sshByte, sshNameList, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import type { Transport } from '../../../src/protocols/ssh/transport.ts'
import { acceptTransport, openTransport } from '../../../src/protocols/ssh/transport-over-library.ts'
import { anyKey } from './pass-through.ts'

async function pair(): Promise<{ client: Transport; server: Transport }> {
  const [near, far] = duplexPair()
  const signal = AbortSignal.timeout(10_000)
  const [client, server] = await Promise.all([
    openTransport(near, { signal, verifyHostKey: () => undefined }),
    acceptTransport(far, { signal, hostKeys: [anyKey] }),
  ])
  return { client, server }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const question = Buffer.concat([Buffer.of(80), Buffer.from('question')])

/** New keys, and a message behind them. False: the connection ended. */
async function rekeyed(client: Transport): Promise<boolean> {
  const answered = Promise.withResolvers<boolean>()
  client.gone.addEventListener('abort', () => answered.resolve(false), { once: true })
  client.onMessage = () => answered.resolve(true)
  client.rekey()
  client.send(question)
  return client.gone.aborted ? false : await answered.promise
}

test('whoever asks for new keys again and again is sent away', async () => {
  const { client, server } = await pair()
  server.onMessage = (message) => server.send(message)
  let exchanges = 0
  while (exchanges < 200 && (await rekeyed(client))) exchanges += 1
  expect(exchanges).toBeGreaterThanOrEqual(10)
  expect(exchanges).toBeLessThan(50)
  expect(String(server.gone.reason)).toContain('too often')
})

test('new keys for every MiB are no reason to send anybody away', async () => {
  const { client, server } = await pair()
  server.onMessage = (message) => {
    if (message[0] === 80) server.send(message)
  }
  const piece = Buffer.alloc(32 * 1024, 94)
  for (let round = 0; round < 50; round++) {
    for (let sent = 0; sent < 1024 * 1024; sent += piece.length) client.send(piece)
    expect(await rekeyed(client)).toBe(true)
  }
  client.destroy()
})

test('answers that nobody takes end the connection before they fill the memory', async () => {
  const { client, server } = await pair()
  const answer = Buffer.alloc(32 * 1024, 94)
  server.onMessage = () => {
    for (let count = 0; count < 64; count++) server.send(answer)
  }
  client.pause()
  for (let count = 0; count < 200 && !server.gone.aborted; count++) {
    client.send(question)
    await turn()
  }
  client.resume()
  while (!server.gone.aborted) await turn()
  expect(String(server.gone.reason)).toContain('does not take')
  expect(server.bytesWritten).toBeLessThan(100 * 1024 * 1024)
})

test('small answers that wait for new keys are counted with what keeping them costs', async () => {
  const { client, server } = await pair()
  server.rekey()
  client.onMessage = () => undefined
  for (let count = 0; count < 600_000; count++) server.send(Buffer.of(82))
  while (!server.gone.aborted) await turn()
  expect(String(server.gone.reason)).toContain('does not take')
})

/** A packet before there are keys. @see RFC 4253 section 6 */
function packet(...parts: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(parts)
  const padding = Buffer.alloc(4 + ((8 - ((5 + payload.length + 4) % 8)) % 8))
  return Buffer.concat([sshUint32(1 + payload.length + padding.length), sshByte(padding.length), payload, padding])
}

// Goal: the answer is many times longer than the question, and comes beside everything that is bounded else.
test.each([0, 2048])('a group to exchange keys in is asked for once (%i bits or more)', async (bits) => {
  const [near, far] = duplexPair()
  const accepted = acceptTransport(far, { signal: AbortSignal.timeout(10_000), hostKeys: [anyKey] })
  const [cipher, mac] = ['aes128-gcm@openssh.com', 'hmac-sha2-256']
  const lists = [
    'diffie-hellman-group-exchange-sha256',
    'ssh-ed25519',
    cipher,
    cipher,
    mac,
    mac,
    'none',
    'none',
    '',
    '',
  ]
  const offers = lists.map((names) => sshNameList(names === '' ? [] : [names]))
  const groupWish = packet(sshByte(34), ...[bits, 4096, 8192].map(sshUint32))
  near.resume()
  near.write('SSH-2.0-Wishes\r\n')
  near.write(packet(sshByte(20), randomBytes(16), ...offers, sshBoolean(false), sshUint32(0)))
  for (let count = 0; count < 3; count++) near.write(groupWish)
  await expect(accepted).rejects.toThrow('instead of KEX_DH_GEX_INIT')
})

const kexInit = (strict: string) => {
  const lists = [`curve25519-sha256,${strict}`, 'ssh-ed25519', ...['aes128-gcm@openssh.com', 'hmac-sha2-256', 'none']]
    .flatMap((list, index) => (index < 2 ? [list] : [list, list]))
    .concat('', '')
  return Buffer.concat([sshByte(20), randomBytes(16), ...lists.map(sshString), Buffer.alloc(5)])
}
const ignore = Buffer.concat([sshByte(2), sshString('')])
/** Not encrypted yet. @see RFC 4253 section 6 */
const packetOf = (payload: Buffer) => {
  const paddingBytes = 16 - ((5 + payload.length) % 8)
  const head = [sshUint32(1 + payload.length + paddingBytes), sshByte(paddingBytes)]
  return Buffer.concat([...head, payload, Buffer.alloc(paddingBytes)])
}

// CVE-2023-48795: whoever stands on the way could leave out as many messages later as were put in here.
test.each([
  ['before the offer', (offer: Buffer) => [ignore, offer], 'not first packet'],
  ['behind the offer', (offer: Buffer) => [offer, ignore], 'unexpected packet'],
] as const)(
  'with strict key exchange nothing may be put in %s, by clients or targets',
  async (_place, messages, words) => {
    const signal = AbortSignal.timeout(10_000)
    for (const role of ['c', 's']) {
      const [near, far] = duplexPair()
      near.on('error', () => undefined).resume()
      const sent = messages(kexInit(`kex-strict-${role}-v00@openssh.com`)).map(packetOf)
      near.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), ...sent]))
      const opened =
        role === 'c'
          ? acceptTransport(far, { hostKeys: [anyKey], signal })
          : openTransport(far, { verifyHostKey: () => undefined, signal })
      await expect(opened).rejects.toThrow(words)
    }
  },
)
