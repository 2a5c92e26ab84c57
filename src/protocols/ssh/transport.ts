import type { Duplex } from 'node:stream'
import type { SshKeyPair } from '../../identity/ssh/keys.ts'
import type { SharedReads } from './shared-reads.ts'

/**
 * One encrypted SSH connection below authentication and channels (RFC 4253): identification, key exchange, packets.
 * Whoever talks on it sends and gets whole messages with numbers from 5 (SERVICE_REQUEST) up; the transport keeps
 * numbers 1 to 4, 7 and 20 to 49 to itself.
 */
export interface Transport {
  /** The exchange hash of the first key exchange: what signatures of this connection cover. */
  readonly sessionId: Buffer
  /** As the peer says it, without `SSH-2.0-`, printable ASCII, at most 64 characters: `OpenSSH_9.2p1 Debian-2`. */
  readonly peerSoftware: string
  /** Key exchange, cipher and MAC in use, for the log. */
  readonly algorithms: { readonly kex: string; readonly cipher: string; readonly hostKey: string }
  /**
   * Where messages go, one call each, in order. The buffer is the receiver's own.
   * Set it before the event loop turns: until somebody listens, messages wait and nothing more is read.
   * What it throws ends the connection (PROTOCOL_ERROR).
   */
  onMessage: ((message: Buffer) => void) | null
  /**
   * Sends one message, copied before this returns. Never blocks: after it, look at `congested`. Waits by itself while
   * keys are exchanged.
   */
  send(message: Uint8Array): void
  /**
   * To be called by the listener about the message that it was just given: nobody looks at it any more, or at a view of
   * it, so its memory can be used for the next.
   */
  release(message: Buffer): void
  /** More waits to be written than is sensible: let the sender of these bytes rest until `onDrain`. */
  readonly congested: boolean
  onDrain: (() => void) | null
  /** Resolves when nothing waits to be written any more, or the connection is over. */
  taken(): Promise<void>
  /** Reads no more from the peer (messages that were read already still come), until `resume`. Counted: pairs nest. */
  pause(): void
  resume(): void
  /** New keys now; also happens by itself after `rekeyBytes` or `rekeyMs`. */
  rekey(): void
  /**
   * Says goodbye (SSH_MSG_DISCONNECT, even while keys are exchanged), then closes. Harmless when it is closed.
   * @param description one line for the person; printable ASCII or UTF-8.
   */
  disconnect(reason: DisconnectReason, description: string): void
  /** Closes at once. */
  destroy(): void
  /** Aborts when the connection is over, with an Error that says how: the peer hung up, broke the protocol, … */
  readonly gone: AbortSignal
  /** Bytes on the wire so far. */
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** Why a connection is over when its peer wanted that: it said goodbye, or hung up. */
export class PeerLeft extends Error {
  override readonly name = 'PeerLeft'
}

/** @see RFC 4253 section 11.1 */
export type DisconnectReason =
  | 'PROTOCOL_ERROR'
  | 'KEY_EXCHANGE_FAILED'
  | 'SERVICE_NOT_AVAILABLE'
  | 'HOST_KEY_NOT_VERIFIABLE'
  | 'CONNECTION_LOST'
  | 'BY_APPLICATION'
  | 'TOO_MANY_CONNECTIONS'
  | 'NO_MORE_AUTH_METHODS_AVAILABLE'

export interface TransportTimes {
  /** New keys are exchanged after so much in one direction, at the latest. */
  readonly rekeyBytes: number
  /** … or so long. */
  readonly rekeyMs: number
}

/** Takes the server's part. Resolves when keys are exchanged; the socket is its own from the first moment. */
export type AcceptTransport = (
  socket: Duplex,
  options: { readonly hostKeys: readonly SshKeyPair[]; readonly signal: AbortSignal } & Partial<TransportTimes>,
) => Promise<Transport>

/**
 * Takes the client's part.
 * `verifyHostKey` throws when the key (a blob, or a whole host certificate) is not the target's.
 */
export type OpenTransport = (
  socket: Duplex,
  options: {
    readonly verifyHostKey: (hostKey: Buffer) => void
    /** Host key algorithms to offer, best first; absent: all that are sound. */
    readonly hostKeyAlgorithms?: readonly string[]
    /** Where the socket's bytes come, when it was connected so. */
    readonly reads?: SharedReads
    readonly signal: AbortSignal
  } & Partial<TransportTimes>,
) => Promise<Transport>
