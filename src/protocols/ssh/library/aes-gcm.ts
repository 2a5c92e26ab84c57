import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomFillSync,
  type CipherGCMTypes,
  type KeyObject,
} from 'node:crypto'
import { freeMemory } from '../memory.ts'
import type { InboundCipher, InboundConfig, OutboundCipher, OutboundConfig } from './types.ts'

const lengthBytes = 4
const tagBytes = 16
const blockBytes = 16
const paddingBytesMin = 4
/** As OpenSSH's (PACKET_MAX_SIZE): what a packet's length may say. */
export const packetBytesMax = 256 * 1024
const randomPoolBytes = 8 * 1024
const tagOptions = { authTagLength: tagBytes }

export interface CipherFactories {
  readonly createCipher: (config: OutboundConfig) => OutboundCipher
  readonly createDecipher: (config: InboundConfig) => InboundCipher
}

/** The library's choice of ciphers, with ours for AES-GCM. */
export function cipherFactories({ createCipher, createDecipher }: CipherFactories): CipherFactories {
  const padding = new Padding()
  const scratch = Buffer.alloc(packetBytesMax + lengthBytes)
  return {
    createCipher: (config) =>
      isGcm(config.outbound.cipherInfo.sslName) ? new GcmCipher(config, padding, scratch) : createCipher(config),
    createDecipher: (config) =>
      isGcm(config.inbound.decipherInfo.sslName) ? new GcmDecipher(config) : createDecipher(config),
  }
}

function isGcm(name: string): name is CipherGCMTypes {
  return name === 'aes-128-gcm' || name === 'aes-256-gcm'
}

/** Random bytes, fetched in large pieces. */
class Padding {
  readonly #pool = Buffer.alloc(randomPoolBytes)
  #at = randomPoolBytes

  fill(packet: Buffer, from: number, to: number): void {
    if (this.#at + (to - from) > randomPoolBytes) {
      randomFillSync(this.#pool)
      this.#at = 0
    }
    this.#pool.copy(packet, from, this.#at, (this.#at += to - from))
  }
}

/**
 * `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com`, sender's side.
 * @see RFC 5647 section 7, with the length in clear as additional data; OpenSSH PROTOCOL section 1.6
 */
class GcmCipher implements OutboundCipher {
  outSeqno: number
  readonly #name: CipherGCMTypes
  /** As an object: Node need not look at its bytes anew for each packet. */
  readonly #key: KeyObject
  readonly #iv: Buffer
  readonly #onWrite: (bytes: Uint8Array) => void
  readonly #padding: Padding
  /** Room for one packet in clear; of no use any more when something is written. Shared, as nothing here waits. */
  readonly #scratch: Buffer
  /** Of the last packet. Its own, as what is written may at once be encrypted again, for a connection around this one. */
  readonly #length: Buffer = Buffer.alloc(lengthBytes)
  /** A view of `#scratch`: all but the length of the last packet, as most are of one size. */
  #body: Buffer
  #isFree = false

  constructor({ outbound }: OutboundConfig, padding: Padding, scratch: Buffer) {
    this.outSeqno = outbound.seqno
    this.#name = outbound.cipherInfo.sslName as CipherGCMTypes
    this.#key = createSecretKey(outbound.cipherKey)
    this.#iv = outbound.cipherIV
    this.#onWrite = outbound.onWrite
    this.#padding = padding
    this.#scratch = scratch
    this.#body = scratch.subarray(lengthBytes, lengthBytes + blockBytes)
  }

  free(): void {
    this.#isFree = true
  }

  allocPacket(payloadBytes: number): Buffer {
    const packet = Buffer.allocUnsafe(lengthBytes + packetLength(payloadBytes))
    this.#frame(packet, payloadBytes, packet.length)
    return packet
  }

  /** @throws RangeError when it is longer than a packet can be. */
  encryptMessage(message: Uint8Array): void {
    const bytes = lengthBytes + packetLength(message.length)
    if (bytes > this.#scratch.length) throw new RangeError(`a message of ${message.length} bytes`)
    if (this.#body.length !== bytes - lengthBytes) this.#body = this.#scratch.subarray(lengthBytes, bytes)
    this.#scratch.set(message, lengthBytes + 1)
    this.#frame(this.#scratch, message.length, bytes)
    this.#scratch.copy(this.#length, 0, 0, lengthBytes)
    this.#seal(this.#length, this.#body)
  }

  encrypt(packet: Buffer): void {
    this.#seal(packet.subarray(0, lengthBytes), packet.subarray(lengthBytes))
  }

  #seal(length: Buffer, body: Buffer): void {
    if (this.#isFree) return
    const cipher = createCipheriv(this.#name, this.#key, this.#iv)
    cipher.setAAD(length)
    const sealed = cipher.update(body)
    cipher.final()
    // Before anything is written: whatever that sets off, this nonce is used up.
    countUp(this.#iv)
    this.outSeqno = (this.outSeqno + 1) >>> 0
    this.#onWrite(length)
    this.#onWrite(sealed)
    this.#onWrite(cipher.getAuthTag())
    freeMemory(sealed)
  }

  #frame(packet: Buffer, payloadBytes: number, packetBytes: number): void {
    const paddingAt = lengthBytes + 1 + payloadBytes
    packet.writeUInt32BE(packetBytes - lengthBytes, 0)
    packet[lengthBytes] = packetBytes - paddingAt
    this.#padding.fill(packet, paddingAt, packetBytes)
  }
}

/** What the packet's length says: padding's length, payload, padding. */
function packetLength(payloadBytes: number): number {
  return Math.ceil((1 + payloadBytes + paddingBytesMin) / blockBytes) * blockBytes
}

/** The receiver's side. Nothing is handed out before its tag was right, and each payload has memory of its own. */
class GcmDecipher implements InboundCipher {
  inSeqno: number
  readonly #name: CipherGCMTypes
  readonly #key: KeyObject
  readonly #iv: Buffer
  _onPayload: InboundConfig['inbound']['onPayload']
  /** The start of a packet whose rest has not come: its length first, then room for all of it. */
  #partial: Buffer | undefined
  #filledBytes = 0
  /** The packet whose payload is being handed out. */
  #opened: Buffer | undefined

  constructor({ inbound }: InboundConfig) {
    this.inSeqno = inbound.seqno
    this.#name = inbound.decipherInfo.sslName as CipherGCMTypes
    this.#key = createSecretKey(inbound.decipherKey)
    this.#iv = inbound.decipherIV
    this._onPayload = inbound.onPayload
  }

  free(): void {
    this.#partial = undefined
  }

  decrypt(data: Buffer, at: number, end: number): number | undefined {
    let next = at
    while (next < end) {
      const wholeBytes = this.#partial === undefined ? wholePacketBytes(data, next, end) : 0
      const packetAt = next
      next = wholeBytes > 0 ? next + wholeBytes : this.#collect(data, next, end)
      const packet = wholeBytes > 0 ? undefined : this.#collected()
      if (wholeBytes === 0 && packet === undefined) continue
      const payload = packet === undefined ? this.#open(data, packetAt, next) : this.#open(packet, 0, packet.length)
      if (packet !== undefined) freeMemory(packet)
      const answer = this._onPayload(payload)
      this.#opened = undefined
      if (answer !== undefined) return answer === false ? next : answer
    }
    return undefined
  }

  release(payload: Buffer): void {
    if (this.#opened === undefined || payload.buffer !== this.#opened.buffer) return
    freeMemory(this.#opened)
    this.#opened = undefined
  }

  #collect(data: Buffer, at: number, end: number): number {
    this.#partial ??= Buffer.allocUnsafe(lengthBytes)
    const taken = data.copy(this.#partial, this.#filledBytes, at, end)
    this.#filledBytes += taken
    if (this.#filledBytes === lengthBytes && this.#partial.length === lengthBytes) {
      const length = this.#partial
      this.#partial = Buffer.allocUnsafeSlow(sealedBytes(length, 0))
      this.#partial.set(length)
    }
    return at + taken
  }

  #collected(): Buffer | undefined {
    if (this.#partial === undefined || this.#filledBytes < this.#partial.length) return undefined
    const packet = this.#partial
    this.#partial = undefined
    this.#filledBytes = 0
    return packet
  }

  /** @param at where the packet lies in `data`. @throws Error when the tag is wrong. */
  #open(data: Buffer, at: number, end: number): Buffer {
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv, tagOptions)
    decipher.setAAD(data.subarray(at, at + lengthBytes))
    decipher.setAuthTag(data.subarray(end - tagBytes, end))
    const packet = decipher.update(data.subarray(at + lengthBytes, end - tagBytes))
    decipher.final()
    countUp(this.#iv)
    this.inSeqno = (this.inSeqno + 1) >>> 0
    const paddingBytes = packet[0]!
    if (paddingBytes < paddingBytesMin || paddingBytes > packet.length - 1) throw new Error('Bad padding length')
    this.#opened = packet
    return packet.subarray(1, packet.length - paddingBytes)
  }
}

/** 0: not all of it is there. */
function wholePacketBytes(data: Buffer, at: number, end: number): number {
  if (end - at < lengthBytes) return 0
  const bytes = sealedBytes(data, at)
  return end - at < bytes ? 0 : bytes
}

/** Length, ciphertext and tag. @throws Error for a length that cannot be. */
function sealedBytes(data: Buffer, at: number): number {
  const length = data.readUInt32BE(at)
  if (length > packetBytesMax || length < blockBytes || length % blockBytes !== 0) throw new Error('Bad packet length')
  return lengthBytes + length + tagBytes
}

/** The last eight bytes are a counter (RFC 5647 section 7.1). */
function countUp(iv: Buffer): void {
  for (let index = 11; index >= 4; index--) {
    iv[index] = (iv[index]! + 1) & 0xff
    if (iv[index] !== 0) return
  }
}
