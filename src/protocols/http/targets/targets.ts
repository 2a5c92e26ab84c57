import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Catalogue, HttpAddress, HttpResource, HttpRole } from '../../../resources/catalogue.ts'
import { type Address, Addresses } from './addresses.ts'
import { Connector, type Way } from './connection.ts'
import { Errand } from './errand.ts'
import { watchHealth } from './health-check.ts'
import type { Hop } from './hop.ts'
import { Http1Hop } from './http1.ts'
import { Http2Hop } from './http2.ts'
import type { HttpTarget, HttpTargets } from './target.ts'

export interface HttpTargetsDeps {
  readonly catalogue: Catalogue
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** Makes the ways to all HTTP resources of the catalogue and starts their health checks. */
export function createHttpTargets(deps: HttpTargetsDeps): HttpTargets {
  const ways = new Map<HttpResource, Ways>()
  /** Sessions are still on them. */
  const left = new Set<Ways>()
  const lookAgain = () => {
    const there = new Set(deps.catalogue.resources.filter((resource) => resource.kind === 'http'))
    for (const [resource, way] of ways) {
      if (there.has(resource)) continue
      ways.delete(resource)
      left.add(way)
      way.rest(() => {
        left.delete(way)
        void way[Symbol.asyncDispose]()
      })
    }
    for (const resource of there) if (!ways.has(resource)) ways.set(resource, new Ways(resource, deps))
  }
  lookAgain()
  return {
    to: (resource, role) => ways.get(resource)!.with(role),
    lookAgain,
    unhealthy: () => [...ways.values()].flatMap((each) => each.addresses.unhealthy()),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...ways.values(), ...left].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

/** All connections of one resource, by address and by what is shown there. */
class Ways implements AsyncDisposable {
  readonly addresses: Addresses
  readonly #resource: HttpResource
  readonly #deps: HttpTargetsDeps
  readonly #hops = new Map<string, Hop>()
  readonly #health: Disposable
  #users = 0
  #unused: (() => void) | null = null

  constructor(resource: HttpResource, deps: HttpTargetsDeps) {
    this.#resource = resource
    this.#deps = deps
    this.addresses = new Addresses(resource, deps)
    this.#health = watchHealth(resource, this.addresses, deps.clock, (at) => this.#hopTo(at, null))
  }

  with(role: HttpRole): HttpTarget {
    const { addresses } = this
    const { name } = this.#resource
    const { log } = this.#deps
    const hops = new Map<Address, Hop>()
    const hopTo = (address: Address): Hop => {
      const known = hops.get(address)
      if (known !== undefined) return known
      const hop = this.#hopTo(address.at, role)
      hops.set(address, hop)
      return hop
    }
    const showsCertificate = role.credentials?.kind === 'certificate'
    let isUsed = true
    this.#users += 1
    return {
      send: (admission, request, sink) => {
        const session = admission.session.id
        return new Errand({ name, session, addresses, log, hopTo, showsCertificate }, request, sink)
      },
      [Symbol.dispose]: () => {
        if (!isUsed) return
        isUsed = false
        this.#users -= 1
        if (this.#users === 0) this.#unused?.()
      },
    }
  }

  #hopTo(address: HttpAddress, role: HttpRole | null): Hop {
    const certificate = role?.credentials?.kind === 'certificate' ? role.credentials : null
    const key = `${certificate === null ? '' : role!.name} ${address.text}`
    const known = this.#hops.get(key)
    if (known !== undefined) return known
    const { name, tls } = this.#resource
    const hop = this.#makeHop({ name, tls, address, certificate })
    this.#hops.set(key, hop)
    return hop
  }

  #makeHop(way: Way): Hop {
    const { clock } = this.#deps
    const connector = new Connector(way, clock)
    return this.#resource.version === 'http2' ? new Http2Hop(connector, clock) : new Http1Hop(connector, clock)
  }

  /** Nobody new comes this way. @param unused called when nobody is on it. */
  rest(unused: () => void): void {
    this.#health[Symbol.dispose]()
    this.addresses.rest()
    this.#unused = unused
    if (this.#users === 0) unused()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#health[Symbol.dispose]()
    await Promise.all([...this.#hops.values()].map((hop) => hop[Symbol.asyncDispose]()))
  }
}
