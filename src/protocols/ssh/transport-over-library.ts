import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { signWithKey } from '../../identity/ssh/certificate.ts'
import { signatureAlgorithmsOf } from '../../identity/ssh/public-key.ts'
import type { SshKeyPair } from '../../identity/ssh/keys.ts'
import { SshReader } from '../../identity/ssh/wire.ts'
import { offerToClients, offerToTargets } from './algorithms.ts'
import { LibraryTransport } from './library-transport.ts'
import { loadLibrary } from './library/load.ts'
import type { HostKey, Library } from './library/types.ts'
import type { AcceptTransport, OpenTransport } from './transport.ts'

/** As Node keeps its modules: once per process, when first asked for. */
let loading: Promise<Library> | undefined

/**
 * Loads the library beneath all transports; the gateway awaits it before it listens.
 * @throws Error when the installed ssh2 is not the one that was pinned.
 */
export function sshLibrary(): Promise<Library> {
  return (loading ??= loadLibrary())
}

export const acceptTransport: AcceptTransport = async (socket, { hostKeys, signal, ...times }) => {
  const transport = new LibraryTransport(prepared(socket), await whileKept(socket, sshLibrary()), {
    role: { server: true, hostKeys: hostKeyTable(hostKeys), offer: offerToClients(hostKeys) },
    ...times,
  })
  return await opened(transport, signal)
}

/** Like every OpenTransport; it tells too which signatures the server takes (`server-sig-algs`, RFC 8308). */
export const openTransport = (async (socket, { verifyHostKey, hostKeyAlgorithms, signal, ...rest }) => {
  const transport = new LibraryTransport(prepared(socket), await whileKept(socket, sshLibrary()), {
    role: { server: false, verifyHostKey, offer: offerToTargets(hostKeyAlgorithms) },
    ...rest,
  })
  return await opened(transport, signal)
}) satisfies OpenTransport

/** A socket that fails while nobody listens would end the process. */
async function whileKept<T>(socket: Duplex, work: Promise<T>): Promise<T> {
  const ignore = () => undefined // it is found destroyed, or says it again, as soon as the transport has it
  socket.on('error', ignore)
  try {
    return await work
  } finally {
    socket.off('error', ignore)
  }
}

/** Small messages are people typing; a channel of another connection has no such knob. */
function prepared(socket: Duplex & Partial<Pick<Socket, 'setNoDelay'>>): Duplex {
  socket.setNoDelay?.(true)
  return socket
}

async function opened(transport: LibraryTransport, signal: AbortSignal): Promise<LibraryTransport> {
  const giveUp = () => transport.destroy()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    if (signal.aborted) giveUp()
    await transport.opened
    return transport
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

/** By signature algorithm, as the library looks them up. */
function hostKeyTable(hostKeys: readonly SshKeyPair[]): Record<string, HostKey> {
  return Object.fromEntries(
    hostKeys.flatMap((pair) => signatureAlgorithmsOf(pair.type).map((name) => [name, hostKey(pair, name)] as const)),
  )
}

function hostKey(pair: SshKeyPair, algorithm: string): HostKey {
  return {
    type: pair.type,
    getPublicSSH: () => pair.publicBlob,
    sign: (data) => {
      const signature = new SshReader(signWithKey(pair, data, algorithm))
      signature.string() // the library writes the algorithm itself
      return signature.string()
    },
  }
}
