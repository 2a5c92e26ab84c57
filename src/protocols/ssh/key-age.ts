import type { TransportTimes } from './transport.ts'

const rekeyBytesDefault = 1024 ** 3
const rekeyMsDefault = 3_600_000
/** RFC 4344 section 3.1: new keys long before the packet counter comes round. */
const packetsMax = 2 ** 31
/** A longer timer would fire at once. */
const timerMsMax = 2 ** 31 - 1

/** How long and for how much a pair of keys has been used, in either direction. */
export class KeyAge {
  readonly #bytesMax: number
  readonly #msMax: number
  readonly #onOld: () => void
  #sent = { bytes: 0, packets: 0 }
  #read = { bytes: 0, packets: 0 }
  #timer: NodeJS.Timeout | undefined

  /** @param onOld may come more than once, until `renew`. */
  constructor({ rekeyBytes, rekeyMs }: Partial<TransportTimes>, onOld: () => void) {
    this.#bytesMax = rekeyBytes ?? rekeyBytesDefault
    this.#msMax = Math.min(rekeyMs ?? rekeyMsDefault, timerMsMax)
    this.#onOld = onOld
  }

  sent(bytes: number): void {
    this.#count(this.#sent, bytes)
  }

  read(bytes: number): void {
    this.#count(this.#read, bytes)
  }

  #count(used: { bytes: number; packets: number }, bytes: number): void {
    used.bytes += bytes
    used.packets += 1
    if (used.bytes >= this.#bytesMax || used.packets >= packetsMax) this.#onOld()
  }

  /** The keys are new. */
  renew(): void {
    this.stop()
    this.#sent = { bytes: 0, packets: 0 }
    this.#read = { bytes: 0, packets: 0 }
    this.#timer = setTimeout(this.#onOld, this.#msMax).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
