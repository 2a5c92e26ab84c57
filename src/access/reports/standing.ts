import { displayName } from '../../identity/person.ts'
import type { Instant } from '../../kernel/time.ts'
import { weeklyWords } from '../../policy/circumstance-words.ts'
import type { KnownGrant, LongToken, Paged } from './reads.ts'
import { rowsMost, type RowOf } from './shapes.ts'

export const longTokenMsMin = 7 * 86_400_000

type Row = RowOf<'standing'>

/** The longest first. */
export async function standing(
  grants: Paged<KnownGrant>,
  tokens: readonly LongToken[],
  now: Instant,
): Promise<{ readonly rows: readonly Row[]; readonly isCut: boolean }> {
  let rows = tokens.map((token) => tokenRow(token, now))
  let isCut = rows.length === rowsMost
  for await (const page of grants) {
    const living = page.filter(({ grant }) => now < grant.expiresAt)
    const all = [...rows, ...living.map((one) => grantRow(one, now))].toSorted(longestFirst)
    rows = all.slice(0, rowsMost)
    isCut ||= all.length > rowsMost
  }
  return { rows: rows.toSorted(longestFirst), isCut }
}

function longestFirst(left: Row, right: Row): number {
  return (right.lengthMs ?? 0) - (left.lengthMs ?? 0) || (left.startsAt ?? 0) - (right.startsAt ?? 0)
}

function grantRow({ grant, person, approvedBy, lastUsedAt }: KnownGrant, now: Instant): Row {
  const { id, resource, role, startsAt, expiresAt, policy } = grant
  return {
    ...{ kind: 'grant', person: displayName(person), resource, role },
    ...{ lengthMs: expiresAt - startsAt, ageMs: Math.max(0, now - startsAt), startsAt, expiresAt },
    ...{ lastUsedAt, approvedBy, policy, about: aboutGrant(grant), id },
  }
}

function aboutGrant({ state, clock, uses, windows, firstUsedAt }: KnownGrant['grant']): string | null {
  const parts = [
    state === 'scheduled' && 'not begun yet',
    uses === 'once' && 'for one session',
    clock === 'first-use' && firstUsedAt === null && 'its time begins with its first use',
    windows !== null && windows.map(weeklyWords).join(' or '),
  ]
  return parts.filter(Boolean).join('; ') || null
}

function tokenRow({ id, personName, label, scopes, createdAt, expiresAt, lastUsedAt }: LongToken, now: Instant): Row {
  return {
    ...{ kind: 'token', person: personName, resource: null, role: null },
    ...{ lengthMs: expiresAt - createdAt, ageMs: Math.max(0, now - createdAt) },
    ...{ startsAt: createdAt, expiresAt, lastUsedAt, approvedBy: [], policy: null },
    ...{ about: `${label}: ${scopes.join(' ')}`, id },
  }
}
