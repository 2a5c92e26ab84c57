import { type DiffieHellmanGroup, createDiffieHellmanGroup } from 'node:crypto'
import { SshReader, sshMpint, sshByte } from '../../../identity/ssh/wire.ts'
import type { Bases, KeyExchangeArguments } from './key-exchange.ts'

const message = { group: 31, init: 32, request: 34, dhInit: 30 } as const
/** RFC 3526's group of 4096 bits, which the gateway gives to everybody: larger ones cost it too much time. */
const groupName = 'modp16'
const groupBits = 4096

type KeyExchangeBase = Bases['KeyExchange']

/**
 * `diffie-hellman-group-exchange-sha256`, the server's part only: from a server the gateway would have to take a group
 * on trust.
 * @see RFC 4419 section 3; RFC 8270
 */
export function groupExchange(base: KeyExchangeBase): KeyExchangeBase {
  return class extends base {
    readonly #group: DiffieHellmanGroup = createDiffieHellmanGroup(groupName)
    #isOffered = false
    // These names are the library's: it hashes them.
    _minBits = 0
    _prefBits = 0
    _maxBits = 0
    _dh: DiffieHellmanGroup | null = null

    constructor(...args: KeyExchangeArguments) {
      super(...args)
      this.type = 'groupex'
      this.hashName = 'sha256'
    }

    override generateKeys(): void {
      if (this._dh !== null) return
      this._dh = this.#group
      this._public = this.#group.generateKeys()
    }

    getDHParams(): { prime: Buffer; generator: Buffer } {
      return { prime: number(this.#group.getPrime()), generator: number(this.#group.getGenerator()) }
    }

    override parse(payload: Buffer): unknown {
      if (this._step === 1 && !this.#isOffered) return this.#offerGroup(payload)
      if (this._step !== 1) return super.parse(payload)
      if (payload[0] !== message.init) throw new Error(`message ${payload[0]} instead of KEX_DH_GEX_INIT`)
      return super.parse(Buffer.concat([sshByte(message.dhInit), payload.subarray(1)]))
    }

    #offerGroup(payload: Buffer): void {
      if (payload[0] !== message.request) throw new Error(`message ${payload[0]} instead of KEX_DH_GEX_REQUEST`)
      const reader = new SshReader(payload, 1)
      const [min, preferred, max] = [reader.uint32(), reader.uint32(), reader.uint32()]
      if (min > groupBits || max < groupBits || min > preferred || preferred > max) {
        throw new Error(`a group of ${groupBits} bits is offered; between ${min} and ${max} were asked for`)
      }
      ;[this._minBits, this._prefBits, this._maxBits] = [min, preferred, max]
      this.#isOffered = true
      const [prime, generator] = [this.#group.getPrime(), this.#group.getGenerator()]
      const offer = Buffer.concat([sshByte(message.group), sshMpint(prime), sshMpint(generator)])
      const packet = this._protocol._cipher.allocPacket(offer.length)
      packet.set(offer, 5)
      this._protocol._cipher.encrypt(packet)
    }
  }
}

/** As the library hashes it: an mpint without its length. */
function number(magnitude: Buffer): Buffer {
  return sshMpint(magnitude).subarray(4)
}
