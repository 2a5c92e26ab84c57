/** A real OpenSSH server for tests: keys of its own, in a temporary folder, on a free port. Needs root, as sshd does. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { freePort } from '../../scripts/ports.ts'

const run = promisify(execFile)

export interface TestSshd extends AsyncDisposable {
  /** `127.0.0.1` */
  readonly host: string
  readonly port: number
  /** The login that may come in. */
  readonly user: string
  readonly folder: string
  /** Of its Ed25519 key: `SHA256:…` */
  readonly hostKeyFingerprint: string
  /** `ssh-ed25519 AAAA…`, one per host key. */
  readonly hostKeys: readonly string[]
  /** A private key (OpenSSH text) that is let in, and the file that holds it; its public half is beside it (`.pub`). */
  readonly userKey: string
  readonly userKeyFile: string
  /** Command lines of everything that its connections run now, their own processes included. */
  running(): Promise<readonly string[]>
  /** Bytes that its connections have read and written so far, files and sockets together. */
  traffic(): Promise<number>
  /** What the server wrote so far. */
  log(): string
  /** Waits until the log holds `text`. */
  untilLogged(text: string): Promise<void>
}

export interface TestSshdOptions {
  /**
   * Who may come in: root, who runs the test, or (the default is root) an ordinary account, which is made once and stays.
   * sshd passes signals on to the programs of an ordinary account only (privilege separation).
   */
  readonly login?: 'root' | 'curfew-test'
  /** Further public keys that are let in. */
  readonly authorizedKeys?: readonly string[]
  /** Public keys of authorities whose user certificates are believed. */
  readonly trustedUserCa?: readonly string[]
  /** Signs a host certificate over the Ed25519 key: a private key file of the authority, and the names in it. */
  readonly hostCertificate?: {
    readonly authorityFile: string
    readonly principals: readonly string[]
    /** As for `ssh-keygen -V`. Default: an hour around now. */
    readonly validity?: string
    /** Further arguments for ssh-keygen. */
    readonly more?: readonly string[]
  }
  /** Default: Ed25519 alone. */
  readonly hostKeyTypes?: readonly ('ed25519' | 'ecdsa' | 'rsa')[]
  readonly extraConfig?: readonly string[]
  /** The server program. Default: `/usr/sbin/sshd`. */
  readonly program?: string
}

const attemptsMax = 5

/** @returns when it listens. Disposing ends it, its sessions and their programs, and removes its folder. */
export async function startSshd(options: TestSshdOptions = {}): Promise<TestSshd> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-sshd-'))
  try {
    await mkdir('/run/sshd', { recursive: true })
    const user = options.login ?? 'root'
    if (user !== 'root') await makeAccount(user, folder)
    const hostKeyFiles = await makeHostKeys(folder, options)
    const userKeyFile = join(folder, 'user')
    await makeKey(userKeyFile, 'ed25519')
    const { program, port } = await startServer(folder, hostKeyFiles, userKeyFile, options)
    const hostKeys = await Promise.all(hostKeyFiles.map((file) => publicKeyOf(file)))
    return {
      host: '127.0.0.1',
      port,
      user,
      folder,
      hostKeyFingerprint: await fingerprintOf(`${hostKeyFiles[0]}.pub`),
      hostKeys,
      userKey: await readFile(userKeyFile, 'utf8'),
      userKeyFile,
      running: () => program.running(),
      traffic: () => program.traffic(),
      log: () => program.text,
      untilLogged: (text) => program.until(text),
      [Symbol.asyncDispose]: async () => {
        await program.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Makes a key pair without a passphrase: `file` and `file.pub`. */
export async function makeKey(file: string, type: 'ed25519' | 'ecdsa' | 'rsa', ...more: string[]): Promise<void> {
  await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test', '-f', file, ...more])
}

/** `ssh-ed25519 AAAA…` of the key pair in `file`. */
export async function publicKeyOf(file: string): Promise<string> {
  const [type, blob] = (await readFile(`${file}.pub`, 'utf8')).split(' ')
  return `${type} ${blob!.trim()}`
}

/** `SHA256:…` of a public key file. */
export async function fingerprintOf(publicFile: string): Promise<string> {
  const { stdout } = await run('ssh-keygen', ['-l', '-f', publicFile])
  return stdout.split(' ')[1]!
}

/** sshd reads the keys and programs write below the folder as that account. */
async function makeAccount(name: string, folder: string): Promise<void> {
  const isThere = await run('id', [name]).then(
    () => true,
    () => false,
  )
  // `*` is no password, but no locked account either.
  if (!isThere)
    await run('useradd', ['--no-create-home', '--home-dir', '/tmp', '--shell', '/bin/bash', '-p', '*', name])
  await run('chown', [name, folder])
}

async function makeHostKeys(folder: string, options: TestSshdOptions): Promise<string[]> {
  const types = options.hostKeyTypes ?? ['ed25519']
  const files = types.map((type) => join(folder, `host_${type}`))
  await Promise.all(types.map((type, index) => makeKey(files[index]!, type)))
  const wish = options.hostCertificate
  if (wish !== undefined) {
    const validity = wish.validity ?? '-30m:+30m'
    const naming = ['-h', '-I', 'test host', '-n', wish.principals.join(','), '-V', validity, ...(wish.more ?? [])]
    await run('ssh-keygen', ['-q', '-s', wish.authorityFile, ...naming, ...files.map((file) => `${file}.pub`)])
  }
  return files
}

async function writeConfig(
  folder: string,
  hostKeys: string[],
  userKey: string,
  port: number,
  options: TestSshdOptions,
) {
  const authorized = [await publicKeyOf(userKey), ...(options.authorizedKeys ?? [])]
  await writeFile(join(folder, 'authorized'), `${authorized.join('\n')}\n`)
  await writeFile(join(folder, 'user_ca'), `${(options.trustedUserCa ?? []).join('\n')}\n`)
  const lines = [
    ...(options.extraConfig ?? []), // of two that say otherwise, the first counts
    `ListenAddress 127.0.0.1:${port}`,
    `PidFile none`,
    `AuthorizedKeysFile ${join(folder, 'authorized')}`,
    `TrustedUserCAKeys ${join(folder, 'user_ca')}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PrintMotd no',
    'PrintLastLog no',
    'UseDNS no',
    'MaxStartups 500',
    'MaxSessions 500',
    'AcceptEnv *',
    'PermitTunnel no',
    'LogLevel VERBOSE',
    ...hostKeys.map((file) => `HostKey ${file}`),
    ...(options.hostCertificate === undefined ? [] : hostKeys.map((file) => `HostCertificate ${file}-cert.pub`)),
    ...((options.extraConfig ?? []).some((line) => line.startsWith('Subsystem sftp'))
      ? []
      : ['Subsystem sftp internal-sftp']),
  ]
  await writeFile(join(folder, 'sshd_config'), `${lines.join('\n')}\n`)
}

async function startServer(folder: string, hostKeys: string[], userKey: string, options: TestSshdOptions) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    await writeConfig(folder, hostKeys, userKey, port, options)
    const program = new Program(options.program ?? '/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')])
    try {
      await program.until('Server listening on')
      return { program, port }
    } catch (error) {
      await program.stop()
      // Somebody may have taken the port since we looked.
      if (attempt === attemptsMax || !program.text.includes('Address already in use')) throw error
    }
  }
}

class Program {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  #lines: string[] = []
  #waiting = new Set<() => void>()
  #isOver = false

  constructor(program: string, args: string[]) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#exit = new Promise((resolve) => this.#child.once('exit', resolve).once('error', resolve))
    createInterface(this.#child.stderr!).on('line', (line) => {
      this.#lines.push(line)
      this.#wake()
    })
    void this.#exit.then(() => {
      this.#isOver = true
      this.#wake()
    })
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  async running(): Promise<readonly string[]> {
    const { pid } = this.#child
    const lines = (pid === undefined ? [] : await descendantsOf(pid)).map((one) =>
      readFile(`/proc/${one}/cmdline`, 'utf8').catch(() => ''),
    )
    return (await Promise.all(lines)).map((line) => line.replaceAll('\0', ' ').trim()).filter(Boolean)
  }

  async traffic(): Promise<number> {
    const { pid } = this.#child
    const counts = (pid === undefined ? [] : await descendantsOf(pid)).map(async (one) => {
      const io = await readFile(`/proc/${one}/io`, 'utf8').catch(() => '') // it ended while we looked
      return [...io.matchAll(/^[rw]char: (\d+)$/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
    })
    return (await Promise.all(counts)).reduce((sum, bytes) => sum + bytes, 0)
  }

  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      if (this.#isOver) throw new Error(`sshd ended without saying "${text}":\n${this.text}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** Each connection is a process of its own session, which outlives the listener unless it is ended by itself. */
  async stop(): Promise<void> {
    const { pid } = this.#child
    const descendants = pid === undefined ? [] : await descendantsOf(pid)
    this.#child.kill('SIGKILL')
    for (const descendant of descendants) end(descendant)
    if (!this.#isOver) await this.#exit
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}

async function descendantsOf(pid: number): Promise<number[]> {
  const parents = await parentsOfAll()
  const found = [pid]
  // `found` grows while it is walked: children of children come, too.
  for (const ancestor of found) {
    for (const [child, parent] of parents) if (parent === ancestor) found.push(child)
  }
  return found.slice(1)
}

async function parentsOfAll(): Promise<Map<number, number>> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/u.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => undefined) // it ended while we looked
    // The program's name stands in brackets and may hold anything; the parent is the second field behind it.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  return parents
}
