import type { Command } from 'commander'
import { chooseRole, standingOf } from './choose-role.ts'
import { openGateway } from './gateway-client.ts'
import { note, print, table } from './print.ts'
import { shellWord } from './shell-words.ts'
import { certificateFor, readDirectory } from './ssh/certificate.ts'
import { writeKnownHosts } from './ssh/files.ts'
import type { Directory, SshFiles } from './ssh/files.ts'
import { runSsh } from './ssh/run.ts'
import { readSshWords } from './ssh/words.ts'
import type { SshWords } from './ssh/words.ts'
import { settingsFor } from './ssh/settings.ts'
import { terminalLine } from './terminal-text.ts'

export function addSsh(program: Command): void {
  program
    .command('ssh')
    .summary('connect to an SSH resource')
    .description(
      'Runs ssh through the gateway that you are logged in to, with a certificate that is renewed by itself. The exit code is that of ssh. Without a resource, lists what you may use.',
    )
    .usage('[--print] [resource [role]] [options of ssh…] [-- command…]')
    .argument('[words...]', 'resource; role, where there are several; what ssh takes: -L, -R, -D, -A, -N, -t, -v, -o …')
    .option('--print', 'print the command instead of running it')
    .passThroughOptions()
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nExamples:\n  curfew ssh web-1\n  curfew ssh web-1 shell -- uptime\n  curfew ssh web-1 shell -N -L 8080:localhost:80\n',
    )
    .action(ssh)
}

async function ssh(typed: readonly string[], { print: isPrinted }: { print?: true }): Promise<void> {
  const words = readSshWords(typed)
  const command = await prepare(words)
  if (command === undefined) return
  if (isPrinted === true || words.isPrinted) print(['ssh', ...command].map(shellWord).join(' '))
  else process.exitCode = await runSsh(command)
}

/** Everything that needs the gateway's pages; undefined when a list was all that was wanted. */
async function prepare({ resource, role, options, command }: SshWords): Promise<readonly string[] | undefined> {
  const { session, client } = await openGateway()
  await using _ = client
  const directory = await readDirectory(client)
  if (resource === undefined) {
    list(directory)
    return undefined
  }
  const { name: chosen } = chooseRole(directory.resources, resource, role, 'curfew ssh')
  const { files } = await certificateFor(client, session)
  await writeKnownHosts(files, directory)
  const target = `${chosen}@${resource}@${directory.host}`
  return [...connection(directory, files), ...options, target, ...(command.length === 0 ? [] : ['--', ...command])]
}

function connection(directory: Directory, files: SshFiles): readonly string[] {
  const settings = settingsFor(directory, files).filter(([name]) => name !== 'HostName' && name !== 'Port')
  return ['-p', String(directory.port), ...settings.flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

function list({ resources }: Directory): void {
  if (resources.length === 0) return note('There is no SSH resource that you may use.')
  const rows = resources.flatMap(({ name, description, roles }) =>
    roles.map((role) => [name, role.name, standingOf(role), terminalLine(role.description || description)]),
  )
  print(table(['RESOURCE', 'ROLE', 'ACCESS', 'ABOUT'], rows))
}
