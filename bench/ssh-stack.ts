/** The real parts of the SSH benchmark: two sshds (a target, and one to jump over), a gateway process, a key that all take. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { issue, makeAuthority } from '../scripts/certificates.ts'
import { freePort, untilListening } from '../scripts/ports.ts'
import { startGatewayProcess, type GatewayProcess } from './stack.ts'

const run = promisify(execFile)

export interface Way {
  readonly name: 'straight' | 'jump' | 'gateway'
  /** What ssh needs to get there; sftp and scp take the same, by a configuration file. */
  readonly configFile: string
}

export interface SshStack extends AsyncDisposable {
  readonly folder: string
  readonly ways: readonly Way[]
  readonly gateway: GatewayProcess
}

export async function startSshStack(): Promise<SshStack> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-ssh-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const key = join(folder, 'key')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const target = stack.use(await startSshd(folder, 'target', key))
  const jump = stack.use(await startSshd(folder, 'jump', key))
  await writeGatewayConfig(folder, target)
  const gateway = stack.use(await startGatewayProcess(folder))
  await gateway.ask({ kind: 'grant', resource: 'bench-host', role: 'bench', lengthMs: 8 * 3_600_000 }, 'grant')
  const publicKey = await readFile(`${key}.pub`, 'utf8')
  const { certificate } = await gateway.ask({ kind: 'certificate', publicKey }, 'certificate')
  await writeFile(`${key}-cert.pub`, certificate)
  const ways = await writeWays(folder, key, target.port, jump.port, gateway.sshPort)
  const all = stack.move()
  return { folder, ways, gateway, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

interface Sshd extends AsyncDisposable {
  readonly port: number
  readonly fingerprint: string
}

async function startSshd(folder: string, name: string, key: string): Promise<Sshd> {
  await mkdir('/run/sshd', { recursive: true })
  const hostKey = join(folder, `${name}_host`)
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  const port = await freePort()
  const settings = {
    ListenAddress: `127.0.0.1:${port}`,
    HostKey: hostKey,
    PidFile: 'none',
    AuthorizedKeysFile: `${key}.pub`,
    StrictModes: 'no',
    UsePAM: 'no',
    PermitRootLogin: 'yes',
    MaxStartups: '2000',
    MaxSessions: '1000',
    LogLevel: 'ERROR',
    Subsystem: 'sftp internal-sftp',
  }
  const file = join(folder, `${name}.conf`)
  await writeFile(
    file,
    Object.entries(settings)
      .map(([word, value]) => `${word} ${value}\n`)
      .join(''),
  )
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  await untilListening(port, child)
  const { stdout } = await run('ssh-keygen', ['-l', '-f', `${hostKey}.pub`])
  return { port, fingerprint: stdout.split(' ')[1]!, [Symbol.asyncDispose]: () => stop(child) }
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill()
  await exited
}

async function writeGatewayConfig(folder: string, target: Sshd): Promise<void> {
  const authority = await makeAuthority('Curfew benchmark authority')
  const tls = await issue(authority, { names: ['localhost'] })
  await writeFile(join(folder, 'server.pem'), tls.certificate)
  await writeFile(join(folder, 'server.key'), tls.key, { mode: 0o600 })
  await writeFile(
    join(folder, 'curfew.yaml'),
    `gateway: { name: bench, publicUrl: 'https://localhost:8443', data: data, drainFor: '0' }
listen:
  web: { port: 0, tls: { certificate: server.pem, key: 'file:server.key' } }
  ssh: [{ port: 0 }]
  ops: { port: 0 }
limits: { sessionsPerPerson: 20000, unauthenticatedPerAddress: 10000, unauthenticated: 10000, handshake: 60s }
identity: { issuer: 'http://127.0.0.1:9', clientId: bench, clientSecret: 'env:BENCH_UNUSED' }
staff: { operators: [operators] }
log: { level: error }
resources:
  bench-host:
    kind: ssh
    host: 127.0.0.1
    port: ${target.port}
    hostKeys: { fingerprints: ['${target.fingerprint}'] }
    roles:
      bench: { login: root, key: 'file:key', allow: [shell, exec, sftp, forward-local] }
policies:
  - { name: bench, who: { groups: [engineers] }, what: { resources: [bench-host] }, for: { default: 1h, most: 8h }, reason: optional, approval: none }
`,
  )
}

/** Everywhere the same cipher, which is what both ends would choose by themselves between gateway and OpenSSH. */
const common = (key: string): string => `  User root
  HostName 127.0.0.1
  IdentityFile ${key}
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  Ciphers aes128-gcm@openssh.com
`

async function writeWays(
  folder: string,
  key: string,
  targetPort: number,
  jumpPort: number,
  gatewayPort: number,
): Promise<readonly Way[]> {
  const texts: Readonly<Record<Way['name'], string>> = {
    straight: `Host bench\n  Port ${targetPort}\n${common(key)}`,
    jump: `Host bench\n  Port ${targetPort}\n  ProxyJump over\n${common(key)}Host over\n  Port ${jumpPort}\n${common(key)}`,
    gateway: `Host bench\n  Port ${gatewayPort}\n  CertificateFile ${key}-cert.pub\n${common(key).replace('User root', 'User bench@bench-host')}`,
  }
  const ways = (Object.keys(texts) as Way['name'][]).map((name) => ({ name, configFile: join(folder, `${name}.ssh`) }))
  for (const { name, configFile } of ways) await writeFile(configFile, texts[name])
  return ways
}
