import { InvalidArgumentError, Option, type Command } from 'commander'
import { loadRules, type LoadedRules } from '../config/load-rules.ts'
import { loadPolicyCases, momentOf, situationOf, type PolicyCase, type PolicyCases } from '../config/policy-cases.ts'
import { isoTime } from '../kernel/time.ts'
import { isCountryCode } from '../policy/countries.ts'
import { explain, type Opinion } from '../policy/explain.ts'
import { verdictFault, type Verdict } from '../policy/judge.ts'
import type { Situation } from '../policy/weigh.ts'
import { addDryRun } from './dry-run.ts'
import { asUsage, lengthOption } from './options.ts'
import { CliProblem } from './problem.ts'
import { print, printJson, styled, table } from './print.ts'
import { terminalLine } from './terminal-text.ts'

export function addPolicy(program: Command): void {
  const policy = program
    .command('policy')
    .summary('try policies before people do')
    .description('Says what the policies of a file decide, without secrets or certificates.')
  addTest(policy)
  addExplain(policy)
  addDryRun(policy)
}

function addTest(policy: Command): void {
  policy
    .command('test')
    .summary('run example cases kept in a file')
    .description(
      'Judges each case of the file and compares the verdict with the one that is expected. For CI.\nExit code: 0 all as expected, 1 some are not, 2 a file is wrong.',
    )
    .argument('<file>', 'cases (YAML); it names the file with the policies')
    .option('--config <file>', 'configuration with the policies, instead of the one that the cases name')
    .option('--json', 'print one JSON object per case')
    .addHelpText('after', '\nExample:\n  curfew policy test /etc/curfew/policy-cases.yaml\n')
    .action(async (file: string, options: { config?: string; json?: true }) => {
      const loaded = await loadPolicyCases(file, options.config)
      const results = loaded.cases.map((one) => ({ one, ...judged(loaded, one) }))
      const failed = results.filter(({ wrong }) => wrong !== null)
      for (const result of options.json ? results : []) printJson(inJson(result))
      if (!options.json) for (const result of results) print(resultText(file, result))
      if (!options.json) print(`\n${results.length - failed.length} of ${results.length} as expected.`)
      process.exitCode = failed.length === 0 ? 0 : 1
    })
}

interface Result {
  readonly one: PolicyCases['cases'][number]
  readonly verdict: Verdict
  readonly opinions: readonly Opinion[]
  readonly situation: Situation
  /** What is not as expected; null: all is. */
  readonly wrong: string | null
}

function judged(loaded: PolicyCases, one: PolicyCase): Omit<Result, 'one'> {
  const situation = situationOf(loaded, one)
  const { verdict, opinions } = explain(loaded.rules, situation)
  return { verdict, opinions, situation, wrong: wrongIn(one, verdict) }
}

function wrongIn({ expect, policy, opensAt }: PolicyCase, verdict: Verdict): string | null {
  if (verdict.kind !== expect) return `expected ${expect}, got ${verdict.kind}`
  const by = deciding(verdict)
  if (policy !== undefined && policy !== by)
    return `expected "${policy}" to decide, got ${by === null ? 'none' : `"${by}"`}`
  const opens = verdict.kind === 'allow' ? null : verdict.opensAt
  if (opensAt === undefined || opensAt === opens) return null
  return `expected it to open at ${isoTime(opensAt)}, got ${opens === null ? 'never' : isoTime(opens)}`
}

/** The name of the policy that decides; null: none is about it. */
function deciding(verdict: Verdict): string | null {
  if (verdict.kind !== 'deny') return verdict.policy.name
  return (verdict.by ?? verdict.policy)?.name ?? null
}

function inJson({ one, verdict, opinions, wrong }: Result) {
  const opensAt = verdict.kind === 'allow' || verdict.opensAt === null ? null : isoTime(verdict.opensAt)
  return {
    ...{ case: one.name, line: one.line, ok: wrong === null, wrong },
    ...{ verdict: verdict.kind, policy: deciding(verdict), opensAt, opinions },
  }
}

function resultText(file: string, result: Result): string {
  const { one, wrong } = result
  if (wrong === null) return `${styled('green', 'ok')}    ${terminalLine(one.name)}`
  const where = `${file}:${one.line}`
  return `${styled('red', 'WRONG')} ${terminalLine(one.name)}\n      ${where}: ${wrong}\n${indented(opinionsText(result))}`
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '      ')
}

function opinionsText({ opinions }: Pick<Result, 'opinions'>): string {
  const rows = opinions.map(({ name, kind, says, why }) => [
    says === 'decides' ? '>' : '',
    ...[terminalLine(name), kind, terminalLine(why)],
  ])
  return table(['', 'POLICY', 'EFFECT', 'WHY'], rows)
}

interface Question {
  readonly email?: string
  readonly machine?: string
  readonly group?: readonly string[]
  readonly claim?: Readonly<Record<string, string[]>>
  readonly at?: NonNullable<ReturnType<typeof momentOf>>
  readonly from?: string
  readonly country?: string
  readonly risk?: number
  readonly for?: number
  readonly reason?: string
  readonly ticket?: string
  readonly emergency?: true
  readonly json?: true
}

const momentOption = asUsage((text) => {
  const at = momentOf(text)
  if (at === undefined) throw new Error('expected a moment such as 2026-11-23T10:00[Europe/Berlin]')
  return at
})

function addExplain(policy: Command): void {
  policy
    .command('explain')
    .summary('say which policy decides about somebody, and why others do not')
    .description(
      'Judges one situation. What is not given counts as not known yet: it neither lets a policy fail nor a denial speak.\nExit code: 0 allowed, 1 not, 2 the question or the file is wrong.',
    )
    .argument('<file>', 'configuration file with the policies (YAML)')
    .argument('<resource>', 'name of a resource')
    .argument('<role>', 'name of one of its roles')
    .option('--email <address>', 'the person’s e-mail address')
    .addOption(
      new Option('--machine <name>', 'instead of a person, one of the file’s machines').conflicts([
        'email',
        'group',
        'claim',
      ]),
    )
    .option('--group <name>', 'a group of theirs; may be repeated', addGroup)
    .addOption(new Option('--claim <name=value>', 'a claim of theirs; may be repeated').argParser(claimOption))
    .option('--at <moment>', 'when, such as 2026-11-23T10:00[Europe/Berlin]', momentOption)
    .option('--from <address>', 'from which address')
    .option('--country <code>', 'in which country that address is, such as DE', countryOption)
    .option('--risk <score>', 'the score of the request’s risk, 0 to 100', riskOption)
    .option('--for <length>', 'how long is asked for, such as 1h', lengthOption)
    .option('--reason <text>', 'the reason that is given')
    .option('--ticket <ticket>', 'the ticket that is given')
    .option('--emergency', 'as an emergency')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  curfew policy explain curfew.yaml prod-db readonly --group engineers --at 2026-11-23T18:30[Europe/Berlin]\n',
    )
    .action(explainOne)
}

const countryOption = asUsage((text) => {
  if (!isCountryCode(text)) throw new Error('expected two capital letters, such as DE')
  return text
})

const riskOption = asUsage((text) => {
  if (!/^(\d{1,2}|100)$/.test(text)) throw new Error('expected a number from 0 to 100')
  return Number(text)
})

function addGroup(name: string, so?: readonly string[]): readonly string[] {
  return [...(so ?? []), name]
}

function claimOption(text: string, so: Record<string, string[]> = {}): Record<string, string[]> {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('expected name=value')
  return { ...so, [name]: [...(so[name] ?? []), value] }
}

async function explainOne(file: string, resource: string, role: string, question: Question): Promise<void> {
  const loaded = await loadRules(file)
  const known = loaded.resources.find(({ name }) => name === resource)
  if (known === undefined) {
    const names = loaded.resources.map(({ name }) => name)
    throw new CliProblem(`${file} has no resource "${resource}"`, mistyped(names))
  }
  if (!known.roles.includes(role)) throw new CliProblem(`${resource} has no role "${role}"`, mistyped(known.roles))
  const {
    email,
    machine,
    group = [],
    claim = {},
    at,
    from,
    country,
    risk: score,
    for: lengthMs,
    reason = '',
    ticket,
  } = question
  const emergency = question.emergency === true
  if (country !== undefined && from === undefined) {
    throw new CliProblem('--country says where an address is', { hint: 'Give the address, too: --from', exitCode: 2 })
  }
  const situation = situationOf(loaded, {
    person: { groups: [...group], claims: claim, ...(email !== undefined && { email }) },
    machine: knownMachine(loaded, machine),
    ...{ resource, role, at, from, country, for: lengthMs, reason, ticket, emergency },
    risk: score === undefined ? undefined : { score, factors: [] },
  })
  const { verdict, opinions } = explain(loaded.rules, situation)
  process.exitCode = verdict.kind === 'allow' ? 0 : 1
  const opensAt = verdict.kind === 'allow' || verdict.opensAt === null ? null : isoTime(verdict.opensAt)
  if (question.json) return printJson({ verdict: verdict.kind, policy: deciding(verdict), opensAt, opinions })
  print(`${verdictText(verdict, situation)}\n`)
  print(opinionsText({ opinions }))
}

function knownMachine({ machines }: LoadedRules, name: string | undefined): string | undefined {
  const names = machines.map((one) => one.name)
  if (name === undefined || names.includes(name)) return name
  throw new CliProblem(`there is no machine "${name}" in the file`, mistyped(names))
}

/** Not 1: that says "not allowed", and a check that expects it would pass. */
function mistyped(names: readonly string[]): { hint: string; exitCode: 2 } {
  return { hint: `There are: ${names.slice(0, 12).join(', ')}.`, exitCode: 2 }
}

function verdictText(verdict: Verdict, situation: Situation): string {
  if (verdict.kind === 'allow') return `${styled('green', 'allow')}  by policy "${terminalLine(verdict.policy.name)}"`
  return `${styled('red', verdict.kind)}  ${terminalLine(verdictFault(verdict, situation).message)}`
}
