/** Where real SSH clients are tried: the whole gateway, settings for OpenSSH, and a folder for each side (of one machine). */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256Of } from './file-hash.ts'
import { Program } from './program.ts'
import {
  startSshTestGateway,
  type SshTestGateway,
  type SshTestGatewayOptions,
  type SshTestRole,
} from '../servers/ssh-gateway.ts'

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** A file in place of what is typed; without one, nothing is. */
  readonly input?: string
  /** A file that gets standard output: for what is big, or no text. */
  readonly output?: string
  /** Default 0; null: whatever it is. */
  readonly status?: number | null
}

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const runMsMax = 60_000

export async function openSshPlace(
  roles: readonly SshTestRole[],
  options: SshTestGatewayOptions = {},
): Promise<SshPlace> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(await startSshTestGateway(options))
  for (const role of roles) await gateway.sshGrant('alice', role)
  const folders = { here: join(gateway.folder, 'here'), there: join(gateway.sshd.folder, 'there') }
  await mkdir(join(folders.here, '.ssh'), { recursive: true })
  await mkdir(folders.there, { mode: 0o777 })
  const place = new SshPlace(gateway, folders, stack.move())
  await writeSettings(place)
  return place
}

export class SshPlace implements AsyncDisposable {
  readonly gateway: SshTestGateway
  readonly #folders: { readonly here: string; readonly there: string }
  readonly #stack: AsyncDisposableStack

  constructor(
    gateway: SshTestGateway,
    folders: { readonly here: string; readonly there: string },
    stack: AsyncDisposableStack,
  ) {
    this.gateway = gateway
    this.#folders = folders
    this.#stack = stack
  }

  /** For `-F`: the host `gw` is the gateway, with Alice's key; the hosts of gateway and target are known. */
  get configFile(): string {
    return this.here('ssh_config')
  }

  /** The gateway as a known host, without patterns: for libraries, which read names one by one. In HOME's `.ssh`. */
  get knownHostsFile(): string {
    return this.here('.ssh/known_hosts')
  }

  /** A path on the client's side, in its HOME. */
  here(name: string): string {
    return join(this.#folders.here, name)
  }

  /** A path on the target's side. */
  there(name: string): string {
    return join(this.#folders.there, name)
  }

  /** Makes a file of random bytes on the client's side. */
  async file(name: string, bytes: number): Promise<{ readonly path: string; readonly sha256: string }> {
    const path = this.here(name)
    await writeFile(path, randomBytes(bytes))
    return { path, sha256: await sha256Of(path) }
  }

  /** Words of a command line, up to the target: `role@web-1@gw`. */
  ssh(role: string, ...options: readonly string[]): readonly string[] {
    return ['ssh', '-F', this.configFile, ...options, `${role}@web-1@gw`]
  }

  /** Starts it and lets it run. */
  start(words: readonly string[], { env = {}, cwd, input, output }: RunOptions = {}): Program {
    const from = input === undefined ? '' : '< "$IN"'
    const to = output === undefined ? '' : '> "$OUT"'
    return new Program('bash', ['-c', `exec "$@" ${from} ${to}`, 'bash', ...words], {
      env: { HOME: this.#folders.here, ...env, IN: input ?? '', OUT: output ?? '' },
      waitMsMax: runMsMax,
      ...(cwd !== undefined && { cwd }),
    })
  }

  /** Runs it to its end. @throws what it said, when that is not as expected. */
  async run(words: readonly string[], { status: expected = 0, ...more }: RunOptions = {}): Promise<Ran> {
    await using program = this.start(words, more)
    program.endInput()
    const ran = await program.exited()
    if (expected === null || ran.status === expected) return ran
    throw new Error(`${words.join(' ')}\nended with ${ran.status ?? ran.signal}:\n${ran.stdout}\n${ran.stderr}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

async function writeSettings(place: SshPlace): Promise<void> {
  const { sshPort, sshd, knownHostsFile } = place.gateway
  const lines = (await readFile(knownHostsFile, 'utf8')).split('\n').filter((line) => !line.startsWith('*'))
  await writeFile(place.knownHostsFile, lines.join('\n'))
  const targetHosts = place.here('target_hosts')
  await writeFile(targetHosts, `[${sshd.host}]:${sshd.port} ${sshd.hostKeys[0]}\n`)
  await writeFile(
    place.configFile,
    `
Host gw
  HostName localhost
  Port ${sshPort}
  IdentityFile ${await place.gateway.key('alice')}
Host *
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${knownHostsFile} ${targetHosts}
`,
  )
}
