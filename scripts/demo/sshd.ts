/** Runs a stock sshd of its own in one folder, for the account that runs this: certificates only, gone when its starter is gone. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, untilListening } from '../ports.ts'
import { supervised } from './supervisor.ts'

export interface SshdOptions {
  /** The server program. */
  readonly program: string
  /** Holds keys, `sshd_config` and `sshd.log`; made if missing, used again if it is there. */
  readonly folder: string
  /** Where shells and SFTP begin. */
  readonly home: string
  /** `ssh-ed25519 AAAA…`: whose user certificates are believed. */
  readonly userAuthority: string
}

export interface RunningSshd extends AsyncDisposable {
  /** Always `localhost`. */
  readonly host: string
  readonly port: number
  /** The one account that may come in: whoever runs this. */
  readonly login: string
  readonly home: string
  /** `SHA256:…` */
  readonly hostKeyFingerprint: string
  /** False where it runs commands and SFTP, but no terminals. */
  readonly hasTerminals: boolean
}

interface Place extends SshdOptions {
  readonly login: string
  readonly hostKeyFile: string
  readonly configFile: string
  readonly logFile: string
}

const run = promisify(execFile)
const stopMsMax = 5000
const attemptsMax = 5

/** The sshd on PATH. `npm run` adds /usr/sbin, where Debian has it. */
export function findSshd(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => join(folder, 'sshd')).find((file) => existsSync(file))
}

/**
 * Starts sshd as root or as an ordinary user; either way only that account can come in.
 * @throws Error with what sshd said when it does not start.
 */
export async function startSshd(options: SshdOptions): Promise<RunningSshd> {
  const place = await prepare(options)
  const facts = { hostKeyFingerprint: await fingerprintOf(place.hostKeyFile), hasTerminals: await mayOwnTerminals() }
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    await writeFile(place.configFile, configText(place, port))
    const stop = await startServer(place, port, attempt === attemptsMax)
    if (stop === undefined) continue
    const { login, home } = place
    return { host: 'localhost', port, login, home, ...facts, [Symbol.asyncDispose]: stop }
  }
}

async function prepare(options: SshdOptions): Promise<Place> {
  const { folder, userAuthority } = options
  const at = (name: string) => join(folder, name)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // Debian's sshd wants this folder when root runs it; packages and init scripts make it elsewhere.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true })
  await writeFile(at('user_ca.pub'), `${userAuthority}\n`)
  const hostKeyFile = at('host_ed25519')
  if (!existsSync(hostKeyFile)) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', hostKeyFile])
  const { username: login } = userInfo()
  return { ...options, login, hostKeyFile, configFile: at('sshd_config'), logFile: at('sshd.log') }
}

async function fingerprintOf(hostKeyFile: string): Promise<string> {
  const { stdout } = await run('ssh-keygen', ['-l', '-E', 'sha256', '-f', `${hostKeyFile}.pub`])
  return stdout.split(' ')[1]!
}

/**
 * sshd gives each terminal to the group `tty`. Where /dev/pts is not mounted for that group, as in some virtual
 * machines, only root can.
 */
async function mayOwnTerminals(): Promise<boolean> {
  const mounts = '/proc/self/mounts'
  if (process.getuid?.() === 0 || !existsSync(mounts)) return true
  const [, group] = /^tty:[^:]*:(\d+):/m.exec(await readFile('/etc/group', 'utf8')) ?? []
  const [mounted = ''] = /^\S+ \/dev\/pts devpts .*$/m.exec(await readFile(mounts, 'utf8')) ?? []
  return group === undefined || mounted.includes(`gid=${group}`)
}

/** @see sshd_config(5) */
function configText({ folder, home, login, hostKeyFile }: Place, port: number): string {
  return [
    `ListenAddress localhost:${port}`,
    `HostKey ${quoted(hostKeyFile)}`,
    `TrustedUserCAKeys ${quoted(join(folder, 'user_ca.pub'))}`,
    `AllowUsers ${quoted(login)}`,
    'AuthenticationMethods publickey',
    'AuthorizedKeysFile none',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    // An ordinary user may not ask PAM, and the data folder may lie where others can write.
    'UsePAM no',
    'StrictModes no',
    'PidFile none',
    'LogLevel ERROR',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'AcceptEnv LANG LC_*',
    `SetEnv ${quoted(`HOME=${home}`)}`,
    `Subsystem sftp internal-sftp${sftpStart(home)}`,
    '',
  ].join('\n')
}

/** sshd splits this at spaces and knows no quotes here; SFTP then begins in the account's own home. */
function sftpStart(home: string): string {
  return /\s/.test(home) ? '' : ` -d ${home}`
}

function quoted(word: string): string {
  return `"${word.replaceAll(/[\\"]/g, String.raw`\$&`)}"`
}

/** @returns what stops it; undefined when somebody else took the port meanwhile and that may be tried again. */
async function startServer(place: Place, port: number, isLast: boolean): Promise<(() => Promise<void>) | undefined> {
  await using log = await open(place.logFile, 'w', 0o600)
  const [shell = '', ...words] = supervised('TERM', 'sshd', [place.program, '-D', '-e', '-f', place.configFile])
  const child = spawn(shell, words, { cwd: place.folder, detached: true, stdio: ['pipe', log.fd, log.fd] })
  const exited = once(child, 'exit')
  try {
    await untilListening(port, child)
  } catch (error) {
    await stop(child, exited)
    const said = (await readFile(place.logFile, 'utf8')).trim()
    if (!isLast && said.includes('Address already in use')) return undefined
    throw new Error(`sshd did not start in ${place.folder}:\n${said || 'It said nothing.'}`, { cause: error })
  }
  child.unref()
  return () => stop(child, exited)
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.ref()
  child.stdin?.end()
  const patience = new AbortController()
  const late = sleep(stopMsMax, undefined, { signal: patience.signal }).then(
    () => process.kill(-child.pid!, 'SIGKILL'),
    () => undefined, // it stopped in time
  )
  await exited
  patience.abort()
  await late
}
