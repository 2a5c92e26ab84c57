import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCertificate } from '../../src/identity/ssh/certificate.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { SshResource, SshRole } from '../../src/resources/catalogue.ts'
import { Program } from '../clients/program.ts'
import { startPages } from '../web/harness.ts'
import type { Pages, SignedIn } from '../web/harness.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const hourMs = 3_600_000

const role = (name: string): SshRole => ({
  ...{ kind: 'ssh', name, description: '', login: 'deploy', key: null, allow: ['shell', 'exec'] },
  ...{ recordInput: false, recording: 'strict' },
})
const resource = (name: string, ...roles: readonly string[]): SshResource => ({
  ...{ kind: 'ssh', name, description: `Host ${name}`, labels: {}, host: '127.0.0.1', port: 22 },
  hostKeys: { fingerprints: [], knownHosts: null, authorities: [] },
  keepalives: null,
  roles: Object.fromEntries(roles.map((one) => [one, role(one)])),
})
const policy = (name: string, groups: readonly [string], resources: readonly string[]): Policy => ({
  ...{ name, who: { groups }, what: { resources, labels: {}, roles: null } },
  ...{
    length: { defaultMs: hourMs, mostMs: 8 * hourMs },
    reason: 'optional',
    ticket: null,
    approval: { kind: 'none' },
  },
})

let pages: Pages
let home: string
let caFile: string
let ada: SignedIn
beforeAll(async () => {
  pages = await startPages({
    resources: [resource('app-1', 'shell', 'root'), resource('app-2', 'shell'), resource('vault', 'root')],
    policies: [policy('hosts', ['engineering'], ['app-1', 'app-2']), policy('vault', ['security'], ['vault'])],
  })
  home = await mkdtemp(join(tmpdir(), 'curfew-ssh-'))
  caFile = join(home, 'ca.pem')
  await writeFile(caFile, pages.ca)
  ada = await pages.signIn('ada')
})
afterAll(async () => {
  await pages[Symbol.asyncDispose]()
  await rm(home, { recursive: true })
})

const at = (...names: readonly string[]) => join(home, ...names)
const keys = (who = 'ada') => at(who, 'curfew/ssh', `localhost_${pages.url.port}`)

function curfew(words: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  return new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: at('ada'), HOME: home, ...env } })
}

async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using program = curfew(words, env)
  return await program.exited()
}

async function login(...more: readonly string[]) {
  await using program = curfew(['login', '--gateway', pages.url.href, '--ca', caFile, ...more])
  const [link] = await program.until(/https:\/\/\S+\/s\/[\w-]+/)
  await ada.post(new URL(link).pathname, { answer: 'confirm' })
  return await program.exited()
}

/** A real program, to its end. */
async function tool(command: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using program = new Program(command, words, { env: { HOME: home, ...env } })
  program.endInput()
  return await program.exited()
}

async function withAgent<T>(work: (env: Readonly<Record<string, string>>) => Promise<T>): Promise<T> {
  const socket = at('agent')
  await using agent = new Program('ssh-agent', ['-D', '-a', socket])
  await agent.until(/SSH_AUTH_SOCK/)
  return await work({ SSH_AUTH_SOCK: socket })
}

describe('login', () => {
  test('makes a key that ssh reads and gets a certificate for it', async () => {
    const { status, stdout } = await login()
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(
        /^You are ada.*\nSSH certificate until 20.* UTC\.\nPostgreSQL certificate until 20.* UTC\.\n$/,
      ),
    ])
    expect((await stat(keys())).mode & 0o777).toBe(0o700)
    expect((await stat(join(keys(), 'id_ed25519'))).mode & 0o777).toBe(0o600)
    const derived = await tool('ssh-keygen', ['-y', '-P', '', '-f', join(keys(), 'id_ed25519')])
    expect(derived.stdout).toBe(await readFile(join(keys(), 'id_ed25519.pub'), 'utf8'))
    const shown = await tool('ssh-keygen', ['-L', '-f', join(keys(), 'id_ed25519-cert.pub')])
    expect(shown.stdout).toMatch(/Type: ssh-ed25519-cert-v01@openssh\.com user certificate/)
    expect(shown.stdout).toContain(
      (await tool('ssh-keygen', ['-l', '-f', join(keys(), 'id_ed25519')])).stdout.split(' ')[1],
    )
    expect(shown.stdout).toMatch(/Valid: from \S+ to \S+/)
  })

  test('--no-ssh makes none, --json says where it is', async () => {
    await rm(keys(), { recursive: true })
    expect((await login('--no-ssh', '--no-postgres')).stdout).toMatch(/^You are .*\n$/)
    expect(existsSync(keys())).toBe(false)
    const { stdout } = await login('--json')
    const told = JSON.parse(stdout.trim().split('\n')[1]!) as { ssh: Record<string, string> }
    expect(told.ssh).toMatchObject({
      key: join(keys(), 'id_ed25519'),
      expiresAt: expect.stringMatching(/Z$/) as string,
    })
  })

  test('--add-to-agent adds key and certificate for as long as it holds; logout takes them out', async () => {
    await withAgent(async (env) => {
      const { stdout, stderr } = await run(['login', '--renew', '--add-to-agent'], env)
      expect(stderr).toBe('')
      expect(stdout).toMatch(/, also in your agent\.\nPostgreSQL .*\n$/)
      const held = (await tool('ssh-add', ['-L'], env)).stdout
      expect(held).toContain('ssh-ed25519-cert-v01@openssh.com')
      expect(held).toContain((await readFile(join(keys(), 'id_ed25519.pub'), 'utf8')).split(' ')[1])
      expect(await run(['logout'], env)).toMatchObject({ status: 0 })
      expect((await tool('ssh-add', ['-L'], env)).stdout).toContain('no identities')
      expect(await readdir(keys())).toEqual(['known_hosts'])
    })
    await login()
    const { status, stderr } = await run(['login', '--renew', '--add-to-agent'], { SSH_AUTH_SOCK: at('nowhere') })
    expect([status, stderr]).toEqual([1, expect.stringContaining('curfew: the key could not be added to the agent')])
  })

  test('--renew keeps what holds, and replaces what does not, for the same key', async () => {
    const certificate = () => readFile(join(keys(), 'id_ed25519-cert.pub'), 'utf8')
    const before = await certificate()
    expect(await run(['login', '--renew'])).toMatchObject({ status: 0 })
    expect(await certificate()).toBe(before)
    await writeFile(join(keys(), 'id_ed25519-cert.pub'), 'ssh-ed25519-cert-v01@openssh.com AAAA\n')
    await run(['login', '--renew'])
    const blob = Buffer.from((await certificate()).split(' ')[1]!, 'base64')
    expect((await readFile(join(keys(), 'id_ed25519.pub'), 'utf8')).split(' ')[1]).toBe(
      readCertificate(blob).publicBlob.toString('base64'),
    )
  })
})

describe('ssh', () => {
  test('alone lists what one may use, and nothing else', async () => {
    const { stdout } = await run(['ssh'])
    expect(stdout).toMatch(/^RESOURCE +ROLE +ACCESS/)
    expect(stdout).toMatch(/\napp-1 +shell +can be asked for/)
    expect(stdout).not.toContain('vault')
  })

  test('shows what is open, and until when', async () => {
    const wish = { lengthMs: hourMs, reason: '', ticket: null, startsAt: null, origin: 'test' }
    await pages.access.ask(ada.person, { resource: 'app-2', role: 'shell', ...wish })
    expect((await run(['ssh'])).stdout).toMatch(/\napp-2 +shell +open until 20\d\d-\S+ \S+ UTC/)
  })

  test('does not let a gateway write more into its files than names and keys', async () => {
    const shell = { name: 'shell', description: '', state: 'available', startsAt: null, until: null }
    const said = {
      ...{ host: 'gw', port: 22, hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'] },
      resources: [{ name: 'x\n  ProxyCommand touch /tmp/x', description: '', roles: [shell] }],
    }
    const server = createServer((_, answer) => answer.end(JSON.stringify(said)))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await mkdir(at('eve/curfew'), { recursive: true })
    const session = { gateway, ca: null, token: 'x', person: 'eve', expiresAt: '2999-01-01T00:00:00Z' }
    await writeFile(at('eve/curfew/session.json'), JSON.stringify(session), { mode: 0o600 })
    const { status, stderr } = await run(['ssh-config'], { XDG_CONFIG_HOME: at('eve') })
    server.close()
    expect([status, stderr]).toEqual([1, expect.stringContaining('does not answer as a Curfew gateway')])
    expect(existsSync(at('eve/curfew/ssh'))).toBe(false)
  })

  test('runs ssh with the certificate, and passes options, command and exit status on', async () => {
    const folder = at('bin')
    const seen = at('seen')
    await mkdir(folder)
    await writeFile(join(folder, 'ssh'), `#!/bin/sh\nfor word; do echo "$word"; done > ${seen}\nexit 42\n`, {
      mode: 0o755,
    })
    const env = { PATH: `${folder}:${process.env['PATH']}` }
    expect(await run(['ssh', 'app-1', 'shell', '-tL', '80:x:80', '-v', '--', '-odd', 'a b'], env)).toMatchObject({
      status: 42,
    })
    const words = (await readFile(seen, 'utf8')).trim().split('\n')
    expect(words.slice(-7)).toEqual(['-tL', '80:x:80', '-v', 'shell@app-1@localhost', '--', '-odd', 'a b'])
    expect(words).toEqual(
      expect.arrayContaining(['-p', '2222', `CertificateFile=${join(keys(), 'id_ed25519-cert.pub')}`]),
    )
  })

  test('--print shows a command that ssh understands', async () => {
    const { stdout } = await run(['ssh', '--print', 'app-2'])
    expect(stdout).toMatch(/^ssh -p 2222 .* shell@app-2@localhost\n$/)
    const { stdout: read } = await tool('sh', ['-c', stdout.replace(/^ssh/, 'ssh -G')])
    expect(read).toMatch(/^user shell@app-2$/m)
    expect(read).toMatch(/^hostname localhost$/m)
    expect(read).toMatch(/^stricthostkeychecking true$/m)
    const known = await tool('ssh-keygen', ['-F', 'localhost', '-f', join(keys(), 'known_hosts')])
    expect(known.stdout).toContain('localhost ssh-ed25519 ')
  })

  test('says which roles there are, what one could have meant, and what is no option', async () => {
    expect((await run(['ssh', 'app-1'])).stderr).toMatch(
      /^curfew: app-1 has several roles: shell \(can be .*\), root .*\n {2}Say which: curfew ssh app-1 shell\n$/,
    )
    expect((await run(['ssh', 'app-3'])).stderr).toMatch(
      /^curfew: There is no resource "app-3".*\n {2}Did you mean "app-1"/,
    )
    expect((await run(['ssh', 'vault'])).stderr).toMatch(/^curfew: There is no resource "vault"/)
    expect((await run(['ssh', 'app-1', 'uptime'])).stderr).toMatch(/^curfew: There is no role "uptime"/)
    expect(await run(['ssh', 'app-1', 'shell', 'uptime'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('A command goes after --: curfew ssh RESOURCE ROLE -- uptime') as string,
    })
    expect(await run(['ssh', 'app-1', '-l', 'me'])).toMatchObject({ status: 2 })
  })
})

describe('ssh-config', () => {
  const settings = async (file: string, host: string) => {
    const { stdout } = await tool('ssh', ['-G', '-F', file, host])
    return Object.fromEntries(stdout.split('\n').map((line) => [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]))
  }

  test('prints what makes plain ssh reach each role', async () => {
    const file = at('printed')
    await writeFile(file, (await run(['ssh-config'])).stdout)
    const expected = { hostname: 'localhost', port: '2222', hostkeyalias: 'localhost', identitiesonly: 'yes' }
    expect(await settings(file, 'app-2.curfew')).toMatchObject({ ...expected, user: 'shell@app-2' })
    expect(await settings(file, 'root.app-1.curfew')).toMatchObject({
      ...expected,
      user: 'root@app-1',
      identityfile: join(keys(), 'id_ed25519'),
      certificatefile: join(keys(), 'id_ed25519-cert.pub'),
      userknownhostsfile: join(keys(), 'known_hosts'),
    })
    expect((await settings(file, 'app-1.curfew'))['user']).not.toContain('@')
    expect(await settings(file, 'app-2.example.com')).toMatchObject({ hostname: 'app-2.example.com', port: '22' })
  })

  test('--include writes it and keeps what stands in ~/.ssh/config', async () => {
    const config = at('.ssh/config')
    await mkdir(at('.ssh'))
    await writeFile(at('dotfiles'), 'Host old\n  User me\n', { mode: 0o640 })
    await symlink(at('dotfiles'), config)
    expect((await run(['ssh-config', '--write'])).stderr).toContain('Put this line at the top of')
    expect((await run(['ssh-config', '--include'])).stdout).toMatch(/^You can now use: .*\bshell\.app-1\.curfew /)
    expect((await run(['ssh-config', '--include'])).stderr).not.toContain('includes it')
    expect(await readFile(at('dotfiles'), 'utf8')).toBe('Include curfew_config\n\nHost old\n  User me\n')
    expect((await stat(at('dotfiles'))).mode & 0o777).toBe(0o640)
    expect((await stat(at('.ssh/curfew_config'))).mode & 0o777).toBe(0o600)
  })

  test('ssh renews the certificate when its time has come, and does nothing before', async () => {
    const [certificate, script] = [join(keys(), 'id_ed25519-cert.pub'), join(keys(), 'renew.sh')]
    const connect = () => tool('ssh', ['-G', '-F', at('printed'), 'app-2.curfew'])
    await rm(certificate)
    await connect()
    expect(existsSync(certificate)).toBe(false)
    await writeFile(script, (await readFile(script, 'utf8')).replace(/\d{9,}/, '0'))
    await connect()
    expect((await tool('ssh-keygen', ['-L', '-f', certificate])).status).toBe(0)
    expect(await readFile(script, 'utf8')).toMatch(/\d{9,}/)
  })
})

describe('ssh-ca', () => {
  test('prints the key that targets believe, from the gateway or its data folder', async () => {
    const { stdout } = await run(['ssh-ca', '--raw'])
    expect(stdout).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]+ curfew-ca@gw-1\n$/)
    const key = stdout.split(' ')[1]!
    expect(
      (await run(['ssh-ca', '--raw', '--gateway', pages.url.href, '--ca', caFile], { XDG_CONFIG_HOME: at('nobody') }))
        .stdout,
    ).toBe(stdout)
    expect((await run(['ssh-ca', '--data', pages.folder])).stdout).toMatch(
      new RegExp(
        `\nssh-ed25519 ${key.replaceAll('+', '\\+')} curfew-ca\n[^]*\nTrustedUserCAKeys /etc/ssh/curfew_ca\\.pub\n`,
      ),
    )
    const { status, stderr } = await run(['ssh-ca', '--data', home])
    expect([status, stderr]).toEqual([1, expect.stringMatching(/holds no SSH authority\n {2}The gateway makes it/)])
    expect(existsSync(at('keys'))).toBe(false)
  })

  test('is published for everybody, beside the host key', async () => {
    const known = await pages.stranger().get('/.well-known/curfew/ssh-known-hosts')
    expect([known.status, known.text]).toEqual([200, expect.stringMatching(/^\[localhost\]:2222 ssh-ed25519 \S+\n$/)])
    const authority = await pages.stranger().get('/.well-known/curfew/ssh-ca.pub')
    expect(authority.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(authority.text).not.toContain(known.text.trim().split(' ')[2])
  })
})

describe('the API', () => {
  const bearer = async () => {
    const { text } = await pages.identity.tokens.make(ada.person, { label: 't', kind: 'cli', lengthMs: hourMs })
    return { authorization: `Bearer ${text}` }
  }

  test('certifies keys only, and only for those who are signed in', async () => {
    const path = '/api/v1/ssh/certificate'
    const publicKey = await readFile(join(keys(), 'id_ed25519.pub'), 'utf8')
    expect((await pages.stranger().json('POST', path, { publicKey })).body).toMatchObject({ code: 'SIGN_IN_REQUIRED' })
    const [headers, privateKey] = [await bearer(), await readFile(join(keys(), 'id_ed25519'), 'utf8')]
    for (const wrong of ['', 'x', 'ssh-ed25519 AAAA', privateKey, 'x'.repeat(9000)]) {
      const { status, body } = await pages.stranger().json('POST', path, { publicKey: wrong }, headers)
      expect([status, body.code]).toEqual([422, 'INPUT_INVALID'])
    }
    const { status, body } = await pages.stranger().json('POST', path, { publicKey }, headers)
    expect([status, Date.parse(body.expiresAt) - Date.now()]).toEqual([201, expect.closeTo(hourMs, -4)])
  })

  test('slows down those who ask for very many', async () => {
    const headers = await bearer()
    const ask = () => pages.stranger().json('POST', '/api/v1/ssh/certificate', {}, headers)
    const answers = await Promise.all(Array.from({ length: 25 }, ask))
    expect(answers.map(({ body }) => body.code as string)).toContain('RATE_LIMITED')
  })
})
