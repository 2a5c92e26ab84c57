import type * as z from 'zod'
import { mapOf } from './leftovers.ts'
import { configSchema } from './schema.ts'
import type { ConfigFile } from './schema.ts'
import { freezeSchema } from './schema-freezes.ts'
import { bundleSchema, type BundleEntry } from './schema-grants.ts'
import { machineIssuerSchema, machineSchema } from './schema-machines.ts'
import { allows, policySchema, type AllowingEntry, type PolicyEntry } from './schema-policies.ts'
import { resourceSchema } from './schema-resources.ts'

/** A policy and its place in the file. */
export interface Placed<Entry> {
  readonly index: number
  readonly policy: Entry
}
/** One that allows. */
export type PlacedPolicy = Placed<AllowingEntry>

/** The parts of a file that fit the schema, so that the checks beyond the schema run although others do not. */
export interface Salvaged {
  readonly gateway: ConfigFile['gateway'] | undefined
  readonly listen: ConfigFile['listen'] | undefined
  readonly limits: ConfigFile['limits'] | undefined
  readonly identity: ConfigFile['identity'] | undefined
  readonly staff: ConfigFile['staff'] | undefined
  readonly machineIssuers: ConfigFile['machineIssuers']
  readonly machines: ConfigFile['machines']
  /** Also of those that do not fit. */
  readonly machineIssuerNames: readonly string[]
  readonly machineNames: readonly string[]
  readonly access: ConfigFile['access'] | undefined
  readonly notify: ConfigFile['notify'] | undefined
  readonly geo: ConfigFile['geo']
  /** Also one that does not fit. */
  readonly hasGeo: boolean
  readonly risk: ConfigFile['risk'] | undefined
  readonly resources: ConfigFile['resources']
  /** Also of those that do not fit: a policy that names one of them does not dangle. */
  readonly resourceNames: readonly string[]
  /** The same for roles and labels. */
  readonly roleNames: readonly string[]
  readonly labels: readonly Readonly<Record<string, unknown>>[]
  /** Those that allow. */
  readonly policies: readonly PlacedPolicy[]
  /** Those that allow, those that deny, and those of which something is missing. */
  readonly entries: readonly Placed<PolicyEntry>[]
  readonly freezes: readonly Placed<ConfigFile['freezes'][number]>[]
  readonly bundles: readonly Placed<BundleEntry>[]
  /** Whether `resources` and `policies` hold everything that the file holds. */
  readonly complete: boolean
}

export function salvage(value: unknown): Salvaged {
  const raw = mapOf(value)
  const shape = configSchema.shape
  const rawResources = mapOf(raw['resources'])
  const rawPolicies: readonly unknown[] = Array.isArray(raw['policies']) ? raw['policies'] : []
  const resources = Object.entries(fitting(resourceSchema, rawResources))
  const entries = rawPolicies.flatMap((one, index) => {
    const parsed = policySchema.safeParse(one)
    return parsed.success ? [{ index, policy: parsed.data }] : []
  })
  const rawFreezes: readonly unknown[] = Array.isArray(raw['freezes']) ? raw['freezes'] : []
  const freezes = rawFreezes.flatMap((one, index) => {
    const parsed = freezeSchema.safeParse(one)
    return parsed.success ? [{ index, policy: parsed.data }] : []
  })
  const rawBundles: readonly unknown[] = Array.isArray(raw['bundles']) ? raw['bundles'] : []
  const bundles = rawBundles.flatMap((one, index) => {
    const parsed = bundleSchema.safeParse(one)
    return parsed.success ? [{ index, policy: parsed.data }] : []
  })
  const policies = entries.flatMap(({ index, policy }) => (allows(policy) ? [{ index, policy }] : []))
  const incomplete = entries.some(({ policy }) => policy.effect === 'allow' && !allows(policy))
  return {
    gateway: shape.gateway.safeParse(raw['gateway']).data,
    listen: shape.listen.safeParse(raw['listen']).data,
    limits: shape.limits.safeParse(raw['limits']).data,
    identity: shape.identity.safeParse(raw['identity']).data,
    staff: shape.staff.safeParse(raw['staff']).data,
    machineIssuers: fitting(machineIssuerSchema, raw['machineIssuers']),
    machines: fitting(machineSchema, raw['machines']),
    machineIssuerNames: Object.keys(mapOf(raw['machineIssuers'])),
    machineNames: Object.keys(mapOf(raw['machines'])),
    access: shape.access.safeParse(raw['access']).data,
    notify: shape.notify.safeParse(raw['notify']).data,
    geo: shape.geo.safeParse(raw['geo']).data,
    hasGeo: raw['geo'] !== undefined,
    risk: shape.risk.safeParse(raw['risk']).data,
    resources: Object.fromEntries(resources),
    resourceNames: Object.keys(rawResources),
    roleNames: [...new Set(Object.values(rawResources).flatMap((one) => Object.keys(mapOf(mapOf(one)['roles']))))],
    labels: Object.values(rawResources).map((one) => mapOf(mapOf(one)['labels'])),
    ...{ policies, entries, freezes, bundles },
    complete:
      resources.length === Object.keys(rawResources).length && entries.length === rawPolicies.length && !incomplete,
  }
}

/** Entries of a map that fit, whatever the others are like. */
function fitting<Schema extends z.ZodType>(schema: Schema, value: unknown): Record<string, z.output<Schema>> {
  const entries = Object.entries(mapOf(value)).flatMap(([name, one]) => {
    const parsed = schema.safeParse(one)
    return parsed.success ? [[name, parsed.data] as const] : []
  })
  return Object.fromEntries(entries)
}
