import type { Instant } from '../kernel/time.ts'
import { isLive } from './endings.ts'
import { isMachinePerson, type Person } from './person.ts'
import { hasScope } from './scopes.ts'
import type { Token } from './store.ts'

/**
 * Why no certificate may hang on this token; null: one may. Programs of people have certificates by the CLI's session; a
 * machine has one token for everything.
 */
export function tokenProblem(token: Token, person: Person, at: Instant): string | null {
  const isKind = isMachinePerson(person) ? hasScope(token.scopes, 'sessions') : token.kind === 'cli'
  if (!isKind) return `of a token of kind ${token.kind}`
  if (isLive(token, at)) return null
  return token.endedAt === null ? 'of a token that is over' : 'of a token that was revoked'
}
