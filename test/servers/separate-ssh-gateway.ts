/** A gateway in a process of its own with a real sshd behind it, `web-1`. Needs root, as sshd does. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../scripts/ports.ts'
import { openSshKeys, sshPublicLine } from '../../src/identity/ssh/keys.ts'
import { Program } from '../clients/program.ts'
import { startSeparateGateway, type SeparateGateway, type SeparateGatewayOptions } from './separate-gateway.ts'
import { makeKey, startSshd, type TestSshd } from './sshd.ts'

export interface SeparateSshGateway extends SeparateGateway {
  readonly sshd: TestSshd
  readonly sshPort: number
  /** A key of Alice's (private, OpenSSH text) and its certificate (a line), as files that ssh reads: `FILE`, `FILE-cert.pub`. */
  readonly keyFile: string
  /** The real ssh, as `open@web-1`, in BatchMode: options, then a command. */
  ssh(...args: readonly string[]): Program
}

export interface SeparateSshGatewayOptions extends SeparateGatewayOptions {
  /** The data folder; without it, one of its own that goes with it. */
  readonly data?: string
  readonly lengthMs: number
}

export async function startSeparateSshGateway(options: SeparateSshGatewayOptions): Promise<SeparateSshGateway> {
  await using stack = new AsyncDisposableStack()
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'curfew-ssh-data-')))
  if (options.data === undefined) stack.defer(() => rm(data, { recursive: true, force: true }))
  const keys = await openSshKeys(data)
  const trustedUserCa = [sshPublicLine(keys.targetAuthority, 'curfew')]
  const sshd = stack.use(await startSshd({ login: 'curfew-test', trustedUserCa, extraConfig: ['LogLevel INFO'] }))
  const sshPort = await freePort()
  const gateway = stack.use(
    await startSeparateGateway({
      ...options,
      configure: (config) => {
        config.gateway.data = data
        config.listen.ssh = [{ port: sshPort }]
        const allow = ['shell', 'exec', 'sftp', 'forward-local', 'forward-remote'] as const
        config.resources['web-1'] = {
          ...{ kind: 'ssh', host: sshd.host, port: sshd.port, hostKeys: { fingerprints: [sshd.hostKeyFingerprint] } },
          roles: { open: { login: sshd.user, allow: [...allow] } },
        }
        const [who, what] = [{ groups: ['engineering'] }, { resources: ['web-1'] }]
        config.policies.push({ name: 'web', who, what, reason: 'optional', approval: 'none' })
        options.configure?.(config)
      },
    }),
  )
  const keyFile = join(data, 'alice')
  await makeKey(keyFile, 'ed25519')
  const certificate = await gateway.enterBySsh(await readFile(`${keyFile}.pub`, 'utf8'), options.lengthMs)
  await writeFile(`${keyFile}-cert.pub`, `${certificate}\n`)
  const knownHostsFile = join(data, 'known_hosts')
  await writeFile(knownHostsFile, `[localhost]:${sshPort} ${sshPublicLine(keys.hostKey, 'gateway')}\n`)
  const settings = ['IdentitiesOnly=yes', 'BatchMode=yes', `UserKnownHostsFile=${knownHostsFile}`]
  const words = ['-F', 'none', '-i', keyFile, ...settings.flatMap((one) => ['-o', one]), '-p', String(sshPort)]
  const all = stack.move()
  return {
    ...{ ...gateway, sshd, sshPort, keyFile },
    ssh: (...args) => new Program('ssh', [...words, '-l', 'open@web-1', 'localhost', ...args]),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
