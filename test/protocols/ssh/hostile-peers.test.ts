// Goal: nobody who is let in as far as a transport can make the gateway compute without end, or keep what they do not take.
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
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
