import type { Grant } from '../access/states.ts'
import { Fault } from '../kernel/fault.ts'
import { later, timeForPeople, type Instant } from '../kernel/time.ts'
import { usableFrom } from '../access/grant-life.ts'
import { isIn, networksOf } from '../policy/networks.ts'
import type { Networks, Weekly } from '../policy/rules.ts'
import { isInside, nextEdge } from '../policy/times.ts'

/** What a grant narrows beyond what its policy says. Null: nothing. */
export interface GrantLimits {
  readonly windows: readonly Weekly[] | null
  readonly networks: Networks | null
}

export function limitsOf({ windows, networks }: Pick<Grant, 'windows' | 'networks'>): GrantLimits {
  return { windows, networks: networks === null ? null : networksOf(networks) }
}

/** Whether the grant itself may be used now, from this address. `what`: such as `prod-db as readonly`. */
export function limitRefusal(
  { windows, networks }: GrantLimits,
  what: string,
  address: string,
  at: Instant,
): Fault | undefined {
  if (windows !== null && !isInside({ when: windows }, at)) {
    return new Fault('OUTSIDE_WINDOW', `Your access to ${what} is for certain hours.${opens(windows, at)}`, {
      hint: 'Connect again in those hours, or ask for access at other times.',
    })
  }
  if (networks !== null && !isIn(networks, address)) {
    return new Fault('FROM_ELSEWHERE', `Your access to ${what} may not be used from your network.`, {
      hint: `It was approved for ${networks.texts.join(', ')} only.`,
    })
  }
  return undefined
}

function opens(windows: readonly Weekly[], at: Instant): string {
  const opensAt = usableFrom(at, [{ when: windows }])
  return opensAt > at ? ` It opens at ${timeForPeople(opensAt)}.` : ''
}

/** As far ahead as a session's end is looked for. */
const foreseenMsMax = 8 * 86_400_000
const stepsMax = 500

/** When its windows close next, inside of which `at` is. `closesAt` null: not before `lookedUntil`; look again then. */
export function limitCloses(
  { windows }: GrantLimits,
  at: Instant,
  until: Instant,
): { readonly closesAt: Instant | null; readonly lookedUntil: Instant } {
  if (windows === null) return { closesAt: null, lookedUntil: until }
  const end = Math.min(until, later(at, foreseenMsMax)) as Instant
  let edge = nextEdge({ when: windows }, at)
  for (let step = 0; step < stepsMax; step++) {
    if (edge === null || edge >= end) return { closesAt: null, lookedUntil: end }
    if (!isInside({ when: windows }, edge)) return { closesAt: edge, lookedUntil: edge }
    edge = nextEdge({ when: windows }, edge)
  }
  return { closesAt: null, lookedUntil: edge ?? end }
}
