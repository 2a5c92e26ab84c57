import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { HttpAddress, HttpResource } from '../../../resources/catalogue.ts'
import { connectMs } from './connection.ts'

const leftOutMs = 5_000
const leftOutMsMax = 60_000

/** One address of a resource and what is known of its health. */
export class Address {
  readonly at: HttpAddress
  /** Failed connections in a row. */
  failures = 0
  /** Monotonic; while it lies ahead, the address is left out. */
  leftOutUntilMs = 0
  why: string | null = null
  /** What the last health check found; null: nothing wrong. */
  illness: string | null = null

  constructor(at: HttpAddress) {
    this.at = at
  }
}

/** Chooses among a resource's addresses: a session stays with one while that answers, and others take over when it does not. */
export class Addresses {
  readonly all: readonly Address[]
  readonly #resource: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #metrics: Metrics
  #isResting = false

  constructor(resource: HttpResource, { clock, log, metrics }: { clock: Clock; log: Log; metrics: Metrics }) {
    this.#resource = resource.name
    this.#clock = clock
    this.#log = log.child({ resource: resource.name })
    this.#metrics = metrics
    this.all = resource.addresses.map((at) => new Address(at))
    for (const address of this.all) this.#publish(address)
  }

  /**
   * The healthy address that `session` prefers (rendezvous hashing: when one goes, only its own sessions move);
   * when none is healthy, the preferred of all, as a wrong guess costs no more than giving up.
   */
  pick(session: string, tried: ReadonlySet<Address>): Address | undefined {
    const left = this.all.length === 1 && tried.size === 0 ? this.all : this.all.filter((one) => !tried.has(one))
    const nowMs = this.#clock.monotonicMs()
    const chosen = left.length === 1 ? left[0] : healthiest(session, left, nowMs)
    // Of those who come when its time is over, one looks whether it is back; the others do not wait with it.
    if (chosen !== undefined && chosen.failures > 0)
      chosen.leftOutUntilMs = Math.max(chosen.leftOutUntilMs, nowMs + connectMs)
    return chosen
  }

  /** A connection could not be opened. */
  failed(address: Address, why: string): void {
    const wasWell = isWell(address)
    const lengthMs = Math.min(leftOutMs * 2 ** Math.min(address.failures, 10), leftOutMsMax)
    address.failures += 1
    address.leftOutUntilMs = this.#clock.monotonicMs() + lengthMs
    address.why = why
    this.#log.warn({ address: address.at.text, why, leftOutMs: lengthMs }, 'target address left out')
    if (wasWell) this.#publish(address)
  }

  /** A connection was opened, or used. */
  answered(address: Address): void {
    if (address.failures === 0) return
    address.failures = 0
    address.leftOutUntilMs = 0
    address.why = null
    this.#tell(address)
  }

  /** @param illness what a health check found; null: it is well. */
  checked(address: Address, illness: string | null): void {
    const before = address.illness
    address.illness = illness
    if ((before === null) !== (illness === null)) this.#tell(address)
  }

  unhealthy(): { resource: string; address: string; why: string }[] {
    return this.all
      .filter((address) => !isWell(address))
      .map((address) => ({
        resource: this.#resource,
        address: address.at.text,
        why: address.illness ?? address.why ?? '',
      }))
  }

  #tell(address: Address): void {
    const fields = { address: address.at.text, why: address.illness ?? address.why }
    if (isWell(address)) this.#log.info(fields, 'target address is healthy')
    else this.#log.warn(fields, 'target address is unhealthy')
    this.#publish(address)
  }

  /** The resource is no more, or another: what its addresses are like is of no interest from now on. */
  rest(): void {
    this.#isResting = true
    for (const address of this.all) this.#metrics.forget('curfew_http_target_healthy', this.#labelsOf(address))
  }

  #publish(address: Address): void {
    if (this.#isResting) return
    this.#metrics.set('curfew_http_target_healthy', this.#labelsOf(address), isWell(address) ? 1 : 0)
  }

  #labelsOf(address: Address) {
    return { resource: this.#resource, address: address.at.text }
  }
}

function isWell(address: Address): boolean {
  return address.failures === 0 && address.illness === null
}

function healthiest(session: string, left: readonly Address[], nowMs: number): Address | undefined {
  const healthy = left.filter((address) => address.illness === null && address.leftOutUntilMs <= nowMs)
  return preferred(session, healthy.length > 0 ? healthy : left)
}

function preferred(session: string, among: readonly Address[]): Address | undefined {
  if (among.length < 2) return among[0]
  const weighed = among.map((address) => ({ address, weight: weightOf(`${session} ${address.at.text}`) }))
  return weighed.reduce((best, each) => (each.weight > best.weight ? each : best)).address
}

/** FNV-1a over UTF-16 units, with a last stir so that near texts do not get near weights. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
