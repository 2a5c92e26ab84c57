import type { Bundle } from '../policy/bundle.ts'
import type { Policy } from '../policy/rules.ts'
import type { BundleEntry, GrantsEntry } from './schema-grants.ts'

export function grantsOf({ clock, uses, unused, total, recurring }: GrantsEntry): NonNullable<Policy['grants']> {
  return {
    clock: clock === 'approval' ? 'start' : clock,
    uses,
    unusedMs: unused ?? null,
    totalMs: total ?? null,
    recurringMs: recurring ?? null,
  }
}

export function bundleOf({ name, description, items }: BundleEntry): Bundle {
  return {
    name,
    description,
    items: items.map(({ resource, role, for: lengthMs }) => ({ resource, role, lengthMs: lengthMs ?? null })),
  }
}
