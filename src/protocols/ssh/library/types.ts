/** The parts of ssh2's protocol layer that we touch. Names beginning with `_` are its own. */

/** One direction's cipher, sender's side. */
export interface OutboundCipher {
  outSeqno: number
  /** Room for a packet: length and padding are filled in, the payload goes to offset 5. */
  allocPacket(payloadBytes: number): Buffer
  encrypt(packet: Buffer): void
  /** Ours only: seals one message without a packet buffer of its own. */
  encryptMessage?(message: Uint8Array): void
  free(): void
}

/** One direction's cipher, receiver's side. */
export interface InboundCipher {
  inSeqno: number
  /** The library puts its key exchange here, for as long as one lasts. */
  _onPayload: (payload: Buffer) => number | false | undefined
  /** @returns where a new cipher goes on; nothing when all was taken; Infinity when the connection is over. */
  decrypt(data: Buffer, at: number, end: number): number | undefined
  /**
   * Ours only: nobody looks at this payload any more, which is being handed out. Where there is this method, nothing of
   * `data` is kept either once `decrypt` has returned.
   */
  release?(payload: Buffer): void
  free(): void
}

export interface CipherInfo {
  readonly sslName: string
  readonly authLen: number
}

export interface OutboundConfig {
  readonly outbound: {
    readonly onWrite: (bytes: Uint8Array) => void
    readonly seqno: number
    readonly cipherInfo: CipherInfo
    readonly cipherKey: Buffer
    readonly cipherIV: Buffer
  }
}

export interface InboundConfig {
  readonly inbound: {
    /** @returns false when the next packet needs the next keys; Infinity when the connection is over. */
    readonly onPayload: (payload: Buffer) => number | false | undefined
    readonly seqno: number
    readonly decipherInfo: CipherInfo
    readonly decipherKey: Buffer
    readonly decipherIV: Buffer
  }
}

export interface Negotiated {
  readonly kex: string
  readonly serverHostKey: string
  readonly cs: { readonly cipher: string }
  readonly sc: { readonly cipher: string }
}

/** A key exchange under way, or the last one. */
export interface KeyExchange {
  readonly sessionID: Buffer | undefined
  readonly negotiated: Negotiated
  readonly _sentNEWKEYS: boolean
}

export interface HostKey {
  getPublicSSH(): Buffer
  sign(data: Buffer, hash: string | undefined): Buffer | Error
  readonly type: string
}

export interface AlgorithmLists {
  readonly kex: readonly string[]
  readonly serverHostKey: readonly string[]
  readonly cs: DirectionLists
  readonly sc: DirectionLists
}

interface DirectionLists {
  readonly cipher: readonly string[]
  readonly mac: readonly string[]
  readonly compress: readonly string[]
  readonly lang: readonly string[]
}

/** What we are told. Each answer goes back through the decipher: Infinity when the connection is over. */
export interface MessageHandlers {
  message(payload: Buffer): number | undefined
  disconnected(description: string): number | undefined
  extensions(values: ReadonlyMap<string, Buffer>): number | undefined
  unimplemented(type: number): number | undefined
  /** The handshake or a packet broke the protocol. */
  failed(error: Error, reason: number): void
}

export interface ProtocolConfig {
  readonly server: boolean
  readonly hostKeys?: Readonly<Record<string, HostKey>>
  readonly ident: string
  readonly offer: AlgorithmLists
  readonly messageHandlers: MessageHandlers
  readonly onWrite: (bytes: Uint8Array) => void
  readonly onError: (error: Error) => void
  readonly onHandshakeComplete: (negotiated: Negotiated) => void
  readonly hostVerifier?: (hostKey: Buffer) => boolean
}

export interface Protocol {
  readonly _server: boolean
  readonly _handlers: MessageHandlers
  /** Our KEXINIT, from when it is sent until both sides have the new keys. */
  readonly _kexinit: Buffer | undefined
  readonly _kex: KeyExchange | undefined
  readonly _cipher: OutboundCipher
  readonly _decipher: InboundCipher | undefined
  start(): void
  parse(chunk: Buffer, at: number, end: number): void
  rekey(): void
  cleanup(): void
}

/** What we use of ssh2. */
export interface Library {
  readonly Protocol: new (config: ProtocolConfig) => Protocol
  /** Reads a private key without a passphrase: OpenSSH, PEM (PKCS #1, SEC 1). */
  parsePrivateKey(text: string): { readonly pem: string } | undefined
}
