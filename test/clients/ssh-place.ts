/** Where real SSH clients are tried: the whole gateway, settings for OpenSSH, and a folder for each side (of one machine). */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256Of } from './file-hash.ts'
import { Program } from './program.ts'
import { startSshTestGateway, type SshTestGateway, type SshTestGatewayOptions } from '../servers/ssh-gateway.ts'

export interface SshPlace extends AsyncDisposable {
  readonly gateway: SshTestGateway
  /** For `-F`: the host `gw` is the gateway, with Alice's key; the hosts of gateway and target are known. */
  readonly configFile: string
  /** The gateway as a known host, without patterns: for libraries, which read names one by one. In HOME's `.ssh`. */
  readonly knownHostsFile: string
  /** A path on the client's side. */
  here(name: string): string
  /** A path on the target's side. */
  there(name: string): string
  /** Makes a file of random bytes on the client's side. */
  file(name: string, bytes: number): Promise<{ readonly path: string; readonly sha256: string }>
  /** Words of a command line, up to the target: `role@web-1@gw`. */
  ssh(role: string, ...options: readonly string[]): readonly string[]
  /** Starts it and lets it run. */
  start(words: readonly string[], options?: RunOptions): Program
  /** Runs it to its end. @throws what it said, when that is not as expected. */
  run(words: readonly string[], options?: RunOptions): Promise<Ran>
}

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

export async function openSshPlace(roles: readonly string[], options: SshTestGatewayOptions = {}): Promise<SshPlace> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(await startSshTestGateway(options))
  for (const role of roles) await gateway.sshGrant('alice', role as Parameters<typeof gateway.sshGrant>[1])
  const [here, there] = [join(gateway.folder, 'here'), join(gateway.sshd.folder, 'there')]
  await mkdir(here)
  await mkdir(there, { mode: 0o777 })
  const configFile = join(here, 'ssh_config')
  await writeFile(configFile, await configOf(gateway, here))
  const knownHostsFile = join(here, '.ssh/known_hosts')
  await mkdir(join(here, '.ssh'))
  const hosts = (await readFile(gateway.knownHostsFile, 'utf8')).split('\n').filter((line) => !line.startsWith('*'))
  await writeFile(knownHostsFile, hosts.join('\n'))
  const disposing = stack.move()
  const start = (words: readonly string[], { env = {}, cwd, input, output }: RunOptions = {}) => {
    const redirected = [
      'exec "$@"',
      ...(input === undefined ? [] : ['< "$IN"']),
      ...(output === undefined ? [] : ['> "$OUT"']),
    ]
    return new Program('bash', ['-c', redirected.join(' '), 'bash', ...words], {
      env: { HOME: here, ...env, IN: input ?? '', OUT: output ?? '' },
      waitMsMax: runMsMax,
      ...(cwd !== undefined && { cwd }),
    })
  }
  return {
    ...{ gateway, configFile, knownHostsFile, start },
    here: (name) => join(here, name),
    there: (name) => join(there, name),
    async file(name, bytes) {
      const path = join(here, name)
      await writeFile(path, randomBytes(bytes))
      return { path, sha256: await sha256Of(path) }
    },
    ssh: (role, ...more) => ['ssh', '-F', configFile, ...more, `${role}@web-1@gw`],
    async run(words, { status: expected = 0, ...more } = {}) {
      await using program = start(words, more)
      program.endInput()
      const ran = await program.exited()
      if (expected === null || ran.status === expected) return ran
      throw new Error(`${words.join(' ')}\nended with ${ran.status ?? ran.signal}:\n${ran.stdout}\n${ran.stderr}`)
    },
    [Symbol.asyncDispose]: () => disposing.disposeAsync(),
  }
}

async function configOf(gateway: SshTestGateway, here: string): Promise<string> {
  const { sshPort, sshd, knownHostsFile } = gateway
  const targetHosts = join(here, 'target_hosts')
  await writeFile(targetHosts, `[${sshd.host}]:${sshd.port} ${sshd.hostKeys[0]}\n`)
  return `
Host gw
  HostName localhost
  Port ${sshPort}
  IdentityFile ${await gateway.key('alice')}
Host *
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${knownHostsFile} ${targetHosts}
`
}
