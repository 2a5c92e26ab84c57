import type { Clock, Timer } from '../../../kernel/time.ts'
import type { HttpAddress, HttpResource } from '../../../resources/catalogue.ts'
import type { Address, Addresses } from './addresses.ts'
import type { Hop, Taker } from './hop.ts'
import type { TargetRequest } from './target.ts'
import { codeOf } from './words.ts'

/** Of a check's answer; what is longer is not read to its end. */
const answerBytesMax = 64 * 1024

/** Asks each address of `resource` in turns how it is, if its resource says so: GET without anybody's identity; 2xx and 3xx are well. */
export function watchHealth(
  resource: HttpResource,
  addresses: Addresses,
  clock: Clock,
  hopTo: (address: HttpAddress) => Hop,
): Disposable {
  const { health } = resource
  if (health === null) return { [Symbol.dispose]: () => undefined }
  const watches = addresses.all.map((address) => new Watch(health, address, addresses, clock, hopTo))
  return { [Symbol.dispose]: () => watches.forEach((watch) => watch.stop()) }
}

class Watch {
  readonly #health: NonNullable<HttpResource['health']>
  readonly #address: Address
  readonly #addresses: Addresses
  readonly #clock: Clock
  readonly #hopTo: (address: HttpAddress) => Hop
  #timer: Timer | null = null
  #stopCheck: (() => void) | null = null
  #stopped = false

  constructor(
    health: NonNullable<HttpResource['health']>,
    address: Address,
    addresses: Addresses,
    clock: Clock,
    hopTo: (address: HttpAddress) => Hop,
  ) {
    this.#health = health
    this.#address = address
    this.#addresses = addresses
    this.#clock = clock
    this.#hopTo = hopTo
    this.#timer = clock.after(0, () => this.#check(false))
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#stopCheck?.()
  }

  /** @param fresh once more, on a connection that was not used before. */
  #check(fresh: boolean): void {
    const question = questionOf(this.#address.at, this.#health.path)
    const started = this.#hopTo(this.#address.at).send(question, this.#taker(fresh), fresh)
    const late = this.#clock.after(this.#health.timeoutMs, () => {
      this.#stopCheck?.()
      this.#found(`no answer within ${this.#health.timeoutMs} ms`)
    })
    this.#stopCheck = () => {
      late.cancel()
      this.#stopCheck = null
      started.abort()
    }
  }

  #taker(fresh: boolean): Taker {
    let illness: string | null = null
    let bytes = 0
    const done = (found: string | null) => {
      this.#stopCheck?.()
      this.#found(found)
    }
    return {
      informational: () => undefined,
      head: (status) => (illness = status < 400 ? null : `status ${status}`),
      body: (chunk) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) done(illness)
        return true
      },
      end: () => done(illness),
      upgraded: (_headers, connection) => {
        connection.destroy()
        done('switched protocols unasked')
      },
      failed: (error, reached) => {
        const isAgain = !fresh && (reached === 'unanswered' || reached === 'refused')
        if (!isAgain) return done(`${error.message} ${codeOf(error.cause)}`.trim())
        this.#stopCheck?.()
        this.#check(true)
      },
    }
  }

  #found(illness: string | null): void {
    if (this.#stopped) return
    this.#addresses.checked(this.#address, illness)
    this.#timer = this.#clock.after(this.#health.everyMs, () => this.#check(false))
  }
}

function questionOf({ host, port, tls, socketPath }: HttpAddress, path: string): TargetRequest {
  const usual = socketPath !== null || port === (tls ? 443 : 80)
  const name = host.includes(':') ? `[${host}]` : host
  return {
    method: 'GET',
    path,
    host: usual ? name : `${name}:${port}`,
    headers: ['user-agent', 'curfew-health'],
    body: null,
    bodyBytes: null,
    trailers: null,
    upgrade: null,
  }
}
