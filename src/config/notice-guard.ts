import { reachedResources, reachesOf } from '../policy/reach.ts'
import type { StatementGuard } from '../resources/guard.ts'
import type { Config } from './config.ts'
import type { Finding } from './problems.ts'

/** Guards that ask, where access takes nobody whom they could ask. */
export function guardNotices(config: Config): readonly Finding[] {
  const reaches = reachesOf(config, reachedResources(config.resources))
  return config.resources.flatMap((resource) => {
    if (resource.kind !== 'postgres') return []
    const asking = Object.values(resource.roles).filter(({ guard }) => guard !== null && asksWhoeverDecided(guard))
    return asking.flatMap(({ name: role }) => {
      const taking = reaches.filter((reach) => reach.resource === resource.name && reach.role === role)
      const unanswered = taking.filter(({ policy }) => policy.approval.kind === 'none').map(({ policy }) => policy.name)
      const policies = [...new Set(unanswered)].map((policy) => `"${policy}"`).join(', ')
      if (policies === '') return []
      return [
        {
          path: ['resources', resource.name, 'roles', role, 'guard'],
          message: `statements that it asks about fail for those who come by ${policies}: access takes nobody there, so nobody could answer`,
          hint: 'Name somebody in `askers`.',
        },
      ]
    })
  })
}

function asksWhoeverDecided({ rules, otherwise, askers }: StatementGuard): boolean {
  return askers === null && (otherwise === 'ask' || rules.some(({ action }) => action === 'ask'))
}
