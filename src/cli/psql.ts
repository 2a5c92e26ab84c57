import type { Command } from 'commander'
import { readEnvironment } from '../config/environment.ts'
import { standingOf } from './choose-role.ts'
import { openGateway } from './gateway-client.ts'
import { readDirectory } from './postgres/certificate.ts'
import { note, print, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'
import { misleadingVariables, prepareConnection, variablesFor } from './postgres/connection.ts'
import { addWishOptions, wishAsOptions, type Wish } from './postgres/wish.ts'
import { runProgram } from './run-program.ts'

export function addPsql(program: Command): void {
  const command = program
    .command('psql')
    .summary('run psql on a PostgreSQL resource')
    .description(
      'Runs psql through the gateway that you are logged in to, with a certificate: nothing is asked. The exit code is that of psql. Where access must be asked for first, psql shows the link and waits; with --reason it is asked for at once. Without a resource, lists what you may use.',
    )
    .usage('[options] [resource[/database] [role]] [-- options of psql…]')
    .showHelpAfterError('  What is for psql goes after --: curfew psql RESOURCE -- -c "select 1". Or try --help.')
    .argument('[resource]', 'resource, or resource/database')
    .argument('[role]', 'role (default: the only one, or the only one that is open now)')
    .argument('[words...]', 'for psql, after --')
  addWishOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  curfew psql\n  curfew psql prod-db\n  curfew psql prod-db/billing readonly --reason "INC-7, wrong totals" --for 30m\n  curfew psql prod-db -- -Atc "select count(*) from orders"\n',
    )
    .action((_resource: string | undefined, _role: string | undefined, _words: string[], wish: Wish) =>
      psql(typedWords(command), wish),
    )
}

interface Typed {
  readonly own: readonly string[]
  /** What followed `--`. */
  readonly after: readonly string[]
}

/** Commander counts what follows `--` as arguments of ours. */
function typedWords(command: Command): Typed {
  const raw: readonly string[] = (command.parent as unknown as { rawArgs: string[] }).rawArgs
  const end = raw.indexOf('--')
  const after = end < 0 ? [] : raw.slice(end + 1)
  return { own: command.args.slice(0, command.args.length - after.length), after }
}

async function psql({ own, after }: Typed, wish: Wish): Promise<void> {
  const [place, role, ...more] = own
  if (place === undefined && after.length === 0) return list()
  if (place === undefined) throw new CliProblem('which resource?', { exitCode: 2, hint: 'curfew psql RESOURCE' })
  if (more.length > 0) {
    throw new CliProblem(`"${more.join(' ')}" follows resource and role`, {
      exitCode: 2,
      hint: `What is for psql goes after --: curfew psql ${place} ${role} -- ${more.join(' ')}`,
    })
  }
  const connection = await prepareConnection(place, role, 'curfew psql')
  const options = [readEnvironment()['PGOPTIONS'], wishAsOptions(wish)].filter(Boolean).join(' ')
  const environment = {
    ...Object.fromEntries(misleadingVariables.map((name) => [name, undefined])),
    ...variablesFor(connection),
    ...(options !== '' && { PGOPTIONS: options }),
  }
  const hint = 'Install the PostgreSQL client, or use another: curfew env, curfew connect.'
  process.exitCode = await runProgram({ command: 'psql', words: after, environment, hint })
}

async function list(): Promise<void> {
  const { client } = await openGateway()
  await using _ = client
  const { resources } = await readDirectory(client)
  if (resources.length === 0) return note('There is no PostgreSQL resource that you may use.')
  const rows = resources.flatMap(({ name, description, roles }) =>
    roles.map((role) => {
      const databases = role.databases.map(terminalLine).join(', ')
      return [name, role.name, databases, standingOf(role), terminalLine(role.description || description)]
    }),
  )
  print(table(['RESOURCE', 'ROLE', 'DATABASES', 'ACCESS', 'ABOUT'], rows))
}
