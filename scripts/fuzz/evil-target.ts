import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  backendKeyData,
  int32,
  message,
  fromServer,
  parameterStatus,
  readyForQuery,
} from '../../src/protocols/postgres/messages.ts'
import type { Talk } from './corpus.ts'
import { chunksOf, mutateMessages } from './mutate.ts'
import { Chance, seedOf } from './random.ts'

const longestMs = 1500
const idle = 'I'.charCodeAt(0)
const logins = [
  [message(fromServer.authentication, int32(0))],
  [message(fromServer.authentication, int32(0))],
  [message(fromServer.authentication, int32(5), Buffer.from('salt')), message(fromServer.authentication, int32(0))],
  [
    message(fromServer.authentication, int32(10), Buffer.from('SCRAM-SHA-256\0\0')),
    message(fromServer.authentication, int32(11), Buffer.from('r=0,s=AAAA,i=4096')),
    message(fromServer.authentication, int32(12), Buffer.from('v=AAAA')),
    message(fromServer.authentication, int32(0)),
  ],
  [message(fromServer.authentication, int32(7))],
]
const facts = [
  parameterStatus('server_version', '18.0'),
  parameterStatus('client_encoding', 'UTF8'),
  parameterStatus('standard_conforming_strings', 'on'),
]

/** A server that means harm. Whoever connects names the case as its `application_name`, so that it can be repeated. */
export async function startEvilTarget(seed: number, talks: readonly Talk[], port: number): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    // Whoever it was, a connection does not stay for ever.
    const timer = setTimeout(() => socket.destroy(), 2 * longestMs)
    socket.once('close', () => clearTimeout(timer))
    socket.once('data', (startup: Buffer) => void serve(socket, caseIn(startup)))
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')

  async function serve(socket: Socket, index: number): Promise<void> {
    socket.resume()
    if (index < 0) return void socket.end() // a CancelRequest, or the end of a statement that resists
    const chance = new Chance(seedOf(seed, index))
    for (const chunk of chunksOf(sayings(chance, talks), chance)) {
      if (socket.destroyed) return
      socket.write(chunk)
      if (chance.oneIn(8)) await sleep(chance.below(20))
    }
    if (chance.oneIn(3)) socket.end()
    else if (chance.oneIn(2)) socket.resetAndDestroy()
  }

  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Everything at once: it waits for no question. Half of the time the login is left as it should be. */
function sayings(chance: Chance, talks: readonly Talk[]): Buffer {
  const key = backendKeyData(chance.uint32() | 0, chance.bytes(chance.pick([4, 4, 4, 0, 1, 32, 256, 5000])))
  const login = [...chance.pick(logins), ...facts, key, readyForQuery(idle)]
  const rightLogin = [...logins[0]!, ...facts, key, readyForQuery(idle)]
  const { server } = chance.pick(talks)
  const all = chance.oneIn(2)
    ? [...mutateMessages(login, chance), ...server]
    : [...rightLogin, ...mutateMessages(server, chance)]
  const bytes = Buffer.concat(all)
  return chance.oneIn(4) ? bytes.subarray(0, chance.below(bytes.length + 1)) : bytes
}

function caseIn(startup: Buffer): number {
  const found = /application_name\0case-(\d+)\0/.exec(startup.toString('latin1'))?.[1]
  return found === undefined ? -1 : Number(found)
}
