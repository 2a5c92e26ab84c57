import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { cstring, fromClient, message } from '../../src/protocols/postgres/messages.ts'
import { cancelRequest, sslRequest, startupMessage } from '../../src/protocols/postgres/startup.ts'
import type { Talk } from './corpus.ts'
import { Answers } from './answers.ts'
import { chunksOf, honest, mutateBytes, mutateMessages } from './mutate.ts'
import { Chance, seedOf } from './random.ts'

/** What is attacked, and what attackers know. */
export interface Scene {
  readonly seed: number
  readonly talks: readonly Talk[]
  readonly ca: string
  readonly ports: { readonly tls: number; readonly plaintext: number; readonly balanced: number }
  /** Password of each role: `reporting`, `guarded`, and `evil`, which is at the evil target. */
  readonly tokens: Readonly<Record<Role, string>>
  /** Of a session that must not be disturbed. */
  readonly victim: number
}

type Role = 'reporting' | 'guarded' | 'evil'

const roles: readonly Role[] = ['reporting', 'reporting', 'guarded', 'evil']
/** A case is over after so long, whatever happens; deadlines of the gateway are shorter. */
const longestMs = 15_000
const zero = Buffer.alloc(0)

/** One hostile connection. Resolves when it is over, which must be in time. */
export async function runCase(scene: Scene, index: number): Promise<void> {
  const chance = new Chance(seedOf(scene.seed, index))
  const socket = await arrive(scene, chance)
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => undefined)
  const timer = setTimeout(() => socket.destroy(), longestMs)
  try {
    const attack = chance.below(10)
    if (attack < 3) await atTheDoor(socket, scene, chance)
    else if (attack < 4) await cancels(socket, scene, chance)
    else await inASession(socket, scene, chance, index)
    await over
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

/** By one of the ways in. Most who lie about TLS never get to it. */
async function arrive({ ports, ca }: Scene, chance: Chance): Promise<Socket> {
  const way = chance.pick(['plaintext', 'plaintext', 'tls', 'direct', 'balanced'] as const)
  if (way === 'plaintext') return dial(ports.plaintext)
  if (way === 'balanced') {
    const socket = await dial(ports.balanced)
    const header = Buffer.from('0d0a0d0a000d0a515549540a2111000c7f0000097f00000104d20050', 'hex')
    socket.write(chance.oneIn(3) ? mutateBytes(header, chance, 4096) : header)
    return socket
  }
  const socket = await dial(ports.tls)
  if (way === 'tls') {
    socket.write(sslRequest)
    await once(socket, 'data')
  }
  const tls = connectTls({ socket, ca, servername: 'localhost', ALPNProtocols: ['postgresql'] })
  return untilSecure(tls)
}

async function untilSecure(tls: TLSSocket): Promise<Socket> {
  tls.setNoDelay(true)
  await once(tls, 'secureConnect')
  return tls
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

async function atTheDoor(socket: Socket, scene: Scene, chance: Chance): Promise<void> {
  socket.resume()
  const startup = startupOf('reporting', chance, -1)
  const parts = [
    ...(chance.oneIn(4) ? [sslRequest] : []),
    mutateBytes(startup, chance, 12_000),
    ...(chance.oneIn(2)
      ? mutateMessages([passwordOf(scene.tokens.reporting), ...chance.pick(scene.talks).client], chance)
      : []),
  ]
  await send(socket, Buffer.concat(parts), chance)
  leave(socket, chance)
}

/** Cancel requests with a wrong key, by a number that may be somebody's. */
async function cancels(socket: Socket, { victim }: Scene, chance: Chance): Promise<void> {
  socket.resume()
  const request = cancelRequest(
    chance.oneIn(2) ? victim : chance.below(1 << 22),
    chance.bytes(chance.pick([4, 4, 32, 0, 257])),
  )
  await send(socket, chance.oneIn(2) ? request : mutateBytes(request, chance, 1000), chance)
  leave(socket, chance)
}

/** Signed in as it should be, and then with what real clients say, changed. */
async function inASession(socket: Socket, { tokens, talks }: Scene, chance: Chance, index: number): Promise<void> {
  const role = chance.pick(roles)
  const answers = new Answers(socket)
  socket.write(Buffer.concat([startupOf(role, chance, index), passwordOf(tokens[role])]))
  if (!(await answers.untilReady())) return
  const reads = !chance.oneIn(8)
  if (!reads) socket.pause()
  const { client } = chance.pick(talks)
  const said = role === 'evil' ? client : mutateMessages(client, chance)
  await send(socket, Buffer.concat(said), chance)
  if (reads) await answers.quiet(chance.pick([5, 20, 60]))
  else await sleep(chance.below(100))
  leave(socket, chance)
}

function startupOf(role: Role, chance: Chance, index: number): Buffer {
  const [user, database] = role === 'evil' ? ['reporting.token', 'evil'] : [`${role}.token`, 'prod-db']
  const more = chance.oneIn(6) ? [['options', "-c curfew.reason='fuzz' -c work_mem=64kB"]] : []
  const startup = startupMessage([
    ['user', user],
    ['database', database],
    ['application_name', `case-${index}`],
    ...more,
  ] as [string, string][])
  if (chance.oneIn(3)) startup.writeInt32BE(0x0003_0002, 4)
  return startup
}

function passwordOf(token: string): Buffer {
  return message(fromClient.password, cstring(token))
}

async function send(socket: Socket, bytes: Buffer, chance: Chance): Promise<void> {
  const slowly = chance.oneIn(6)
  for (const chunk of chunksOf(bytes, chance)) {
    if (!socket.writable) return
    if (!socket.write(chunk))
      await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(500)]).catch(() => undefined)
    if (slowly) await sleep(chance.below(4))
  }
}

/** Says goodbye, hangs up, breaks off, or does nothing until it is shown the door. */
function leave(socket: Socket, chance: Chance): void {
  const way = chance.below(5)
  if (way === 0) socket.end(honest(fromClient.terminate, zero))
  else if (way === 1) socket.end()
  else if (way === 2) socket.resume()
  else socket.destroy()
  // Inside a session nobody is shown the door: it ends by itself.
  if (way === 2) setTimeout(() => socket.destroy(), 1500).unref()
}
