import { Option } from 'commander'
import type { Command } from 'commander'
import { readEnvironment } from '../config/environment.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { note, print, printJson } from './print.ts'
import { misleadingVariables, prepareConnection, variablesFor, type Connection } from './postgres/connection.ts'
import { serviceEntry, serviceFile, writeService } from './postgres/service-file.ts'
import { asUsage } from './options.ts'
import { shellWord } from './shell-words.ts'

interface Options {
  readonly shell: keyof typeof shells
  readonly service?: true | string
  readonly write?: true
  readonly json?: true
}

export function addEnv(program: Command): void {
  program
    .command('env')
    .summary('print what PostgreSQL clients need')
    .description(
      'Prints PG* variables for a PostgreSQL resource, or an entry for pg_service.conf, and gets a certificate if the one here is near its end. Everything that uses libpq then connects as it always does: psql, pg_dump, pgbench, drivers. Variables of this shell that would lead them elsewhere are taken away.',
    )
    .showHelpAfterError('  See what there is: curfew psql. Or try --help.')
    .argument('<resource>', 'resource, or resource/database')
    .argument('[role]', 'role (default: the only one, or the only one that is open now)')
    .addOption(
      new Option('--shell <kind>', 'for which shell')
        .choices(Object.keys(shells))
        .default('posix')
        .conflicts(['service', 'json']),
    )
    .addOption(
      new Option(
        '--service [name]',
        'an entry for pg_service.conf instead (default: the name of the resource)',
      ).argParser(asUsage(serviceName)),
    )
    .option('--write', 'with --service: put it into the file, in place of an earlier one of this name')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  eval "$(curfew env prod-db readonly)" && pg_dump > shop.sql\n  curfew env prod-db --shell fish | source\n  curfew env prod-db --service shop --write && psql service=shop\n\nThe file is $PGSERVICEFILE, or ~/.pg_service.conf. Run the command again, or curfew login --renew, for a new certificate.\n',
    )
    .action(env)
}

interface Shell {
  set(name: string, value: string): string
  unset(name: string): string
}

const shells = {
  posix: {
    set: (name, value) => `export ${name}=${shellWord(value)}`,
    unset: (name) => `unset ${name}`,
  },
  // In fish a backslash counts between single quotes.
  fish: {
    set: (name, value) => `set -gx ${name} '${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`,
    unset: (name) => `set -e ${name}`,
  },
  powershell: {
    set: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
    unset: (name) => `Remove-Item Env:${name}`,
  },
} satisfies Readonly<Record<string, Shell>>

function serviceName(text: string): string {
  if (/^[\w.-]{1,63}$/.test(text)) return text
  throw new Error('expected letters, digits, "_", "." and "-"')
}

async function env(place: string, role: string | undefined, options: Options, command: Command): Promise<void> {
  if (options.write === true && options.service === undefined) {
    command.error('curfew: --write goes with --service', { exitCode: 2 })
  }
  const connection = await prepareConnection(place, role, 'curfew env')
  const { service } = options
  if (service !== undefined) return tellService(service === true ? nameOf(place) : service, connection, options)
  const variables = variablesFor(connection)
  const unset = misleadingVariables.filter((name) => readEnvironment()[name] !== undefined)
  if (options.json) return printJson({ variables, unset, certificateUntil: endOf(connection) })
  const shell: Shell = shells[options.shell]
  const lines = [
    ...unset.map((name) => shell.unset(name)),
    ...Object.entries(variables).map(([name, value]) => shell.set(name, value)),
  ]
  print(lines.join('\n'))
}

async function tellService(name: string, connection: Connection, { write, json }: Options): Promise<void> {
  const entry = serviceEntry(name, connection)
  const file = write === undefined ? null : serviceFile()
  if (file !== null) await writeService(file, name, entry)
  if (json) return printJson({ service: name, entry, file, certificateUntil: endOf(connection) })
  if (file === null) return print(entry.trimEnd())
  note(`${file} has the service ${name}.`)
  print(`psql service=${name}`)
}

function nameOf(place: string): string {
  return place.replaceAll('/', '.')
}

function endOf({ certificateEndsAtMs }: Connection): string {
  return isoTime(certificateEndsAtMs as Instant)
}
