import type { KeyObject } from 'node:crypto'
import type { Negotiated, Protocol } from './types.ts'

export type KeyExchangeArguments = [negotiated: Negotiated, protocol: Protocol, remoteKexinit: Buffer]

/** The library's base of all key exchanges, as far as ours override it. */
export interface LibraryExchange {
  readonly _protocol: Protocol
  type: string
  hashName: string
  _step: number
  _public: Buffer | null
  /** What convertPublicKey, computeSecret and parse throw or return as an Error ends the connection. */
  generateKeys(): void
  getPublicKey(): Buffer
  convertPublicKey(key: Buffer): Buffer
  computeSecret(theirs: Buffer): Buffer | Error
  parse(payload: Buffer): unknown
  start(): void
}

export interface LibraryX25519 extends LibraryExchange {
  _keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | null
}

export interface Bases {
  readonly KeyExchange: new (...args: KeyExchangeArguments) => LibraryExchange
  readonly Curve25519Exchange: new (hash: string, ...args: KeyExchangeArguments) => LibraryX25519
}
