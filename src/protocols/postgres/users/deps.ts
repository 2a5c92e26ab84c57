import type { AuditStore } from '../../../audit/store.ts'
import type { ChangeFeed } from '../../../kernel/change.ts'
import type { Random } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Catalogue } from '../../../resources/catalogue.ts'
import type { DatabaseUserStore } from '../../../sessions/database-users.ts'
import type { MakingRole } from './administrator.ts'

export interface DatabaseUsersDeps {
  /** The gateway's name: users that bear another's are left alone. */
  readonly node: string
  readonly catalogue: Catalogue
  readonly store: DatabaseUserStore
  readonly audit: Pick<AuditStore, 'append'>
  readonly changes: ChangeFeed
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** Whether users of one are unknown where the other's are made, or nobody may drop them by the other. */
export function isElsewhere(before: MakingRole, now: MakingRole): boolean {
  const placeOf = ({ resource: { host, port, others }, user: { administrator } }: MakingRole) =>
    JSON.stringify([host, port, others, administrator.login, administrator.database])
  return placeOf(before) !== placeOf(now)
}

/** The roles of a resource that make users; with `role` first, if it is one of them. */
export function makingRoles(catalogue: Catalogue, resource: string, role?: string): readonly MakingRole[] {
  const found = catalogue.resource(resource)
  if (found?.kind !== 'postgres') return []
  const roles = Object.values(found.roles).flatMap((each) =>
    each.user === null ? [] : [{ resource: found, role: each, user: each.user }],
  )
  return roles.toSorted((left, right) => Number(right.role.name === role) - Number(left.role.name === role))
}
