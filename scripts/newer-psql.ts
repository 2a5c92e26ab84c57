// A psql that signs in by OAuth (18 or newer), beside the system's own: out of Debian's next release, from the mirror that
// this machine's apt uses already, into a folder of this checkout. Nothing is installed, and nobody has to be root.
//   node scripts/newer-psql.ts        gets it, and says how to run it
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface NewerPsql {
  readonly command: string
  /** Come before psql's own. */
  readonly args: readonly string[]
}

const majorMin = 18
const timeoutMs = 180_000
const place = join(import.meta.dirname, '../node_modules/.cache/curfew-psql')

if (import.meta.main) {
  const psql = installNewerPsql()
  process.stdout.write(psql === undefined ? '' : `${[psql.command, ...psql.args].join(' ')}\n`)
  process.exitCode = psql === undefined ? 1 : 0
}

/** Undefined when it is not there. */
export function findNewerPsql(): NewerPsql | undefined {
  const root = join(place, 'root')
  const [loader] = globSync(join(root, 'usr/lib{64,}/ld-linux-*.so.*'))
  const [program] = globSync(join(root, 'usr/lib/postgresql/*/bin/psql'))
  const [libraries] = globSync(join(root, 'usr/lib/*-linux-gnu*'))
  if (loader === undefined || program === undefined || libraries === undefined) return undefined
  // Its own loader and C library: it is linked against newer ones than the system has.
  return { command: loader, args: ['--library-path', libraries, program] }
}

/** Gets it if it is not there. Where it cannot be had, says why and goes on: what needs it is skipped then. */
export function installNewerPsql(): NewerPsql | undefined {
  if (findNewerPsql() !== undefined) return findNewerPsql()
  try {
    fetchAndUnpack()
  } catch (error) {
    process.stderr.write(`curfew: psql ${majorMin} cannot be had: ${error instanceof Error ? error.message : ''}\n`)
  }
  return findNewerPsql()
}

function fetchAndUnpack(): void {
  rmSync(place, { recursive: true, force: true })
  for (const folder of ['lists/partial', 'cache/archives/partial', 'unpacked']) {
    mkdirSync(join(place, folder), { recursive: true })
  }
  writeFileSync(join(place, 'status'), '')
  writeFileSync(join(place, 'sources.list'), sourceOf(mirror()))
  apt('apt-get', 'update')
  const client = newestClient()
  process.stderr.write(`curfew: getting ${client} beside the system's psql; this happens once\n`)
  apt('apt-get', 'install', '--download-only', '-y', '--no-install-recommends', client, 'libpq-oauth')
  for (const file of globSync(join(place, 'cache/archives/*.deb'))) {
    if (isNeeded(basename(file))) run('dpkg-deb', ['-x', file, join(place, 'unpacked')])
  }
  renameSync(join(place, 'unpacked'), join(place, 'root'))
  for (const folder of ['lists', 'cache']) rmSync(join(place, folder), { recursive: true })
}

interface Mirror {
  readonly address: string
  /** The keyring that its entry names; empty when it names none. */
  readonly signedBy: string
}

/** Where this machine's own packages come from. */
function mirror(): Mirror {
  const debian = targets().find(([origin, label]) => origin === 'Debian' && label === 'Debian')
  // Before the first update apt does not know whose they are; there the path tells.
  const [, , address, signedBy = ''] = debian ?? targets('--no-release-info').find(isDebians) ?? []
  if (address === undefined) throw new Error('apt knows no mirror of Debian')
  return { address, signedBy }
}

function targets(...options: readonly string[]): readonly (readonly string[])[] {
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SIGNED_BY)'
  const words = ['indextargets', ...options, '--format', format, 'Created-By: Packages']
  return run('apt-get', words)
    .split('\n')
    .map((line) => line.split('|'))
}

function isDebians([, , address = '']: readonly string[]): boolean {
  return /\/debian\/?$/.test(address)
}

function sourceOf({ address, signedBy }: Mirror): string {
  const options = signedBy.startsWith('/') ? `[signed-by=${signedBy}] ` : ''
  return `deb ${options}${address} testing main\n`
}

function newestClient(): string {
  const names = apt('apt-cache', 'pkgnames', 'postgresql-client-').split('\n')
  const majors = names.flatMap((name) => /^postgresql-client-(\d+)$/.exec(name)?.[1] ?? []).map(Number)
  const newest = Math.max(0, ...majors)
  if (newest < majorMin) throw new Error(`there is only version ${newest}`)
  return `postgresql-client-${newest}`
}

/** Libraries and psql itself; not Perl and what the others need to be configured. */
function isNeeded(file: string): boolean {
  return /^(?:lib|zlib1g_|postgresql-client-\d)/.test(file) && !/^lib(?:perl|c-gconv|gdbm|db5)/.test(file)
}

/** apt over folders of its own: what the system has and knows stays as it is. */
function apt(program: 'apt-get' | 'apt-cache', ...words: readonly string[]): string {
  const settings = {
    'Dir::Etc::SourceList': join(place, 'sources.list'),
    ...{ 'Dir::Etc::SourceParts': '/dev/null', 'Dir::Etc::Preferences': '/dev/null' },
    ...{ 'Dir::Etc::PreferencesParts': '/dev/null' },
    ...{ 'Dir::State::Lists': join(place, 'lists'), 'Dir::State::Status': join(place, 'status') },
    ...{ 'Dir::Cache': join(place, 'cache'), 'Debug::NoLocking': 'true', 'APT::Sandbox::User': 'root' },
    ...{ 'Acquire::Languages': 'none', 'Acquire::Retries': '3', 'Acquire::http::Timeout': '20' },
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  }
  return run(program, [...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]), ...words])
}

function run(command: string, words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8', timeout: timeoutMs })
  if (error !== undefined) throw new Error(`${command} cannot be run`, { cause: error })
  if (status !== 0) throw new Error(`${command} failed: ${lastLine(stderr)}`)
  return stdout
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
