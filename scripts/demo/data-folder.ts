import { randomBytes, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { issue, makeAuthority } from '../certificates.ts'
import { files } from './configuration.ts'
import { shopLogins, type ShopPasswords } from './shop.ts'

/** Something that the person at the keyboard can mend: shown without a stack trace. */
export class DemoProblem extends Error {
  override readonly name = 'DemoProblem'
}

export interface DemoFolder extends AsyncDisposable {
  readonly path: string
  readonly caFile: string
  readonly ca: string
  readonly certificate: string
  readonly key: string
  readonly clientSecret: string
  readonly superuserPassword: string
  readonly passwords: ShopPasswords
}

// Makes sure that nothing but a demo's own folder is ever cleared.
const marker = '.curfew-demo'
const lockFile = 'demo.pid'
const dayMs = 86_400_000
/** Browsers take no wildcard for `*.localhost`. */
const names = ['localhost', 'board.localhost', '127.0.0.1', '::1'] as const

/**
 * Opens the demo's data folder for this process alone; makes it, its secrets and certificates where they are missing.
 * @param path absolute.
 * @throws DemoProblem when it is in use, or holds something else.
 */
export async function openDataFolder(path: string, options: { reset: boolean }): Promise<DemoFolder> {
  await claim(path)
  if (options.reset) await clear(path)
  await mkdir(join(path, 'secrets'), { recursive: true, mode: 0o700 })
  const unlock = await lock(path)
  try {
    const secret = (name: string) => keptSecret(join(path, 'secrets', name))
    const passwords = await Promise.all(shopLogins.map(async (login) => [login, await secret(login)] as const))
    return {
      path,
      caFile: join(path, files.ca),
      ...(await certificates(path)),
      clientSecret: await secret('oidc-client-secret'),
      superuserPassword: await secret('postgres'),
      passwords: Object.fromEntries(passwords) as ShopPasswords,
      [Symbol.asyncDispose]: unlock,
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

/** An empty folder becomes ours; a folder with other things in it never does. */
async function claim(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
    const names = await readdir(path)
    if (names.length > 0 && !names.includes(marker)) {
      throw new DemoProblem(`${path} holds other things. Choose an empty folder with --data FOLDER.`)
    }
    await writeFile(join(path, marker), 'Data of the Curfew demo. It may be deleted when no demo runs.\n')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'ENOTDIR' && code !== 'EEXIST')
      throw error
    throw new DemoProblem(`${path} cannot be written (${code}). Choose another folder with --data FOLDER.`)
  }
}

async function clear(path: string): Promise<void> {
  await refuseIfRunning(path)
  for (const name of await readdir(path)) {
    if (name !== marker) await rm(join(path, name), { recursive: true, force: true })
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  await refuseIfRunning(path)
  const file = join(path, lockFile)
  // Left by a demo that was killed.
  await rm(file, { force: true })
  await using handle = await open(file, 'wx')
  await handle.writeFile(`${process.pid}\n`)
  return () => rm(file, { force: true })
}

async function refuseIfRunning(path: string): Promise<void> {
  const text = await readFile(join(path, lockFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const processId = Number(text)
  if (processId > 0 && processId !== process.pid && (await isDemo(processId))) {
    throw new DemoProblem(
      `A demo already runs with ${path} (process ${processId}). Stop it, or choose another folder with --data FOLDER.`,
    )
  }
}

async function isDemo(processId: number): Promise<boolean> {
  try {
    process.kill(processId, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  // Process ids are used again; Linux can tell what runs, elsewhere any process counts.
  if (!existsSync('/proc/self/cmdline')) return true
  const command = await readFile(`/proc/${processId}/cmdline`, 'utf8').catch(() => '')
  return command.includes('scripts/demo/')
}

async function keptSecret(file: string): Promise<string> {
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim()
  const secret = randomBytes(24).toString('base64url')
  await writePrivate(file, `${secret}\n`)
  return secret
}

/** The same for as long as they are good, so that an authority that a browser was told to trust stays the same. */
async function certificates(path: string): Promise<Pick<DemoFolder, 'ca' | 'certificate' | 'key'>> {
  const [caFile, certificateFile, keyFile] = [
    join(path, files.ca),
    join(path, files.certificate),
    join(path, files.key),
  ]
  if (!(await isGood(certificateFile))) {
    const authority = await makeAuthority(`Curfew demo ${randomBytes(3).toString('hex')}`)
    const server = await issue(authority, { names })
    await writeFile(caFile, authority.certificate)
    await writePrivate(keyFile, server.key)
    // Last, because it says that the other two are there.
    await writeFile(certificateFile, server.certificate)
  }
  return {
    ca: await readFile(caFile, 'utf8'),
    certificate: await readFile(certificateFile, 'utf8'),
    key: await readFile(keyFile, 'utf8'),
  }
}

/** Lasts for a while, and has every name; one from before there was a web application has not. */
async function isGood(certificateFile: string): Promise<boolean> {
  if (!existsSync(certificateFile)) return false
  const certificate = new X509Certificate(await readFile(certificateFile))
  const lasts = Date.parse(certificate.validTo) - Date.now() > 7 * dayMs
  return lasts && names.every((name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)))
}

async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await rm(file, { force: true })
  await writeFile(file, text, { mode: 0o600 })
}
