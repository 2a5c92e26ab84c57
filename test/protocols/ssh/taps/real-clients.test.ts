// Goal: what real clients do with files is recorded as they did it, with the hash of what arrived.
// Method: a real sshd runs each command through a tap; the hashes are compared with those of the files.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startSshd } from '../../../servers/sshd.ts'
import type { TestSshd } from '../../../servers/sshd.ts'
import { filesOf } from './recorded.ts'
import type { Line } from './recorded.ts'
import { sha256 } from './talk.ts'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0
const big = randomBytes(3_000_001)
const small = randomBytes(777)
const bigHash = sha256(big)
const smallHash = sha256(small)

let folder: string
let kept: string
let sshd: TestSshd
let options: string[]

beforeAll(async () => {
  if (!isRoot) return
  folder = await mkdtemp(join(tmpdir(), 'curfew-taps-'))
  kept = join(folder, 'kept')
  const program = fileURLToPath(new URL('tapped-program.ts', import.meta.url))
  sshd = await startSshd({
    extraConfig: ['Subsystem sftp /usr/lib/openssh/sftp-server', `ForceCommand ${process.execPath} ${program} ${kept}`],
  })
  options = [
    ...['-F', 'none', '-i', sshd.userKeyFile],
    ...['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'].flatMap(
      (option) => ['-o', option],
    ),
    ...['-P', String(sshd.port)],
  ]
})

beforeEach(async () => {
  if (!isRoot) return
  for (const name of ['kept', 'here', 'there']) {
    await rm(join(folder, name), { recursive: true, force: true })
    await mkdir(join(folder, name))
  }
  await writeFile(here('big'), big)
  await writeFile(here('small'), small)
  await writeFile(there('big'), big)
  await writeFile(there('small'), small)
})

afterAll(async () => {
  if (!isRoot) return
  await sshd[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const here = (name: string) => join(folder, 'here', name)
const there = (name: string) => join(folder, 'there', name)

interface Kept {
  readonly command: string
  readonly lines: readonly Line[]
  readonly sha256Up?: string
}

/** What was recorded of the `count` channels since the test began. */
async function recorded(count = 1): Promise<Kept[]> {
  for (;;) {
    const names = await readdir(kept)
    const texts = await Promise.all(names.map((name) => readFile(join(kept, name), 'utf8')))
    if (texts.length >= count && texts.every((text) => text.endsWith('}'))) {
      return texts.map((text) => JSON.parse(text) as Kept)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Its file operations, without looks; nothing was lost on the way. */
async function operations(count = 1) {
  const channels = await recorded(count)
  expect(channels.flatMap(({ lines }) => lines.filter(([code]) => code === 'lost'))).toEqual([])
  const looks = new Set(['stat', 'realpath', 'extended'])
  return channels.flatMap(({ lines }) => filesOf(lines)).filter(({ op }) => !looks.has(op!))
}

async function sftp(...lines: string[]): Promise<void> {
  await writeFile(join(folder, 'batch'), lines.map((line) => `${line}\n`).join(''))
  await run('sftp', [...options, '-b', join(folder, 'batch'), 'root@127.0.0.1'])
}

const read = (name: string, hash: string, bytes: number) => ({
  ...{ op: 'read', path: there(name), direction: 'down', bytes, sha256: hash, result: 'ok' },
})
const write = (name: string, hash: string, bytes: number) => ({
  ...{ op: 'write', path: there(name), direction: 'up', bytes, sha256: hash, result: 'ok' },
})
const bigRead = () => read('big', bigHash, big.length)
const isBigRead = ({ op, bytes }: Record<string, unknown>) => op === 'read' && bytes === big.length
const bigWrite = () => write('new', bigHash, big.length)

test.runIf(isRoot)('sftp: every kind of operation', { timeout: 30_000 }, async () => {
  await sftp(
    `get ${there('big')} ${here('got')}`,
    `put ${here('big')} ${there('new')}`,
    `mkdir ${there('folder')}`,
    `rename ${there('new')} ${there('folder/renamed')}`,
    `ln ${there('small')} ${there('hard')}`,
    `symlink ${there('small')} ${there('soft')}`,
    `chmod 4755 ${there('small')}`,
    `ls -l ${there('folder')}`,
    `rm ${there('hard')}`,
    `-get ${there('missing')} ${here('missing')}`,
    `-rmdir ${there('folder')}`,
    `-put ${here('small')} /proc/no`,
  )
  const made = await operations()
  expect(made.filter(({ op }) => op !== 'setstat')).toEqual([
    bigRead(),
    bigWrite(),
    { op: 'mkdir', path: there('folder'), result: 'ok' },
    { op: 'rename', path: there('new'), to: there('folder/renamed'), result: 'ok' },
    { op: 'link', path: there('hard'), to: there('small'), result: 'ok' },
    { op: 'symlink', path: there('soft'), to: there('small'), result: 'ok' },
    { op: 'list', path: there('folder/'), names: 3, result: 'ok' },
    { op: 'remove', path: there('hard'), result: 'ok' },
    { op: 'rmdir', path: there('folder'), result: 'failure' },
    { op: 'write', path: '/proc/no', direction: 'up', result: 'no such file' },
  ])
  expect(made).toContainEqual({ op: 'setstat', path: there('small'), set: { mode: '4755' }, result: 'ok' })
  expect(sha256(await readFile(here('got')))).toBe(bigHash)
})

test.runIf(isRoot)('sftp: what is resumed has no hash of the whole', { timeout: 30_000 }, async () => {
  await writeFile(here('half'), big.subarray(0, 1_000_000))
  await writeFile(there('half'), big.subarray(0, 1_000_000))
  await sftp(`reget ${there('big')} ${here('half')}`, `reput ${here('big')} ${there('half')}`)
  const rest = { bytes: big.length - 1_000_000, result: 'ok' }
  expect(await operations()).toEqual([
    { op: 'read', path: there('big'), direction: 'down', ...rest },
    { op: 'write', path: there('half'), direction: 'up', ...rest },
  ])
  expect(sha256(await readFile(there('half')))).toBe(bigHash)
})

test.runIf(isRoot)('sftp: a client that is killed leaves what had passed', { timeout: 30_000 }, async () => {
  await truncate(there('big'), 5_000_000_000)
  const slow = ['-l', '8000', '-R', '2']
  const client = run('sftp', [...options, ...slow, `root@127.0.0.1:${there('big')}`, here('got')])
  while ((await readFile(here('got')).catch(() => Buffer.alloc(0))).length < 100_000) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  client.child.kill('SIGKILL')
  await expect(client).rejects.toThrow()
  const [event] = await operations()
  expect(event).toMatchObject({ op: 'read', path: there('big'), result: 'unfinished' })
  const whole = await readFile(here('got'))
  expect(event?.bytes).toBeGreaterThanOrEqual(100_000)
  expect(whole.subarray(0, 100_000).equals(big.subarray(0, 100_000))).toBe(true)
})

test.runIf(isRoot)('scp with SFTP, and with its old protocol', { timeout: 30_000 }, async () => {
  await run('scp', [...options, here('big'), `root@127.0.0.1:${there('new')}`])
  await run('scp', [...options, '-O', here('big'), `root@127.0.0.1:${there('new')}`])
  await run('scp', [...options, '-O', `root@127.0.0.1:${there('big')}`, here('got')])
  const made = (await operations(3)).filter(({ op }) => op !== 'setstat')
  expect(made).toHaveLength(3)
  expect(made).toContainEqual(bigWrite())
  expect(made).toContainEqual({ ...bigWrite(), name: 'big' })
  expect(made).toContainEqual(bigRead())
})

test.runIf(isRoot)('scp of folders, in both directions', { timeout: 30_000 }, async () => {
  await mkdir(here('a b/c'), { recursive: true })
  await writeFile(here('a b/c/small'), small)
  await writeFile(here('a b/empty'), '')
  await run('scp', [...options, '-O', '-r', '-p', here('a b'), here('small'), `root@127.0.0.1:${there('')}`])
  await run('scp', [...options, '-O', '-r', `root@127.0.0.1:${there('*')}`, here('a b')])
  const made = await operations(2)
  for (const [name, hash, bytes] of [
    ['a b/c/small', smallHash, 777],
    ['a b/empty', sha256(''), 0],
    ['small', smallHash, 777],
  ] as const) {
    expect(made).toContainEqual(write(name, hash, bytes))
    expect(made).toContainEqual(read(name, hash, bytes))
  }
  expect(made).toContainEqual({ op: 'mkdir', path: there('a b/c'), result: 'ok' })
})

test.runIf(isRoot)('scp tells why it failed', { timeout: 30_000 }, async () => {
  const failed = [
    ['-O', `root@127.0.0.1:${there('missing')}`, here('got')],
    ['-O', here('small'), 'root@127.0.0.1:/proc/no'],
  ]
  for (const args of failed) await expect(run('scp', [...options, ...args])).rejects.toThrow('No such file')
  const made = await operations(2)
  const [reading, writing] = [made.find(({ op }) => op === 'read'), made.find(({ op }) => op === 'write')]
  expect(reading).toMatchObject({ path: there('missing'), result: `${there('missing')}: No such file or directory` })
  expect(writing).toMatchObject({ path: '/proc/no', result: '/proc/no: No such file or directory' })
})

test.runIf(isRoot)('PuTTY: psftp and pscp', { timeout: 30_000 }, async () => {
  const key = join(folder, 'user.ppk')
  await run('puttygen', [sshd.userKeyFile, '-O', 'private', '-o', key])
  const putty = ['-batch', '-P', String(sshd.port), '-i', key, '-hostkey', sshd.hostKeyFingerprint]
  await writeFile(join(folder, 'batch'), `get ${there('big')} ${here('got')}\nput ${here('big')} ${there('new')}\n`)
  const env = { ...process.env, HOME: folder }
  await run('psftp', [...putty, '-b', join(folder, 'batch'), 'root@127.0.0.1'], { env })
  await run('pscp', [...putty, '-scp', '-p', here('big'), `root@127.0.0.1:${there('new')}`], { env })
  await run('pscp', [...putty, '-scp', `root@127.0.0.1:${there('big')}`, here('got')], { env })
  const made = await operations(3)
  expect(made.filter((event) => event.sha256 === bigHash)).toHaveLength(4)
  for (const event of [bigRead(), bigWrite()]) expect(made).toContainEqual(event)
})

test.runIf(isRoot)('curl', { timeout: 30_000 }, async () => {
  const shared = ['-s', '-S', '-k', '--key', sshd.userKeyFile, '--pubkey', `${sshd.userKeyFile}.pub`, '-u', 'root:']
  const url = (name: string) => `sftp://127.0.0.1:${sshd.port}${there(name)}`
  await run('curl', [...shared, '-o', here('got'), url('big')])
  await run('curl', [...shared, '-T', here('big'), url('new')])
  const made = await operations(2)
  expect(made).toContainEqual(bigRead())
  expect(made).toContainEqual(bigWrite())
})

const paramiko = `
import sys, paramiko
port, key, here, there = sys.argv[1:]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect('127.0.0.1', int(port), 'root', key_filename=key, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
sftp.get(there + '/big', here + '/got')
sftp.put(here + '/big', there + '/new')
with sftp.open(there + '/sparse', 'wb') as file:
    file.seek(100000); file.write(b'end')
    file.seek(0); file.write(b'begin')
with sftp.open(there + '/small', 'ab') as file:
    file.write(b'more')
with sftp.open(there + '/small', 'rb') as file:
    file.prefetch(); file.read(5); file.seek(700); file.read()
client.close()
`
const asyncssh = `
import sys, asyncio, asyncssh
port, key, here, there = sys.argv[1:]
async def main():
    async with asyncssh.connect('127.0.0.1', int(port), username='root', client_keys=[key], known_hosts=None, config=None) as client:
        async with client.start_sftp_client() as sftp:
            await sftp.get(there + '/big', here + '/got')
            await sftp.put(here + '/big', there + '/new')
        await asyncssh.scp(here + '/big', (client, there + '/new'))
asyncio.run(main())
`

async function python(program: string): Promise<void> {
  const args = [String(sshd.port), sshd.userKeyFile, join(folder, 'here'), join(folder, 'there')]
  await run('/usr/bin/python3', ['-W', 'ignore', '-c', program, ...args])
}

test.runIf(isRoot)('paramiko, also out of order', { timeout: 30_000 }, async () => {
  // On a busy machine it takes what it has asked for as all there is, and reads the rest a second time: then it goes again.
  let made: Awaited<ReturnType<typeof operations>> = []
  for (let runs = 1; runs <= 4 && !made.some(isBigRead); runs++) {
    await python(paramiko)
    made = await operations(runs)
  }
  expect(made).toContainEqual(bigRead())
  expect(made).toContainEqual(bigWrite())
  expect(made).toContainEqual({ op: 'write', path: there('sparse'), direction: 'up', bytes: 8, result: 'ok' })
  expect(made).toContainEqual({ op: 'write', path: there('small'), direction: 'up', bytes: 4, result: 'ok' })
})

test.runIf(isRoot)('asyncssh, which reads and writes in parallel', { timeout: 30_000 }, async () => {
  await python(asyncssh)
  const made = await operations(2)
  expect(made).toContainEqual(bigRead())
  expect(made).toContainEqual(bigWrite())
  expect(made).toContainEqual({ ...bigWrite(), name: 'big' })
})

test.runIf(isRoot)('a command that only looks like scp is recorded whole', { timeout: 30_000 }, async () => {
  const ssh = [...options.slice(0, -2), '-p', String(sshd.port), 'root@127.0.0.1']
  await run('ssh', ['-n', ...ssh, 'scp -f /dev/null; echo hidden'])
  const [channel] = await recorded()
  expect(channel?.lines).toContainEqual(['=o', { ch: 1, text: expect.stringContaining('hidden') as string }])
})
