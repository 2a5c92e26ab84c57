import type { Command } from 'commander'
import type * as z from 'zod'
import { differenceWords, type DifferenceKind } from '../access/reports/differences.ts'
import { daysUsual } from '../access/reports/shapes.ts'
import { loadPolicyPart } from '../config/load-rules.ts'
import { dryRun } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { forPeople, note, print, printJson, styled } from './print.ts'
import { daysOption, reportMsMax } from './report.ts'
import { terminalLine } from './terminal-text.ts'

type DryRun = z.output<typeof dryRun>
type Difference = DryRun['differences'][number]

const caveat =
  'People are judged with the groups and claims that they have now, by the address that they asked from, and with the risk that was worked out then.'

export function addDryRun(policy: Command): void {
  policy
    .command('dry-run')
    .summary('what a changed file would have said to what was asked for lately (operators)')
    .description(
      'Checks a changed configuration file, sends its policies and resources to the gateway, and says which requests of the last days would be judged otherwise, and what living access would stop. Nothing is changed; secrets are not read.\nExit code: 0 also when something differs.',
    )
    .argument('<file>', 'changed configuration file (YAML)')
    .option('--days <count>', 'how far back it looks', daysOption, daysUsual)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  curfew policy dry-run changed.yaml --days 90\n')
    .action(async (file: string, { days, json }: { days: number; json?: true }) => {
      const rules = await loadPolicyPart(file)
      const { client } = await openGateway()
      await using _ = client
      const { value } = await client.call('POST', '/policies/dry-run', dryRun, { days, rules }, reportMsMax)
      if (json) return printJson(value)
      show(value)
    })
}

function show({ days, looked, counts, differences, isCut, reach }: DryRun): void {
  const { requests, attempts, grants } = looked
  print(
    `${requests} requests and ${attempts} refused attempts of ${days} days, and ${grants} living grants were judged by both.`,
  )
  const kinds = Object.entries(counts) as [DifferenceKind, number][]
  const found = kinds.filter(([, count]) => count > 0)
  if (found.length === 0) print('Nothing of it would have been judged otherwise.')
  for (const [kind, count] of found) {
    print(`\n${styled('bold', `${count} ${differenceWords[kind]}`)}`)
    for (const one of differences.filter(({ kinds: [first] }) => first === kind)) print(differenceText(one))
  }
  reachText('Who could reach more', '+', reach.gained)
  reachText('Who could reach less', '-', reach.lost)
  if (isCut) note(`\nOnly the first ${differences.length} are shown.`)
  note(`\n${caveat}`)
}

/** One that differs in several ways stands with the first, and says the others. */
function differenceText({ kinds, id, what, person, resource, role, at, before, after }: Difference): string {
  const others = kinds.slice(1).map((kind) => `; ${differenceWords[kind]}`)
  return [
    `  ${terminalLine(`${id ?? what}  ${forPeople(at)}  ${person}  ${resource} as ${role}${others.join('')}`)}`,
    `      now      ${terminalLine(before)}`,
    `      changed  ${terminalLine(after)}`,
  ].join('\n')
}

function reachText(title: string, mark: '+' | '-', lines: readonly string[]): void {
  if (lines.length === 0) return
  print(`\n${styled('bold', title)}`)
  for (const line of lines) print(`  ${mark} ${terminalLine(line)}`)
}
