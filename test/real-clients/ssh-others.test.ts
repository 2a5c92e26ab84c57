// Goal: not only OpenSSH: the other programs and libraries that speak SSH come through the gateway, too.
// Method: Debian's dropbear, PuTTY, paramiko, asyncssh and Ansible, and npm's ssh2, through the whole gateway to a real sshd.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256Of } from '../clients/file-hash.ts'
import { puttyOptions } from '../clients/putty.ts'
import { openSshPlace, type SshPlace } from '../clients/ssh-place.ts'

const isRoot = process.getuid?.() === 0
const needsRoot = '(needs root, as sshd does)'
const stack = new AsyncDisposableStack()
let place: SshPlace
let some: Awaited<ReturnType<SshPlace['file']>>

beforeAll(async () => {
  if (!isRoot) return
  place = stack.use(await openSshPlace(['open', 'certified']))
  some = await place.file('some', 5_000_000)
}, 60_000)
afterAll(() => stack.disposeAsync())

test.runIf(isRoot)(`dropbear's dbclient, which takes role+resource ${needsRoot}`, async () => {
  const key = place.here('dropbear-key')
  await place.run(['dropbearconvert', 'openssh', 'dropbear', await place.gateway.key('alice', 'rsa'), key])
  const dbclient = (role: string, command: string, input?: string) =>
    place.run(
      ['dbclient', '-y', '-y', '-i', key, '-p', String(place.gateway.sshPort), `${role}+web-1@localhost`, command],
      { ...(input !== undefined && { input }), status: null },
    )
  expect(await dbclient('open', 'echo out; echo err >&2; exit 6')).toMatchObject({ status: 6, stdout: 'out\n' })
  expect((await dbclient('certified', 'sha256sum', some.path)).stdout).toContain(some.sha256)
})

test.runIf(isRoot)(`PuTTY's plink ${needsRoot}`, async () => {
  const putty = await puttyOptions(place)
  const plink = (role: string, command: string, input?: string) =>
    place.run(['plink', ...putty, `${role}@web-1@localhost`, command], {
      ...(input !== undefined && { input }),
      status: null,
    })
  const ran = await plink('certified', 'echo out; echo err >&2; exit 6')
  expect(ran).toMatchObject({ status: 6, stdout: 'out\n', stderr: 'err\n' })
  expect((await plink('open', 'sha256sum', some.path)).stdout).toContain(some.sha256)
})

const ssh2 = `
import assert from 'node:assert'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import ssh2 from 'ssh2'
const [port, key, hosts, here, there, username] = process.argv.slice(1)
const client = new ssh2.Client()
const hostVerifier = (blob) => readFileSync(hosts, 'utf8').includes(blob.toString('base64'))
client.connect({ host: 'localhost', port: Number(port), username, privateKey: readFileSync(key), hostVerifier })
await once(client, 'ready')
const exec = promisify(client.exec.bind(client))
const killed = await exec('kill -TERM $$')
killed.resume().stderr.resume()
assert.deepEqual((await once(killed, 'exit')).slice(0, 2), [null, 'SIGTERM'])
const shell = await promisify(client.shell.bind(client))({ rows: 24, cols: 80 })
shell.setWindow(50, 132)
shell.write('sleep 0.3; stty size; exit\\n')
let said = ''
for await (const part of shell) said += part
assert.match(said, /50 132/)
const sftp = await promisify(client.sftp.bind(client))()
await promisify(sftp.fastPut.bind(sftp))(here + '/some', there + '/ssh2')
await promisify(sftp.fastGet.bind(sftp))(there + '/ssh2', here + '/ssh2')
client.end()
`

const paramiko = `
import sys, paramiko
port, key, hosts, here, there, user = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(hosts)
client.connect('localhost', int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)
client.get_transport().renegotiate_keys()
_, out, _ = client.exec_command('exit 9')
assert out.channel.recv_exit_status() == 9
sftp = client.open_sftp()
sftp.put(here + '/some', there + '/paramiko')
sftp.get(there + '/paramiko', here + '/paramiko')
shell = client.invoke_shell('xterm', 80, 24)
shell.resize_pty(132, 50)
shell.send('sleep 0.3; stty size; exit\\n')
said = b''
while True:
    part = shell.recv(4096)
    if not part: break
    said += part
assert b'50 132' in said, said
transport = client.get_transport()
channels = [transport.open_session() for _ in range(5)]
for n, channel in enumerate(channels): channel.exec_command('exit %d' % n)
assert [channel.recv_exit_status() for channel in channels] == [0, 1, 2, 3, 4]
client.close()
`
const asyncssh = `
import sys, asyncio, asyncssh
port, key, hosts, here, there, user = sys.argv[1:]
async def main():
    async with asyncssh.connect('localhost', int(port), username=user, client_keys=[key], known_hosts=hosts, config=None) as client:
        made = await asyncio.gather(*[client.run('echo a%d; exit %d' % (n, n)) for n in range(10)])
        assert [one.exit_status for one in made] == list(range(10)), made
        assert [one.stdout for one in made] == ['a%d\\n' % n for n in range(10)], made
        killed = await client.run('kill -KILL $$')
        assert killed.exit_signal[0] == 'KILL', killed.exit_signal
        async with client.start_sftp_client() as sftp:
            await sftp.put(here + '/some', there + '/asyncssh')
            await sftp.get(there + '/asyncssh', here + '/asyncssh')
        async with client.create_process('cat; exit 3') as process:
            process.stdin.write('and back')
            process.stdin.write_eof()
            assert await process.stdout.read() == 'and back'
            await process.wait()
            assert process.exit_status == 3
asyncio.run(main())
`

const python = ['/usr/bin/python3', '-W', 'ignore', '-c'] as const
const node = [process.execPath, '--input-type=module', '-e'] as const

test.runIf(isRoot).each([
  ['paramiko', python, paramiko, 'certified'],
  ['asyncssh', python, asyncssh, 'open'],
  ['ssh2', node, ssh2, 'open'],
  ['ssh2', node, ssh2, 'certified'],
] as const)(`%s ${needsRoot}`, { timeout: 60_000 }, async (name, interpreter, program, role) => {
  const { gateway, knownHostsFile } = place
  const folders = [place.here('.'), place.there('.')]
  const words = [String(gateway.sshPort), await gateway.key('alice'), knownHostsFile, ...folders, `${role}@web-1`]
  await place.run([...interpreter, program, ...words], { cwd: join(import.meta.dirname, '../..') })
  expect(await sha256Of(place.here(name))).toBe(some.sha256)
})

test.runIf(isRoot)(`Ansible: ping, copy, a command ${needsRoot}`, { timeout: 120_000 }, async () => {
  const inventory = place.here('inventory')
  const settings = {
    ansible_user: 'certified@web-1',
    ansible_python_interpreter: '/usr/bin/python3',
    ansible_remote_tmp: place.there('ansible-tmp'),
    ansible_ssh_common_args: `"-F ${place.configFile} -o ControlPath=${place.here('a-%C')}"`,
  }
  await writeFile(
    inventory,
    `gw ${Object.entries(settings)
      .map((pair) => pair.join('='))
      .join(' ')}\n`,
  )
  const env = { ANSIBLE_LOCAL_TEMP: place.here('ansible'), ANSIBLE_NOCOLOR: '1' }
  const ansible = (...words: readonly string[]) => place.run(['ansible', '-i', inventory, 'gw', ...words], { env })
  try {
    expect((await ansible('-m', 'ping')).stdout).toContain('pong')
    expect((await ansible('-m', 'copy', '-a', `src=${some.path} dest=${place.there('ansible')}`)).stdout).toContain(
      'CHANGED',
    )
    expect(await sha256Of(place.there('ansible'))).toBe(some.sha256)
    expect((await ansible('-m', 'command', '-a', 'echo by-ansible')).stdout).toContain('by-ansible')
  } finally {
    // Ansible leaves a ControlMaster for a minute.
    const control = ['-o', `ControlPath=${place.here('a-%C')}`]
    await place.run([...place.ssh('certified', ...control, '-O', 'exit')], { status: null })
  }
})
