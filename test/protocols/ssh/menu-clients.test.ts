// Goal: a bare `ssh gw` leads on: to the menu at a terminal, to a target by choice or by jump, to words for scripts.
// Method: the whole gateway with a real sshd behind it; the real ssh.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Program } from '../../clients/program.ts'
import { startSshTestGateway, type SshTestGateway } from '../../servers/ssh-gateway.ts'
import { atTerminal, signInFor } from './at-terminal.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let configFile: string
/** Of the target; as long as there is one. */
let bannerFile: string

beforeAll(async () => {
  if (!isRoot) return
  const folder = await mkdtemp(join(tmpdir(), 'curfew-banner-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  bannerFile = join(folder, 'banner')
  gateway = stack.use(await startSshTestGateway({ sshd: { extraConfig: ['LogLevel INFO', `Banner ${bannerFile}`] } }))
  await gateway.sshGrant('alice', 'open')
  configFile = join(gateway.folder, 'ssh_config')
  const shared = `StrictHostKeyChecking yes\n  UserKnownHostsFile ${gateway.knownHostsFile}\n  IdentitiesOnly yes`
  const key = await gateway.key('alice')
  await writeFile(
    configFile,
    `Host gw\n  HostName localhost\n  Port ${gateway.sshPort}\n  User alice\nHost *\n  ${shared}\n  IdentityFile ${key}\n`,
  )
}, 60_000)
afterAll(() => stack.disposeAsync())

const ssh = (...words: readonly string[]) => ['-F', configFile, ...words]

async function batch(...words: readonly string[]) {
  await using program = new Program('ssh', ssh('-o', 'BatchMode=yes', ...words))
  return await program.exited()
}

describe.runIf(isRoot)('the menu (needs root, as sshd does)', () => {
  test('a choice goes on as a shell of the target, with its terminal and its exit status', async () => {
    await writeFile(bannerFile, 'Authorised use only.\nAll else is a crime.\n')
    await using stage = new AsyncDisposableStack()
    stage.defer(() => rm(bannerFile))
    await using program = atTerminal(['ssh', ...ssh('gw')])
    await program.until(/you are alice@shop\.example/)
    await program.until(/1 {2}web-1 +open +active/)
    await program.until(/q to quit: /)
    program.send('open@web-1')
    await program.until(/Authorised use only\.\r\nAll else is a crime\.\r\n[\s\S]*[#$] /)
    program.send('stty size; echo $((40+2))-from-the-target; exit 7')
    await program.until(/30 100[\s\S]*42-from-the-target/)
    expect((await program.exited()).status).toBe(7)
  })

  test('what needs somebody is asked and waited for at the terminal', async () => {
    await using program = atTerminal(['ssh', ...ssh('gw')])
    await program.until(/q to quit: /)
    program.send('asked+web-1')
    await program.until(/Reason: /)
    program.send('the disk is full')
    await program.until(/How long\? /)
    program.send('10m')
    await program.until(/Ctrl-C stops waiting/)
    const bob = await gateway.person('bob')
    const [open] = await gateway.gateway.access.toDecide(bob)
    await gateway.gateway.access.decide(bob, open!.request.id, 'approve', '')
    await program.until(/access to web-1 as asked until .*10 min/)
    await program.until(/[#$] /)
    program.send('exit')
    expect((await program.exited()).status).toBe(0)
  })

  test('q leaves', async () => {
    await using program = atTerminal(['ssh', ...ssh('gw')])
    await program.until(/q to quit: /)
    program.send('q')
    expect((await program.exited()).status).toBe(0)
  })

  test('scripts read a table, and words where nothing can run', async () => {
    expect(await batch('gw', 'ls')).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/web-1 +open +active/),
    })
    expect(await batch('-T', 'gw')).toMatchObject({ status: 0, stdout: expect.stringMatching(/Connect with: ssh/) })
    expect(await batch('gw', 'uptime')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/needs a resource to run on/),
    })
    expect(await batch('-s', 'gw', 'sftp')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/name what you want to reach/),
    })
  })

  test('a sign-out ends the menu with words', async () => {
    await using program = atTerminal(['ssh', ...ssh('-i', 'none', 'gw')])
    await program.until(/q to quit: /)
    const alice = await gateway.person('alice')
    const { identity } = gateway.gateway
    for (const binding of (await identity.own.list(alice.id)).bindings) await identity.own.revoke(alice, binding.id)
    await program.until(/You signed out, or were signed out/)
    expect((await program.exited()).status).toBe(255)
    await gateway.bind('alice', `${await gateway.key('alice')}.pub`)
  })
})

describe.runIf(isRoot)('jumps (need root, as sshd does)', () => {
  test('a jump is a session of its own, whatever goes through it', { timeout: 60_000 }, async () => {
    const bytes = randomBytes(8_000_000)
    const file = join(gateway.folder, 'big')
    await writeFile(file, bytes)
    const copy = ['-F', configFile, '-J', 'gw', '-o', 'BatchMode=yes', file, `open@web-1:${file}.there`]
    await using scp = new Program('scp', copy)
    expect(await scp.exited()).toMatchObject({ status: 0, stderr: '' })
    const sum = await batch('-J', 'gw', 'open@web-1', `sha256sum < ${file}.there; exit 3`)
    expect(sum.stdout).toContain(createHash('sha256').update(bytes).digest('hex'))
    expect(sum.status).toBe(3)
    const sessions = await gateway.gateway.state.sessions.sessions({ limit: 100 })
    expect(sessions[0]!.session).toMatchObject({ resource: 'web-1', role: 'open', personName: 'alice@shop.example' })
  })

  test('a jump asks for access as any connection does', async () => {
    await using program = atTerminal(['ssh', ...ssh('-J', 'gw', 'typed@web-1', 'echo from-the-target')])
    await program.until(/Reason \(optional\): /)
    program.send('looking')
    await program.until(/How long\?/)
    program.send('')
    await program.until(/from-the-target/)
    expect((await program.exited()).status).toBe(0)
  })

  test('a jump without a known key signs in once, outside', async () => {
    const key = join(gateway.folder, 'fresh')
    await using making = new Program('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await making.exited()
    const own = join(gateway.folder, 'fresh_config')
    await writeFile(
      own,
      `Host gw\n  HostName localhost\n  Port ${gateway.sshPort}\nHost *\n  StrictHostKeyChecking yes\n  UserKnownHostsFile ${gateway.knownHostsFile}\n  IdentitiesOnly yes\n  IdentityFile ${key}\n`,
    )
    await using program = atTerminal(['ssh', '-F', own, '-J', 'gw', 'open@web-1', 'echo from-the-target'])
    await signInFor(program, gateway)
    await program.until(/from-the-target/)
  })

  test('what ends a session within a jump is read there', async () => {
    const grant = await gateway.sshGrant('alice', 'typed')
    await using program = new Program('ssh', ssh('-o', 'BatchMode=yes', '-J', 'gw', 'typed@web-1', 'echo on; sleep 60'))
    await program.until(/on/)
    await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
    await program.until(/handed/)
    expect((await program.exited()).status).not.toBe(0)
  })

  test('a sign-out ends a session within a jump, with words, and the jump', async () => {
    await using program = new Program('ssh', ssh('-o', 'BatchMode=yes', '-J', 'gw', 'open@web-1', 'echo on; sleep 60'))
    await program.until(/on/)
    const alice = await gateway.person('alice')
    const { identity } = gateway.gateway
    for (const binding of (await identity.own.list(alice.id)).bindings) await identity.own.revoke(alice, binding.id)
    await program.until(/curfew: The sign-in .* was revoked\. Sign in again/)
    expect((await program.exited()).status).not.toBe(0)
    await gateway.bind('alice', `${await gateway.key('alice')}.pub`)
  })

  test('where a jump may not go is said', async () => {
    const unknown = await batch('-J', 'gw', 'open@web-9', 'true')
    expect(unknown.stderr).toContain('There is no resource "web-9" that you may use. Did you mean "web-1"?')
    const role = await batch('-J', 'gw', 'opne@web-1', 'true')
    expect(role.stderr).toContain('There is no role "opne" that you may use.')
    const other = await batch('-J', 'gw', 'open@web-2@web-1', 'true')
    expect(other.stderr).toContain('On the way to web-1 the user name must be one of its roles.')
    for (const { status } of [unknown, role, other]) expect(status).toBe(255)
  })
})
