import { dirname, resolve } from 'node:path'
import * as z from 'zod'
import type { Instant } from '../kernel/time.ts'
import { countryFinder, isCountryCode } from '../policy/countries.ts'
import { levelOf, riskFactorCodes, riskLevels } from '../policy/risk.ts'
import type { Situation } from '../policy/weigh.ts'
import { unknownMachine } from './check-machines.ts'
import { parseConfigDocument } from './document.ts'
import { reasonOf } from './files.ts'
import { loadRules, type LoadedRules } from './load-rules.ts'
import { ConfigProblems, type ConfigProblem, type Finding } from './problems.ts'
import { readText } from './read-text.ts'
import { duration } from './schema-fields.ts'

const momentForm = { error: 'expected a moment such as 2026-11-23T10:00[Europe/Berlin] or 2026-11-23T09:00Z' }
const moment = z
  .string()
  .refine((text) => momentOf(text) !== undefined, momentForm)
  .transform((text) => momentOf(text)!)

const caseSchema = z.strictObject({
  name: z.string().min(1),
  person: z
    .strictObject({
      email: z.string().optional(),
      name: z.string().optional(),
      groups: z.array(z.string()).default([]),
      claims: z.record(z.string(), z.array(z.string())).default({}),
    })
    .optional(),
  /** Instead of a person: one of `machines`, with its groups. */
  machine: z.string().optional(),
  resource: z.string(),
  role: z.string(),
  at: moment.optional(),
  from: z.string().optional(),
  /** In which country `from` is, as a database would say. */
  country: z
    .string()
    .refine(isCountryCode, { error: 'expected a country by its two capital letters, such as DE' })
    .optional(),
  risk: z
    .strictObject({
      score: z.int().min(0).max(100),
      /** Absent: as `risk.levels` of the policies' file has it. */
      level: z.enum(riskLevels).optional(),
      factors: z.array(z.enum(riskFactorCodes)).default([]),
    })
    .optional(),
  for: duration('How long.').optional(),
  reason: z.string().default(''),
  ticket: z.string().optional(),
  emergency: z.boolean().default(false),
  expect: z.enum(['allow', 'deny', 'not-now']),
  /** The policy, or freeze, that decides. */
  policy: z.string().optional(),
  opensAt: moment.optional(),
})

const fileSchema = z.strictObject({ policies: z.string().min(1), cases: z.array(caseSchema).min(1) })

export type PolicyCase = z.output<typeof caseSchema>

export interface PolicyCases extends LoadedRules {
  /** The file with the policies. */
  readonly file: string
  readonly cases: readonly (PolicyCase & { readonly line: number })[]
}

/**
 * Reads a file of example cases, and the policies that it names.
 * @param configFile instead of the file that is named in it.
 * @throws ConfigProblems
 */
export async function loadPolicyCases(file: string, configFile?: string): Promise<PolicyCases> {
  const document = parseConfigDocument(file, await textOf(file))
  const parsed = fileSchema.safeParse(document.value)
  if (!parsed.success || document.problems.length > 0) {
    const findings: Finding[] = (parsed.error?.issues ?? []).map(({ path, message }) => ({
      path: path.map((step) => (typeof step === 'number' ? step : String(step))),
      message,
    }))
    throw new ConfigProblems([...document.problems, ...findings.map(document.place)])
  }
  const named = configFile ?? resolve(dirname(file), parsed.data.policies)
  const loaded = await loadRules(named)
  const unknown: ConfigProblem[] = parsed.data.cases.flatMap((one, index) =>
    [namesFinding, whoFinding, placeFinding].flatMap((find) => find(loaded, one, ['cases', index])).map(document.place),
  )
  if (unknown.length > 0) throw new ConfigProblems(unknown)
  const cases = parsed.data.cases.map((one, index) => ({
    ...one,
    line: document.place({ path: ['cases', index], message: '' }).line,
  }))
  return { ...loaded, file: named, cases }
}

function namesFinding(
  { resources }: LoadedRules,
  { resource, role }: PolicyCase,
  path: (string | number)[],
): Finding[] {
  const known = resources.find(({ name }) => name === resource)
  if (known === undefined) return [{ path: [...path, 'resource'], message: `there is no resource "${resource}"` }]
  if (known.roles.includes(role)) return []
  return [
    {
      path: [...path, 'role'],
      message: `${resource} has no role "${role}"`,
      hint: `It has: ${known.roles.join(', ')}.`,
    },
  ]
}

function whoFinding({ machines }: LoadedRules, { person, machine }: PolicyCase, path: (string | number)[]): Finding[] {
  if ((person === undefined) === (machine === undefined)) {
    return [{ path, message: 'a case is about a person or a machine', hint: 'Give one of them.', at: 'key' }]
  }
  const names = machines.map(({ name }) => name)
  return machine === undefined || names.includes(machine) ? [] : [unknownMachine([...path, 'machine'], machine, names)]
}

function placeFinding(_: LoadedRules, { from, country }: PolicyCase, path: (string | number)[]): Finding[] {
  if (country === undefined || from !== undefined) return []
  const hint = 'Say from which address, too: from.'
  return [{ path: [...path, 'country'], message: 'nobody is in a country without an address', hint, at: 'key' }]
}

/**
 * The situation of a case. Claims that policies ask about and that it does not name are those of which the provider says
 * nothing; an address whose country it does not name is one of which nobody can say where it is, unless it is inside.
 */
export function situationOf(
  { resources, claims, machines, riskLevels: levels }: LoadedRules,
  one: Omit<PolicyCase, 'name' | 'expect'>,
): Situation {
  const { person, machine, role, at, from, country, for: lengthMs, reason, ticket, risk, emergency } = one
  return {
    person: {
      ...(machine === undefined ? personFacts(person) : machineFacts(machine, machines)),
      claims: { ...Object.fromEntries(claims.map((claim) => [claim, []])), ...person?.claims },
    },
    resource: resources.find(({ name }) => name === one.resource)!,
    ...{ role, emergency, at },
    client: from === undefined ? undefined : { address: from, country: countryFinder(() => country)(from) },
    request: lengthMs === undefined ? undefined : { lengthMs, reason, ticket: ticket ?? null },
    risk: risk && {
      ...{ score: risk.score, level: risk.level ?? levelOf(risk.score, { levels }) },
      factors: risk.factors.map((code) => ({ code })),
    },
  }
}

function personFacts(person: PolicyCase['person']) {
  return { email: person?.email ?? null, name: person?.name ?? null, groups: person?.groups ?? [] }
}

function machineFacts(name: string, machines: LoadedRules['machines']) {
  const groups = machines.find((machine) => machine.name === name)?.groups ?? []
  return { kind: 'machine', email: null, name, groups } as const
}

/** `2026-11-23T10:00[Europe/Berlin]`, or with an offset. Undefined: not a moment. */
export function momentOf(text: string): Instant | undefined {
  try {
    const zoned = text.includes('[') ? Temporal.ZonedDateTime.from(text) : Temporal.Instant.from(text)
    return zoned.epochMilliseconds as Instant
  } catch {
    return undefined // RangeError
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readText(file)
  } catch (error) {
    const message = `cannot read the cases: ${reasonOf(error)}`
    throw new ConfigProblems([{ file, line: 1, column: 1, path: '', message, expected: null, hint: null }])
  }
}
