import { readFile } from 'node:fs/promises'
import type { RiskSettings } from '../policy/risk.ts'
import type { Rules } from '../policy/rules.ts'
import type { Situation } from '../policy/weigh.ts'
import { policyFindings } from './check-policies.ts'
import { parseConfigDocument } from './document.ts'
import { reasonOf } from './files.ts'
import { mapOf } from './leftovers.ts'
import { ConfigProblems } from './problems.ts'
import { claimsAskedFor, resolvePolicies } from './resolve-policies.ts'
import { salvage } from './salvage.ts'
import { schemaFindings } from './schema-findings.ts'
import { configSchema } from './schema.ts'

/** What decides, without what it takes to run a gateway. */
export interface LoadedRules {
  readonly rules: Rules
  readonly resources: readonly (Situation['resource'] & { readonly roles: readonly string[] })[]
  readonly claims: readonly string[]
  readonly machines: readonly { readonly name: string; readonly groups: readonly string[] }[]
  readonly riskLevels: RiskSettings['levels']
}

const part = configSchema.pick({
  machines: true,
  resources: true,
  policies: true,
  freezes: true,
  geo: true,
  risk: true,
})

/**
 * Reads `machines`, `resources`, `policies`, `freezes` and `risk` of a configuration file; the rest may be missing, and no secret,
 * certificate or database is looked for. So CI can judge policies without having any.
 * @param file path as it was typed; problems carry it.
 * @throws ConfigProblems with all that is wrong in them
 */
export async function loadRules(file: string): Promise<LoadedRules> {
  const document = parseConfigDocument(file, await textOf(file))
  const { machines, resources, policies, freezes, geo, risk } = mapOf(document.value)
  const present = Object.entries({ machines, freezes, geo, risk }).filter(([, one]) => one !== undefined)
  const value = { resources, policies, ...Object.fromEntries(present) }
  const parsed = part.safeParse(value)
  const parts = salvage(value)
  const findings = [...(parsed.success ? [] : schemaFindings(parsed.error.issues, value)), ...policyFindings(parts)]
  const problems = [...document.problems, ...findings.map(document.place)]
  if (!parsed.success || problems.length > 0) throw new ConfigProblems(problems)
  const rules = resolvePolicies(parsed.data)
  return {
    rules,
    resources: Object.entries(parsed.data.resources).map(([name, { kind, labels, roles }]) => ({
      ...{ name, kind, labels },
      roles: Object.keys(roles),
    })),
    machines: Object.entries(parsed.data.machines).map(([name, { groups }]) => ({ name, groups })),
    claims: claimsAskedFor([...rules.policies, ...rules.denials]),
    riskLevels: parsed.data.risk.levels,
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const message = `cannot read the file: ${reasonOf(error)}`
    throw new ConfigProblems([{ file, line: 1, column: 1, path: '', message, expected: null, hint: null }])
  }
}
