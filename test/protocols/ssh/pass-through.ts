/** Transports without a gateway around them: everybody is let in, and every message goes on as it came. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { sshKeyPair, type SshKeyPair } from '../../../src/identity/ssh/keys.ts'
import { logIn } from '../../../src/protocols/ssh/target-login.ts'
import type { DisconnectReason, Transport } from '../../../src/protocols/ssh/transport.ts'
import { acceptTransport, openTransport, sshLibrary } from '../../../src/protocols/ssh/transport-over-library.ts'
import type { TestSshd } from '../../servers/sshd.ts'

export const anyKey: SshKeyPair = sshKeyPair(generateKeyPairSync('ed25519').privateKey)

export interface PassThrough extends AsyncDisposable {
  readonly port: number
  /** Both ends of the connections so far, the oldest first. */
  readonly pairs: readonly { readonly client: Transport; readonly target: Transport }[]
  /** How often each side got new keys is not told by a transport; what failed is. */
  readonly errors: readonly unknown[]
}

export interface PassThroughOptions {
  readonly hostKeys?: readonly SshKeyPair[]
  readonly rekeyBytes?: number
  /** Says goodbye to clients as soon as they are let in. */
  readonly goodbye?: { readonly reason: DisconnectReason; readonly description: string }
}

export async function startPassThrough(sshd: TestSshd, options: PassThroughOptions = {}): Promise<PassThrough> {
  const pairs: { client: Transport; target: Transport }[] = []
  const errors: unknown[] = []
  const times = options.rekeyBytes === undefined ? {} : { rekeyBytes: options.rekeyBytes }
  const server = createServer((socket) => {
    void serve().catch((error: unknown) => {
      errors.push(error)
      socket.destroy()
    })
    async function serve(): Promise<void> {
      const signal = AbortSignal.timeout(20_000)
      const client = await acceptTransport(socket, { hostKeys: options.hostKeys ?? [anyKey], signal, ...times })
      await letIn(client)
      if (options.goodbye !== undefined) {
        return client.disconnect(options.goodbye.reason, options.goodbye.description)
      }
      const target = await openTarget(sshd, {}, times)
      pairs.push({ client, target })
      link(client, target)
      link(target, client)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    pairs,
    errors,
    [Symbol.asyncDispose]: async () => {
      for (const { client, target } of pairs) for (const end of [client, target]) end.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Connects to a real server and logs in with the key that it made. */
export async function openTarget(
  sshd: TestSshd,
  options: { readonly hostKeyAlgorithms?: readonly string[]; readonly verifyHostKey?: (key: Buffer) => void } = {},
  times: { readonly rekeyBytes?: number } = {},
): Promise<Transport> {
  const signal = AbortSignal.timeout(20_000)
  const socket = connect(sshd.port, sshd.host)
  const transport = await openTransport(socket, { verifyHostKey: () => undefined, signal, ...options, ...times })
  const parsed = (await sshLibrary()).parsePrivateKey(sshd.userKey)
  const pair = sshKeyPair(createPrivateKey(parsed!.pem))
  const credential = { pair, publicBlob: pair.publicBlob, words: 'the key' }
  const takes = () => transport.peerSignatureAlgorithms
  await logIn(transport, { name: 'sshd', login: sshd.user, credential, takes }, signal)
  return transport
}

/** Takes the client's first request for authentication as enough. */
export async function letIn(client: Transport): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  client.gone.addEventListener('abort', () => reject(client.gone.reason as Error), { once: true })
  client.onMessage = (message) => {
    if (message[0] === 5) return client.send(Buffer.concat([Buffer.of(6), message.subarray(1)]))
    client.onMessage = null
    client.send(Buffer.of(52))
    resolve()
  }
  await promise
}

function link(from: Transport, to: Transport): void {
  let isHeld = false
  to.onDrain = () => {
    if (isHeld) from.resume()
    isHeld = false
  }
  from.onMessage = (message) => {
    to.send(message)
    if (!to.congested || isHeld) return
    isHeld = true
    from.pause()
  }
  from.gone.addEventListener('abort', () => to.disconnect('BY_APPLICATION', String(from.gone.reason)))
}
