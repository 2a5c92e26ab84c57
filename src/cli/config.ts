import type { Command } from 'commander'
import { readEnvironment } from '../config/environment.ts'
import { checkConfig } from '../config/load.ts'
import type { CheckedConfig } from '../config/load.ts'
import { ConfigProblems, formatProblem } from '../config/problems.ts'
import { configReference, configSchemaText } from '../config/reference.ts'
import { standingOffers, summarise } from '../config/summary.ts'
import { note, print, printJson, table } from './print.ts'

export function addConfig(program: Command): void {
  const config = program
    .command('config')
    .summary('check and explain configuration files')
    .description('Checks a configuration file, and prints its schema and its reference.')
  addCheck(config)
  config
    .command('schema')
    .summary('print the JSON Schema, for editors')
    .action(() => print(configSchemaText().trimEnd()))
  config
    .command('reference')
    .summary('print the reference (Markdown)')
    .action(() => print(configReference().trimEnd()))
}

function addCheck(config: Command): void {
  config
    .command('check')
    .summary('say all that is wrong with a file, or what it means')
    .description(
      'Checks the file and everything that it refers to (secrets, certificates). Exit code 2 when something is wrong.',
    )
    .argument('<file>', 'configuration file (YAML)')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExample:\n  curfew config check /etc/curfew/curfew.yaml\n')
    .action(async (file: string, { json }: { json?: true }) => {
      if (json) return checkForPrograms(file)
      show(file, await checkConfig(file, readEnvironment()))
    })
}

async function checkForPrograms(file: string): Promise<void> {
  try {
    const { config, notices } = await checkConfig(file, readEnvironment())
    printJson({ ok: true, problems: [], notices, ...summarise(config), access: standingOffers(config) })
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    printJson({ ok: false, problems: error.problems })
    process.exitCode = 2
  }
}

function show(file: string, { config, notices }: CheckedConfig): void {
  const { listeners, resources, policies, bundles } = summarise(config)
  print(`${file} is good.\n`)
  print(`listeners  ${listeners.join('\n           ')}`)
  print(`resources  ${resources.join('\n           ')}`)
  print(`policies   ${policies}${bundles.length === 0 ? '\n' : ''}`)
  if (bundles.length > 0) print(`bundles    ${bundles.join('\n           ')}\n`)
  const offers = standingOffers(config)
  const rows = offers.map((offer) => [
    offer.group,
    offer.resource,
    offer.role,
    offer.takes,
    `up to ${offer.most}`,
    offer.policy,
  ])
  if (rows.length > 0) print(table(['WHO', 'RESOURCE', 'ROLE', 'TAKES', 'LENGTH', 'BY POLICY'], rows))
  const free = offers.filter((offer) => offer.takes.startsWith('nobody')).length
  if (free > 0) print(`\n${free} of these ${offers.length} need no approval.`)
  if (notices.length > 0) note('\nWorth knowing:')
  for (const notice of notices) note(formatProblem(notice))
}
