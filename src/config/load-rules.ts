import type * as z from 'zod'
import type { RiskSettings } from '../policy/risk.ts'
import type { Rules } from '../policy/rules.ts'
import type { Situation } from '../policy/weigh.ts'
import { policyFindings } from './check-policies.ts'
import { parseConfigDocument } from './document.ts'
import { reasonOf } from './files.ts'
import { mapOf } from './leftovers.ts'
import { ConfigProblems, type Finding } from './problems.ts'
import { readText } from './read-text.ts'
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
  return rulesIn(file, await textOf(file))
}

/**
 * The same of a text that is at hand already.
 * @param name what problems carry for the file.
 * @throws ConfigProblems
 */
export function rulesIn(name: string, text: string): LoadedRules {
  const document = parseConfigDocument(name, text)
  const { rules, findings } = rulesOf(document.value)
  const problems = [...document.problems, ...findings.map(document.place)]
  if (rules === undefined || problems.length > 0) throw new ConfigProblems(problems)
  return rules
}

/**
 * Those parts of a file as they are written, for a gateway to judge. They hold references to secrets, and no secrets.
 * @throws ConfigProblems
 */
export async function loadPolicyPart(file: string): Promise<PolicyPart> {
  const text = await textOf(file)
  rulesIn(file, text)
  return partOf(parseConfigDocument(file, text).value)
}

/** As it is written: a part of a configuration file, plain data. */
export type PolicyPart = Readonly<Record<string, unknown>>

function partOf(value: unknown): PolicyPart {
  const { machines, resources, policies, freezes, geo, risk } = mapOf(value)
  const present = Object.entries({ machines, freezes, geo, risk }).filter(([, one]) => one !== undefined)
  return { resources, policies, ...Object.fromEntries(present) }
}

/** Checks plain data. `rules` undefined: it does not fit the schema, as the findings say. */
export function rulesOf(plain: unknown): {
  readonly rules: LoadedRules | undefined
  readonly findings: readonly Finding[]
} {
  const value = partOf(plain)
  const parsed = part.safeParse(value)
  const findings = policyFindings(salvage(value))
  if (!parsed.success)
    return { rules: undefined, findings: [...schemaFindings(parsed.error.issues, value), ...findings] }
  // What does not fit together cannot always be resolved.
  return { rules: findings.length > 0 ? undefined : resolved(parsed.data), findings }
}

function resolved(parsed: z.output<typeof part>): LoadedRules {
  const rules = resolvePolicies(parsed)
  return {
    rules,
    resources: Object.entries(parsed.resources).map(([name, { kind, labels, roles }]) => ({
      ...{ name, kind, labels },
      roles: Object.keys(roles),
    })),
    machines: Object.entries(parsed.machines).map(([name, { groups }]) => ({ name, groups })),
    claims: claimsAskedFor([...rules.policies, ...rules.denials]),
    riskLevels: parsed.risk.levels,
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readText(file)
  } catch (error) {
    const message = `cannot read the file: ${reasonOf(error)}`
    throw new ConfigProblems([{ file, line: 1, column: 1, path: '', message, expected: null, hint: null }])
  }
}
