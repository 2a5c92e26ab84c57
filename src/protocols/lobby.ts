import { networkOf } from '../identity/address.ts'
import { Fault } from '../kernel/fault.ts'
import type { Metrics } from '../kernel/metrics.ts'

type Protocol = 'postgres' | 'ssh' | 'http'

/** Counts the connections that have not signed in yet, over all listeners and protocols of a node. */
export interface Lobby {
  /** @param address counts as its network (IPv6); null: not known yet, counts only in all. @throws Fault TOO_MANY_CONNECTIONS. Disposing leaves; twice is harmless. */
  enter(address: string | null, protocol: Protocol): Disposable
}

interface Limits {
  readonly unauthenticatedPerAddressMax: number
  readonly unauthenticatedMax: number
}

/** No address is written like this. */
const unknownNetwork = '?'

export function createLobby(limits: Limits, metrics: Metrics): Lobby {
  const byNetwork = new Map<string, number>()
  const byProtocol = { postgres: 0, ssh: 0, http: 0 }
  let total = 0
  const count = (network: string, protocol: Protocol, by: 1 | -1) => {
    total += by
    byProtocol[protocol] += by
    const left = (byNetwork.get(network) ?? 0) + by
    if (left > 0) byNetwork.set(network, left)
    else byNetwork.delete(network)
    metrics.set('curfew_unauthenticated_connections', { protocol }, byProtocol[protocol])
  }
  return {
    enter(address, protocol) {
      const network = address === null ? unknownNetwork : networkOf(address)
      const here = address === null ? 0 : (byNetwork.get(network) ?? 0)
      if (here >= limits.unauthenticatedPerAddressMax || total >= limits.unauthenticatedMax) {
        throw new Fault('TOO_MANY_CONNECTIONS', 'Too many connections wait for a sign-in.')
      }
      count(network, protocol, 1)
      let inside = true
      return {
        [Symbol.dispose]: () => {
          if (inside) count(network, protocol, -1)
          inside = false
        },
      }
    },
  }
}
