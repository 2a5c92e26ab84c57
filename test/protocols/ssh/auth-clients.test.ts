// Goal: people come in with the clients they have, and read why when they do not.
// Method: the whole gateway with a real sshd behind it; OpenSSH, PuTTY's plink and dropbear's dbclient at terminals.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Program } from '../../clients/program.ts'
import { fingerprintOf, makeKey } from '../../servers/sshd.ts'
import { startSshTestGateway, type SshTestGateway } from '../../servers/ssh-gateway.ts'
import { atTerminal, signInFor } from './at-terminal.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let keys = 0

beforeAll(async () => {
  if (isRoot) gateway = stack.use(await startSshTestGateway())
}, 60_000)
afterAll(() => stack.disposeAsync())

async function newKey(type: 'ed25519' | 'rsa' = 'ed25519'): Promise<string> {
  const file = join(gateway.folder, `front-${++keys}`)
  await makeKey(file, type, ...(type === 'rsa' ? ['-m', 'PEM', '-b', '2048'] : []))
  return file
}

const options = (...more: readonly string[]) =>
  ['StrictHostKeyChecking=yes', `UserKnownHostsFile=${gateway.knownHostsFile}`, ...more].flatMap((one) => ['-o', one])

function ssh(key: string, user: string, ...more: readonly string[]): readonly string[] {
  const own = options('IdentitiesOnly=yes')
  return ['ssh', '-F', 'none', '-i', key, ...own, '-p', String(gateway.sshPort), '-l', user, ...more]
}

async function batch(key: string, user: string, ...command: readonly string[]) {
  const [name, ...words] = ssh(key, user, '-o', 'BatchMode=yes', 'localhost', ...command)
  await using program = new Program(name!, words)
  return await program.exited()
}

async function decide(verdict: 'approve' | 'deny', comment = ''): Promise<void> {
  const bob = await gateway.person('bob')
  const [open] = await gateway.gateway.access.toDecide(bob)
  await gateway.gateway.access.decide(bob, open!.request.id, verdict, comment)
}

describe.runIf(isRoot)('OpenSSH (needs root, as sshd does)', () => {
  test('a new key: sign in, say why, work; from then on nothing is asked and nothing said', async () => {
    const key = await newKey()
    await using first = atTerminal(ssh(key, 'typed@web-1', 'localhost', 'echo from-the-target'))
    const { page } = await signInFor(first, gateway)
    expect(page).toContain(await fingerprintOf(`${key}.pub`))
    await first.until(/signed in as alice@shop\.example/)
    await first.until(/Reason \(optional\): /)
    first.send('looking')
    await first.until(/How long\? \[1h\] /)
    first.send('30m')
    await first.until(/access to web-1 as typed until .* UTC \(30 min\)/)
    await first.until(/from-the-target/)
    expect((await first.exited()).status).toBe(0)
    const second = await batch(key, 'typed@web-1', 'echo again')
    expect(second).toMatchObject({ status: 0, stdout: 'again\n', stderr: '' })
  })

  test('a new key in BatchMode: the reason is read, and nobody is asked', async () => {
    const key = await newKey()
    const { status, stderr } = await batch(key, 'open@web-1', 'true')
    expect(status).toBe(255)
    expect(stderr).toContain(`no sign-in for key ${await fingerprintOf(`${key}.pub`)}`)
  })

  test('a known key in BatchMode without a grant: the link is read', async () => {
    const { status, stderr } = await batch(await gateway.key('alice'), 'commands@web-1', 'true')
    expect(status).toBe(255)
    expect(stderr).toMatch(/no access to web-1 as commands[\s\S]*\/ask\?resource=web-1&role=commands/)
  })

  test('an agent with many keys: the one that is known is found', async () => {
    const socket = join(gateway.folder, 'agent')
    await using agent = new Program('ssh-agent', ['-D', '-a', socket])
    await agent.until(/SSH_AUTH_SOCK/)
    const known = await gateway.key('alice')
    const files = [...(await Promise.all(Array.from({ length: 14 }, () => newKey()))), known]
    await using adding = new Program('ssh-add', ['-q', ...files], { env: { SSH_AUTH_SOCK: socket } })
    expect((await adding.exited()).status).toBe(0)
    const words = ['-F', 'none', ...options('BatchMode=yes'), '-p', String(gateway.sshPort), 'localhost', 'whoami']
    await using program = new Program('ssh', words, { env: { SSH_AUTH_SOCK: socket } })
    expect(await program.exited()).toMatchObject({ status: 0, stdout: 'alice@shop.example\n' })
  })

  test('what needs somebody waits; a refusal is read with its reason, an approval goes on', async () => {
    const key = await gateway.key('alice')
    for (const verdict of ['deny', 'approve'] as const) {
      await using program = atTerminal(ssh(key, 'asked@web-1', 'localhost', 'echo from-the-target'))
      await program.until(/Reason: /)
      program.send('the disk is full')
      await program.until(/How long\?/)
      program.send('')
      await program.until(/\/requests\/request-/)
      await decide(verdict, 'not on a Friday')
      await program.until(verdict === 'deny' ? /refused: not on a Friday/ : /from-the-target/)
      expect((await program.exited()).status).toBe(verdict === 'deny' ? 255 : 0)
    }
  })

  test('a wrong name is answered with what could have been meant', async () => {
    const { status, stderr } = await batch(await gateway.key('alice'), 'opne@web-1', 'true')
    expect(status).toBe(255)
    expect(stderr).toMatch(/There is no role "opne" that you may use\.\r?\ncurfew: Did you mean "open"\?/)
  })

  test('a certificate is enough, until it is ended: then the sign-in is what is left', async () => {
    const { identity } = gateway.gateway
    const key = await newKey()
    const person = await gateway.person('alice')
    const { token } = await identity.tokens.make(person, { label: 'laptop', kind: 'cli', lengthMs: 600_000 })
    const line = await readFile(`${key}.pub`, 'utf8')
    const { certificate } = await identity.ssh.issueCertificate({ person, token }, line)
    await writeFile(`${key}-cert.pub`, `${certificate}\n`)
    await gateway.sshGrant('alice', 'open')
    expect(await batch(key, 'open@web-1', 'echo by-certificate')).toMatchObject({
      status: 0,
      stdout: 'by-certificate\n',
    })
    await identity.own.revoke(person, token.id)
    await using program = atTerminal(ssh(key, 'open@web-1', 'localhost', 'echo by-sign-in'))
    await program.until(/curfew login/)
    await signInFor(program, gateway)
    await program.until(/by-sign-in/)
  })

  test('what another protocol leads to is not reached by ssh', async () => {
    const { status, stderr } = await batch(await gateway.key('alice'), 'readonly@prod-db', 'true')
    expect(status).toBe(255)
    expect(stderr).toMatch(/There is no SSH target "prod-db"\.\r?\n.*PostgreSQL target: psql/)
  })

  test('a sign-in that is refused on the page ends the connection with words', async () => {
    await using program = atTerminal(ssh(await newKey(), 'open@web-1', 'localhost', 'true'))
    await signInFor(program, gateway, { answer: 'refuse' })
    await program.until(/Received disconnect from .*refused/)
    expect((await program.exited()).status).toBe(255)
  })
})

describe.runIf(isRoot)('other clients (need root, as sshd does)', () => {
  test('plink: sign in, say why, work', async () => {
    const key = join(gateway.folder, 'plink.ppk')
    const source = await newKey('rsa')
    await using converting = new Program('puttygen', [source, '-o', key, '-O', 'private'])
    expect((await converting.exited()).status).toBe(0)
    const hostKey = await hostFingerprint()
    const words = ['plink', '-no-antispoof', '-hostkey', hostKey, '-i', key, '-P', String(gateway.sshPort)]
    await using program = atTerminal([...words, 'forwards@web-1@localhost', 'true'], { HOME: gateway.folder })
    await signInFor(program, gateway)
    await program.until(/Reason \(optional\): /)
    program.send('looking')
    await program.until(/How long\?/)
    program.send('')
    await program.until(/forwards does not allow commands/)
  })

  test('dbclient, which takes `role+resource`', async () => {
    const key = join(gateway.folder, 'dropbear')
    const source = await gateway.key('alice', 'rsa')
    await using converting = new Program('dropbearconvert', ['openssh', 'dropbear', source, key])
    expect((await converting.exited()).status).toBe(0)
    const words = ['dbclient', '-y', '-y', '-i', key, '-p', String(gateway.sshPort)]
    await using program = atTerminal([...words, 'certified+web-1@localhost', 'echo from-the-target'])
    await program.until(/Reason \(optional\): /)
    program.send('looking')
    await program.until(/How long\?/)
    program.send('')
    await program.until(/from-the-target/)
  })

  async function hostFingerprint(): Promise<string> {
    await using program = new Program('ssh-keygen', ['-lf', gateway.knownHostsFile])
    return /SHA256:\S+/.exec((await program.exited()).stdout)![0]
  }
})
