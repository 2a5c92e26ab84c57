import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { startSshTestGateway } from '../servers/ssh-gateway.ts'
import type { SshTestGateway } from '../servers/ssh-gateway.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const isRoot = process.getuid?.() === 0

// Goal: what `curfew login` leaves is enough for every program that speaks ssh; nothing is asked on the way.
// Method: the real gateway, a real sshd behind it, the real clients, no terminal.
describe.runIf(isRoot)('with a certificate (needs root, as sshd does)', () => {
  let gateway: SshTestGateway
  let home: string
  beforeAll(async () => {
    gateway = await startSshTestGateway()
    home = await mkdtemp(join(tmpdir(), 'curfew-ssh-through-'))
    for (const role of ['open', 'certified', 'files'] as const) await gateway.sshGrant('alice', role)
  }, 60_000)
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await rm(home, { recursive: true })
  })

  const config = () => join(home, '.ssh/curfew_config')
  const tool = async (command: string, ...words: readonly string[]) => {
    await using program = new Program(command, words, { env: { XDG_CONFIG_HOME: home, HOME: home } })
    program.endInput()
    return await program.exited()
  }
  const curfew = (...words: readonly string[]) => tool(process.execPath, main, ...words)

  test('login, and curfew ssh is in', async () => {
    const words = [main, 'login', '--gateway', gateway.url.href, '--ca', gateway.caFile]
    await using program = new Program(process.execPath, words, { env: { XDG_CONFIG_HOME: home, HOME: home } })
    const [link] = await program.until(/https:\/\/\S+\/s\/[\w-]+/)
    await (await gateway.visitor('alice')).post(new URL(link), { answer: 'confirm' })
    expect((await program.exited()).stdout).toContain('SSH certificate until')
    const ran = await curfew('ssh', 'web-1', 'open', '--', 'echo out; echo err >&2; exit 7')
    expect(ran).toMatchObject({ status: 7, stdout: 'out\n', stderr: 'err\n' })
    expect(await curfew('ssh', 'web-1', 'certified', '--', 'id -un')).toMatchObject({ status: 0, stdout: 'root\n' })
  })

  test('what a role does not allow is said by ssh', async () => {
    expect(await curfew('ssh', 'web-1', 'files', '--', 'id')).toMatchObject({
      status: 255,
      stderr: expect.stringContaining('the role files does not allow commands') as string,
    })
  })

  test('ssh, scp and sftp by the names of ssh-config', async () => {
    expect(await curfew('ssh-config', '--include')).toMatchObject({ status: 0 })
    expect(await readFile(join(home, '.ssh/config'), 'utf8')).toBe('Include curfew_config\n')
    const by = ['-F', config(), '-o', 'BatchMode=yes']
    expect(await tool('ssh', ...by, 'open.web-1.curfew', 'echo plain')).toMatchObject({ stdout: 'plain\n', stderr: '' })
    const [sent, there, back] = [join(home, 'sent'), join(home, 'there'), join(home, 'back')]
    await writeFile(sent, 'some bytes')
    expect(await tool('scp', ...by, sent, `files.web-1.curfew:${there}`)).toMatchObject({ status: 0 })
    expect(await tool('sftp', ...by, `files.web-1.curfew:${there}`, back)).toMatchObject({ status: 0 })
    expect(await readFile(back, 'utf8')).toBe('some bytes')
  })

  test('after logout the certificate lets nobody in, although it has not run out', async () => {
    const folder = join(home, `curfew/ssh/localhost_${gateway.url.port}`)
    const kept = await Promise.all(['id_ed25519', 'id_ed25519-cert.pub'].map((name) => readFile(join(folder, name))))
    expect(await curfew('logout')).toMatchObject({ status: 0 })
    await writeFile(join(folder, 'id_ed25519'), kept[0]!, { mode: 0o600 })
    await writeFile(join(folder, 'id_ed25519-cert.pub'), kept[1]!)
    const { status, stderr } = await tool('ssh', '-F', config(), '-o', 'BatchMode=yes', 'open.web-1.curfew', 'true')
    expect([status, stderr]).toEqual([255, expect.stringContaining('curfew: The certificate was refused')])
  })
})
