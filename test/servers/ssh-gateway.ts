/** The whole product with a real sshd behind it: `web-1`, with a role for each thing that a test may want. Needs root, as sshd does. */
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Grant } from '../../src/access/states.ts'
import { fingerprintOf as fingerprintOfBlob } from '../../src/identity/ssh/public-key.ts'
import { openSshKeys, sshPublicLine } from '../../src/identity/ssh/keys.ts'
import type { SshAllowance } from '../../src/resources/catalogue.ts'
import { freePort } from '../../scripts/ports.ts'
import { Program, type ProgramOptions } from '../clients/program.ts'
import { startTestGateway, type Login, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { makeKey, startSshd, type TestSshd, type TestSshdOptions } from './sshd.ts'

const everything: SshAllowance[] = ['shell', 'exec', 'sftp', 'forward-local', 'forward-remote', 'agent']

/** Roles of `web-1`. `open` and `certified` need nobody; `asked` needs one approver. */
const roles = {
  open: { allow: everything },
  certified: { allow: everything },
  typed: { allow: everything, recordInput: true },
  asked: { allow: everything },
  files: { allow: ['sftp'] },
  commands: { allow: ['exec'] },
  forwards: { allow: ['forward-local'] },
} as const satisfies Record<string, { readonly allow: readonly SshAllowance[]; readonly recordInput?: boolean }>
export type SshTestRole = keyof typeof roles

export interface SshTestGateway extends TestGateway {
  readonly sshd: TestSshd
  readonly sshPort: number
  readonly knownHostsFile: string
  /** A key that is bound to this person's sign-in: its private file; the same one each time. */
  key(login: Login, type?: 'ed25519' | 'ecdsa' | 'rsa'): Promise<string>
  sshGrant(login: Login, role: SshTestRole, lengthMs?: number): Promise<Grant>
  /** The real ssh, as `role@web-1` with a bound key of Alice's, in BatchMode: options, then a command. */
  ssh(role: string, args: readonly string[], options?: ProgramOptions): Promise<Program>
  /** The options that `ssh` gets there, for sftp, scp, rsync and the like; the port is not among them. */
  sshOptions(login?: Login): Promise<readonly string[]>
  /** Binds a public key file to this person's sign-in, as confirming on the page does. */
  bind(login: Login, publicKeyFile: string): Promise<void>
}

export interface SshTestGatewayOptions extends TestGatewayOptions {
  readonly sshd?: TestSshdOptions
  /** The data folder; without it, one of its own that goes with it. */
  readonly data?: string
}

export async function startSshTestGateway(options: SshTestGatewayOptions = {}): Promise<SshTestGateway> {
  await using stack = new AsyncDisposableStack()
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'curfew-ssh-data-')))
  if (options.data === undefined) stack.defer(() => rm(data, { recursive: true, force: true }))
  const keys = await openSshKeys(data)
  const sshd = stack.use(
    await startSshd({
      extraConfig: ['LogLevel INFO'],
      ...options.sshd,
      trustedUserCa: [sshPublicLine(keys.targetAuthority, 'curfew')],
    }),
  )
  await writeFile(join(data, 'login-key'), sshd.userKey, { mode: 0o600 })
  const port = await freePort()
  const base = stack.use(
    await startTestGateway({
      ...options,
      configure: (config) => {
        config.gateway.data = data
        config.listen.ssh = [{ port }]
        config.resources['web-1'] = {
          kind: 'ssh',
          description: 'The web server of the shop',
          host: sshd.host,
          port: sshd.port,
          hostKeys: { fingerprints: [sshd.hostKeyFingerprint] },
          roles: Object.fromEntries(
            Object.entries(roles).map(([name, role]) => [name, roleInput(name, role, { data, login: sshd.user })]),
          ),
        }
        const who = { groups: ['engineering'] }
        const what = (names: readonly string[]) => ({ resources: ['web-1'], roles: [...names] })
        const others = Object.keys(roles).filter((name) => name !== 'asked')
        config.policies.unshift(
          { name: 'web', who, what: what(others), reason: 'optional', approval: 'none' },
          { name: 'web, asked', who, what: what(['asked']), approval: { people: 1, from: ['approvers'] } },
        )
        options.configure?.(config)
      },
    }),
  )
  const knownHostsFile = join(data, 'known_hosts')
  const hostKey = sshPublicLine(keys.hostKey, 'gateway')
  await writeFile(knownHostsFile, `[localhost]:${port} ${hostKey}\n[127.0.0.1]:${port} ${hostKey}\n* ${hostKey}\n`)
  return sshTestGateway({ base, sshd, port, data, knownHostsFile, stack: stack.move() })
}

function roleInput(
  name: string,
  role: (typeof roles)[SshTestRole],
  { data, login }: { readonly data: string; readonly login: string },
) {
  const key = name === 'certified' ? {} : { key: `file:${join(data, 'login-key')}` }
  return { login, ...key, ...role, allow: [...role.allow] }
}

interface Parts {
  readonly base: TestGateway
  readonly sshd: TestSshd
  readonly port: number
  readonly data: string
  readonly knownHostsFile: string
  readonly stack: AsyncDisposableStack
}

function sshTestGateway({ base, sshd, port, data, knownHostsFile, stack }: Parts): SshTestGateway {
  const keys = new Map<string, Promise<string>>()
  const bind = async (login: Login, publicKeyFile: string) => {
    const [, blob = ''] = (await readFile(publicKeyFile, 'utf8')).split(' ')
    await bindKey(base, login, fingerprintOfBlob(Buffer.from(blob, 'base64')))
  }
  const key = (login: Login, type: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519') => {
    const name = `${login}-${type}`
    const made = keys.get(name) ?? makeBoundKey(join(data, name), type, (file) => bind(login, file))
    keys.set(name, made)
    return made
  }
  const sshOptions = async (login: Login = 'alice') => [
    ...['-F', 'none', '-i', await key(login)],
    ...[
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${knownHostsFile}`,
    ].flatMap((option) => ['-o', option]),
  ]
  return Object.assign(Object.create(base) as TestGateway, {
    sshd,
    sshPort: port,
    knownHostsFile,
    key,
    bind,
    sshOptions,
    sshGrant: (login: Login, role: SshTestRole, lengthMs = 3_600_000) => grant(base, login, role, lengthMs),
    ssh: async (role: string, args: readonly string[], options?: ProgramOptions) =>
      new Program(
        'ssh',
        [...(await sshOptions()), '-p', String(port), '-l', `${role}@web-1`, 'localhost', ...args],
        options,
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  })
}

async function makeBoundKey(
  file: string,
  type: 'ed25519' | 'ecdsa' | 'rsa',
  bind: (publicKeyFile: string) => Promise<void>,
): Promise<string> {
  // Old programs (dropbear's converter, PuTTY's) read RSA keys in PEM only.
  await makeKey(file, type, ...(type === 'rsa' ? ['-m', 'PEM', '-b', '2048'] : []))
  await chmod(file, 0o600)
  await copyFile(`${file}.pub`, `${file}.bound.pub`)
  await bind(`${file}.bound.pub`)
  return file
}

async function bindKey(base: TestGateway, login: Login, keyFingerprint: string): Promise<void> {
  const { identity, state } = base.gateway
  const person = await base.person(login)
  const sessions = await state.identity.browserSessionsOf(person.id)
  const browserSession = sessions
    .filter(({ endedAt }) => endedAt === null)
    .toSorted((left, right) => right.createdAt - left.createdAt)[0]!
  const address = '127.0.0.1'
  const asks = { purpose: 'ssh', address, application: 'OpenSSH', resource: 'web-1', role: 'open' } as const
  const signIn = await identity.inBand.begin({ ...asks, secretHash: null, keyFingerprint })
  await identity.inBand.confirm(signIn, { person, browserSession }, { address }, true)
}

async function grant(base: TestGateway, login: Login, role: SshTestRole, lengthMs: number): Promise<Grant> {
  const { access } = base.gateway
  const asker = await base.person(login)
  const wish = { resource: 'web-1', role, lengthMs, reason: 'a test', ticket: null, startsAt: null, origin: 'test' }
  const request = await access.ask(asker, wish)
  if (role === 'asked') await access.decide(await base.person('bob'), request.id, 'approve', '')
  const found = (await access.livingGrants(asker.id)).find((one) => one.request === request.id)
  if (found === undefined) throw new Error(`no grant came of ${request.id}`)
  return found
}
