import { mapOf } from './leftovers.ts'
import { configSchema } from './schema.ts'
import type { ConfigFile } from './schema.ts'
import { policySchema } from './schema-policies.ts'
import { resourceSchema } from './schema-resources.ts'

/** A policy and its place in the file. */
export interface PlacedPolicy {
  readonly index: number
  readonly policy: ConfigFile['policies'][number]
}

/** The parts of a file that fit the schema, so that the checks beyond the schema run although others do not. */
export interface Salvaged {
  readonly gateway: ConfigFile['gateway'] | undefined
  readonly listen: ConfigFile['listen'] | undefined
  readonly limits: ConfigFile['limits'] | undefined
  readonly identity: ConfigFile['identity'] | undefined
  readonly access: ConfigFile['access'] | undefined
  readonly resources: ConfigFile['resources']
  /** Also of those that do not fit: a policy that names one of them does not dangle. */
  readonly resourceNames: readonly string[]
  /** The same for roles and labels. */
  readonly roleNames: readonly string[]
  readonly labels: readonly Readonly<Record<string, unknown>>[]
  readonly policies: readonly PlacedPolicy[]
  /** Whether `resources` and `policies` hold everything that the file holds. */
  readonly complete: boolean
}

export function salvage(value: unknown): Salvaged {
  const raw = mapOf(value)
  const shape = configSchema.shape
  const rawResources = mapOf(raw['resources'])
  const rawPolicies: readonly unknown[] = Array.isArray(raw['policies']) ? raw['policies'] : []
  const resources = Object.entries(rawResources).flatMap(([name, one]) => {
    const parsed = resourceSchema.safeParse(one)
    return parsed.success ? [[name, parsed.data] as const] : []
  })
  const policies = rawPolicies.flatMap((one, index) => {
    const parsed = policySchema.safeParse(one)
    return parsed.success ? [{ index, policy: parsed.data }] : []
  })
  return {
    gateway: shape.gateway.safeParse(raw['gateway']).data,
    listen: shape.listen.safeParse(raw['listen']).data,
    limits: shape.limits.safeParse(raw['limits']).data,
    identity: shape.identity.safeParse(raw['identity']).data,
    access: shape.access.safeParse(raw['access']).data,
    resources: Object.fromEntries(resources),
    resourceNames: Object.keys(rawResources),
    roleNames: [...new Set(Object.values(rawResources).flatMap((one) => Object.keys(mapOf(mapOf(one)['roles']))))],
    labels: Object.values(rawResources).map((one) => mapOf(mapOf(one)['labels'])),
    policies,
    complete: resources.length === Object.keys(rawResources).length && policies.length === rawPolicies.length,
  }
}
