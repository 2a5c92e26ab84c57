import { homedir } from 'node:os'
import { join } from 'node:path'
import { readFile, realpath, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { openGateway } from './gateway-client.ts'
import { note, print } from './print.ts'
import { writePrivateFile } from './private-file.ts'
import { certificateFor, readDirectory } from './ssh/certificate.ts'
import { writeKnownHosts } from './ssh/files.ts'
import type { Directory, SshFiles } from './ssh/files.ts'
import { quoted, settingsFor } from './ssh/settings.ts'

interface Options {
  readonly write?: true
  readonly include?: true
}

export function addSshConfig(program: Command): void {
  program
    .command('ssh-config')
    .summary('let plain ssh, scp, git, Ansible use it')
    .description(
      'Prints an ssh_config block with a host RESOURCE.curfew (or ROLE.RESOURCE.curfew where there are several roles) for everything that you may use. With it plain ssh, scp, rsync, git, Ansible and editors go through the gateway, and the certificate is renewed by itself while your session lasts.',
    )
    .option('--write', 'write it to ~/.ssh/curfew_config instead')
    .option('--include', 'write it, and include it at the top of ~/.ssh/config')
    .addHelpText('after', '\nExamples:\n  curfew ssh-config --include\n  ssh web-1.curfew\n')
    .action(sshConfig)
}

async function sshConfig({ write, include }: Options): Promise<void> {
  const { session, client } = await openGateway()
  await using _ = client
  const directory = await readDirectory(client)
  const { files } = await certificateFor(client, session)
  await writeKnownHosts(files, directory)
  const block = configBlock(directory, files)
  if (write === undefined && include === undefined) return print(block.trimEnd())
  await writeBlock(block, include === true)
  const hosts = hostsOf(directory).flatMap(([names]) => names.slice(0, 1))
  const more = hosts.length > namesMax ? ` and ${hosts.length - namesMax} more` : ''
  const said = `You can now use: ${hosts.slice(0, namesMax).join(' ')}${more}`
  print(hosts.length === 0 ? 'There is no SSH resource that you may use.' : said)
}

const namesMax = 10
const includeLine = 'Include curfew_config'

async function writeBlock(block: string, isIncluded: boolean): Promise<void> {
  const folder = join(homedir(), '.ssh')
  const file = join(folder, 'curfew_config')
  const config = join(folder, 'config')
  await writePrivateFile(file, block)
  note(`${file} is written.`)
  const text = await readFile(config, 'utf8').catch(absent)
  if (text !== undefined && /^[ \t]*Include[ \t=].*\bcurfew_config\b/im.test(text)) return
  if (!isIncluded) return note(`Put this line at the top of ${config}, before any Host: ${includeLine}`)
  await insertInclude(config, text)
  note(`${config} includes it.`)
}

/** At the top: below a Host line it would count for that host only. A link stays a link, and the mode stays. */
async function insertInclude(config: string, text: string | undefined): Promise<void> {
  if (text === undefined) return writePrivateFile(config, `${includeLine}\n`)
  const file = await realpath(config)
  await writePrivateFile(file, `${includeLine}\n\n${text}`, (await stat(file)).mode & 0o777)
}

/** Names and what they stand for. A role's own name stays when the resource gets a second role. */
function hostsOf({ resources }: Directory): readonly (readonly [readonly string[], string])[] {
  return resources.flatMap(({ name, roles }) =>
    roles.map((role) => {
      const own = `${role.name}.${name}.curfew`
      return [roles.length === 1 ? [`${name}.curfew`, own] : [own], `${role.name}@${name}`] as const
    }),
  )
}

function configBlock(directory: Directory, files: SshFiles): string {
  const shared = settingsFor(directory, files).map(([name, value]) => `  ${name} ${value}\n`)
  const hosts = hostsOf(directory).map(([names, user]) => `Host ${names.join(' ')}\n  User ${user}\n`)
  return [
    '# Made by curfew ssh-config; changes are lost when it is made again.',
    '# Gets a new certificate when this one is near its end. Without it the certificate holds as long as it holds.',
    `Match originalhost *.curfew exec "sh ${shellQuoted(files.renew)} 2>/dev/null"`,
    'Host *.curfew',
    shared.join('').trimEnd(),
    ...hosts.map((host) => host.trimEnd()),
    '',
  ].join('\n')
}

/** Within the double quotes of ssh_config. */
function shellQuoted(path: string): string {
  return quoted(path) === path ? path : `'${path}'`
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
