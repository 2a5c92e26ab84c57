import type { Instant } from '../../kernel/time.ts'
import type { Rules } from '../../policy/rules.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Period, ReportReads, UnusedGrant } from './reads.ts'
import { rowsMost, type RowOf } from './shapes.ts'

type Row = RowOf<'unused'>
const nothing = { person: null, resource: null, role: null, policy: null, state: null, startsAt: null } as const

/** Roles, then policies, then grants. */
export async function unused(
  reads: Pick<ReportReads, 'lastSessionAs' | 'lastGrantBy' | 'unusedGrants'>,
  rules: Rules,
  catalogue: Catalogue,
  period: Period,
): Promise<{ readonly rows: readonly Row[]; readonly isCut: boolean }> {
  const rows = [...(await unusedRoles(reads, catalogue, period)), ...(await unusedPolicies(reads, rules, period))]
  for await (const page of reads.unusedGrants(period)) {
    rows.push(...page.map(grantRow))
    if (rows.length > rowsMost) return { rows: rows.slice(0, rowsMost), isCut: true }
  }
  return { rows, isCut: false }
}

async function unusedRoles(
  reads: Pick<ReportReads, 'lastSessionAs'>,
  { resources }: Catalogue,
  { from }: Period,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const { name: resource, roles } of resources) {
    for (const role of Object.keys(roles)) {
      const lastUsedAt = await reads.lastSessionAs(resource, role)
      if (isBefore(lastUsedAt, from)) {
        rows.push({ ...nothing, kind: 'role', name: `${resource} as ${role}`, resource, role, lastUsedAt })
      }
    }
  }
  return rows
}

async function unusedPolicies(
  reads: Pick<ReportReads, 'lastGrantBy'>,
  { policies }: Rules,
  { from }: Period,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const { name } of policies) {
    const lastUsedAt = await reads.lastGrantBy(name)
    if (isBefore(lastUsedAt, from)) rows.push({ ...nothing, kind: 'policy', name, policy: name, lastUsedAt })
  }
  return rows
}

function isBefore(at: Instant | null, from: Instant): boolean {
  return at === null || at < from
}

function grantRow({ id, personName, resource, role, policy, startsAt, state }: UnusedGrant): Row {
  return { kind: 'grant', name: id, person: personName, resource, role, policy, state, startsAt, lastUsedAt: null }
}
