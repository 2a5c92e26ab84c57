import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { SshKeyPair } from '../../identity/ssh/keys.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Clock } from '../../kernel/time.ts'
import type { SshResource } from '../../resources/catalogue.ts'
import { eitherAborts } from '../either-aborts.ts'
import { keepAlive } from '../keep-alive.ts'
import { HostKeyCheck } from './host-key-check.ts'
import { ephemeralCredential, roleCredential, type CertificateWish } from './role-key.ts'
import { logIn } from './target-login.ts'
import { SharedReads } from './shared-reads.ts'
import type { Transport } from './transport.ts'
import { openTransport } from './transport-over-library.ts'

/** A target that let us in. What it sends waits until somebody listens. */
export interface Target {
  readonly transport: Transport
  /** What it wants read before; without control characters, 16 KiB at most. */
  readonly banners: readonly string[]
  /** The fingerprint of its host key: `SHA256:…` */
  readonly hostKey: string
}

export interface TargetWish extends CertificateWish {
  readonly resource: SshResource
}

export interface TargetDeps {
  readonly clock: Clock
  readonly random: Random
  /** Signs the ephemeral certificates that targets trust. */
  readonly authority: SshKeyPair
  /** Longest time until the target lets us in. */
  readonly connectMsMax?: number
}

const connectMsMaxDefault = 10_000

/**
 * Connects, makes sure that it is the right machine, and logs in as the role's upstream login: with the role's key, or a
 * certificate for this session alone.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @throws Fault UPSTREAM_UNREACHABLE, HOST_KEY_UNKNOWN, UPSTREAM_REFUSED; the cause tells the operators more.
 */
export async function connectTarget(wish: TargetWish, signal: AbortSignal, deps: TargetDeps): Promise<Target> {
  const late = new AbortController()
  const timer = deps.clock.after(deps.connectMsMax ?? connectMsMaxDefault, () => {
    late.abort(new Fault('UPSTREAM_UNREACHABLE', `${wish.resource.name} did not answer in time.`))
  })
  using either = eitherAborts(signal, late.signal)
  try {
    const opened = await openVerified(wish.resource, either.signal, deps.clock)
    return await letIn(opened, wish, either.signal, deps)
  } finally {
    timer.cancel()
  }
}

type OpenedTransport = Awaited<ReturnType<typeof openTransport>>

interface Opened {
  readonly transport: OpenedTransport
  readonly hostKey: string
}

async function letIn(
  { transport, hostKey }: Opened,
  wish: TargetWish,
  signal: AbortSignal,
  deps: TargetDeps,
): Promise<Target> {
  try {
    const now = deps.clock.now()
    const credential = (await roleCredential(wish.role)) ?? ephemeralCredential(wish, { ...deps, now })
    const takes = () => transport.peerSignatureAlgorithms
    const login = { name: wish.resource.name, login: wish.role.login, credential, takes }
    return { transport, hostKey, banners: await logIn(transport, login, signal) }
  } catch (error) {
    transport.disconnect('BY_APPLICATION', 'the login did not succeed')
    throw error
  }
}

/** Tries one type of host key after the other where only a fingerprint is known, which does not tell its type. */
async function openVerified(resource: SshResource, signal: AbortSignal, clock: Clock): Promise<Opened> {
  const check = new HostKeyCheck(resource)
  let algorithms = check.algorithms
  let refusal: unknown
  while (algorithms.length > 0) {
    const attempt = new Attempt(resource, check, algorithms)
    try {
      return await attempt.run(signal, clock)
    } catch (error) {
      refusal ??= error
      if (!check.mayBeAnother || attempt.refused === undefined) break
      algorithms = algorithms.filter((name) => familyOf(name) !== familyOf(attempt.refused!))
    }
  }
  throw refusal
}

/** One TCP connection and its first key exchange. */
class Attempt {
  readonly #resource: SshResource
  readonly #check: HostKeyCheck
  readonly #algorithms: readonly string[]
  /** The type of the host key that was not believed. */
  refused: string | undefined

  constructor(resource: SshResource, check: HostKeyCheck, algorithms: readonly string[]) {
    this.#resource = resource
    this.#check = check
    this.#algorithms = algorithms
  }

  async run(signal: AbortSignal, clock: Clock): Promise<Opened> {
    const { name } = this.#resource
    const reads = new SharedReads()
    const socket = await openSocket(this.#resource, reads, signal)
    let hostKey = ''
    const verifyHostKey = (shown: Buffer) => {
      this.refused = typeOf(shown)
      hostKey = this.#check.verify(shown, clock.now())
      this.refused = undefined
    }
    try {
      const options = { verifyHostKey, hostKeyAlgorithms: this.#algorithms, reads, signal }
      return { transport: await openTransport(socket, options), hostKey }
    } catch (error) {
      socket.destroy()
      signal.throwIfAborted()
      if (error instanceof Fault) throw error
      throw new Fault('UPSTREAM_UNREACHABLE', `${name} and the gateway found no way to speak SSH.`, { cause: error })
    }
  }
}

function typeOf(blob: Buffer): string {
  return blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1')
}

/** Of a key's type, its certificates' and its signatures' names. */
function familyOf(name: string): string {
  const bare = name.replace('-cert-v01@openssh.com', '')
  return bare.startsWith('rsa-') ? 'ssh-rsa' : bare
}

async function openSocket(resource: SshResource, { onread }: SharedReads, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const { host, port, name, keepalives } = resource
  const socket = connect({ host, port, noDelay: true, onread })
  keepAlive(socket, keepalives)
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (error) {
    socket.on('error', () => undefined) // it is given up: how it fails later interests nobody
    socket.destroy()
    signal.throwIfAborted()
    throw new Fault('UPSTREAM_UNREACHABLE', `${name} cannot be reached.`, { cause: error })
  }
}
