// Goal: files come over as they are, with every program that people have for it, in both directions.
// Method: the real programs through the whole gateway to a real sshd; hashes and trees are compared.
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Of } from '../clients/file-hash.ts'
import { puttyOptions } from '../clients/putty.ts'
import { openSshPlace, type SshPlace } from '../clients/ssh-place.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let place: SshPlace
let some: Awaited<ReturnType<SshPlace['file']>>

beforeAll(async () => {
  if (!isRoot) return
  place = stack.use(await openSshPlace(['open', 'certified', 'files']))
  some = await place.file('some', 3_000_001)
}, 60_000)
afterAll(() => stack.disposeAsync())

const at = (role: string, path = '') => `${role}@web-1@gw:${path}`

async function expectSame(...paths: readonly string[]): Promise<void> {
  for (const path of paths) expect(await sha256Of(path), path).toBe(some.sha256)
}

describe.runIf(isRoot)('OpenSSH (needs root, as sshd does)', () => {
  test.each(['open', 'certified', 'files'])('sftp, by the role %s', async (role) => {
    const folder = place.there(`sftp-${role}`)
    const back = place.here(`sftp-${role}`)
    const kept = join(folder, 'a file')
    const words = [
      `mkdir ${folder}`,
      `put ${some.path} "${kept}"`,
      `get "${kept}" ${back}`,
      `chmod 600 "${kept}"`,
      `rename "${kept}" ${folder}/renamed`,
      `ln ${folder}/renamed ${folder}/hard`,
      `symlink renamed ${folder}/soft`,
      `mkdir ${folder}/sub`,
      `rmdir ${folder}/sub`,
      `rm ${folder}/hard`,
      `ls -l ${folder}`,
    ]
    const ran = await sftp(role, words)
    await expectSame(back, join(folder, 'renamed'))
    expect(ran.stdout).toMatch(/-rw-------.* 3000001 .*renamed/)
    expect((await readdir(folder)).sort()).toEqual(['renamed', 'soft'])
    expect(await readlink(join(folder, 'soft'))).toBe('renamed')
  })

  test('sftp goes on where it was broken off, and says what is not there', async () => {
    const [begun, back] = [place.there('resumed'), place.here('resumed')]
    for (const path of [begun, back]) await writeFile(path, (await readFile(some.path)).subarray(0, 1_000_000))
    await sftp('open', [`reput ${some.path} ${begun}`, `reget ${begun} ${back}`])
    await expectSame(begun, back)
    const ran = await sftp('certified', [`get ${place.there('missing')} ${place.here('missing')}`], 1)
    expect(ran.stderr).toContain('not found')
  })

  test.each([
    ['over SFTP', []],
    ['in its old protocol', ['-O']],
  ])('scp %s', async (name, options) => {
    const scp = (...words: readonly string[]) => place.run(['scp', '-F', place.configFile, ...options, ...words])
    const [kept, back, folder] = [place.there(`scp ${name}`), place.here(`scp ${name}`), `scp-folder${options.length}`]
    // The old protocol has the path read by a shell.
    const asked = options.length === 0 ? kept : kept.replaceAll(' ', String.raw`\ `)
    await scp('-p', some.path, at('open', asked))
    await scp('-p', at('certified', asked), back)
    await expectSame(kept, back)
    expect(Math.floor((await stat(back)).mtimeMs / 1000)).toBe(Math.floor((await stat(some.path)).mtimeMs / 1000))
    const tree = await makeTree(folder)
    await scp('-r', tree, at('certified', place.there(folder)))
    await scp('-r', at('open', place.there(folder)), place.here(`${folder}-back`))
    expect(await treeOf(place.here(`${folder}-back`), false)).toEqual(await treeOf(tree, false))
  })

  async function sftp(role: string, lines: readonly string[], status = 0) {
    const batch = place.here(`batch-${role}`)
    await writeFile(batch, lines.map((line) => `${line}\n`).join(''))
    return place.run(['sftp', '-F', place.configFile, '-b', batch, `${role}@web-1@gw`], { status })
  }
})

describe.runIf(isRoot)('programs that run ssh (need root, as sshd does)', () => {
  test('rsync, both ways, and again for what has changed', async () => {
    const rsync = (...words: readonly string[]) =>
      place.run(['rsync', '-a', '--stats', '-e', `ssh -F ${place.configFile}`, ...words])
    const tree = await makeTree('rsync')
    await rsync(`${tree}/`, at('certified', `${place.there('rsync')}/`))
    await rsync(at('open', `${place.there('rsync')}/`), place.here('rsync-back'))
    expect(await treeOf(place.here('rsync-back'))).toEqual(await treeOf(tree))
    await writeFile(join(tree, 'sub/new'), 'new')
    const again = await rsync(`${tree}/`, at('open', `${place.there('rsync')}/`))
    expect(again.stdout).toMatch(/regular files transferred: 1\n/)
    expect(await treeOf(place.there('rsync'))).toEqual(await treeOf(tree))
  })

  test('git, push and clone', async () => {
    const env = {
      GIT_SSH_COMMAND: `ssh -F ${place.configFile}`,
      GIT_CONFIG_NOSYSTEM: '1',
      ...Object.fromEntries(
        ['AUTHOR', 'COMMITTER'].flatMap((who) => [
          [`GIT_${who}_NAME`, 'Alice'],
          [`GIT_${who}_EMAIL`, 'alice@shop.example'],
        ]),
      ),
    }
    const git = (...words: readonly string[]) => place.run(['git', ...words], { env })
    const [bare, work] = [place.there('shop.git'), await makeTree('git')]
    const url = (role: string) => `ssh://${role}%40web-1@gw${bare}`
    await git('init', '-q', '--bare', '-b', 'main', bare)
    await git('init', '-q', '-b', 'main', work)
    await git('-C', work, 'add', '.')
    await git('-C', work, 'commit', '-qm', 'all')
    await git('-C', work, 'push', '-q', url('open'), 'main')
    await git('clone', '-q', url('certified'), place.here('git-back'))
    await expectSame(place.here('git-back/sub/some'))
    expect((await git('-C', place.here('git-back'), 'log', '--format=%s')).stdout).toBe('all\n')
  })
})

describe.runIf(isRoot)('programs with an SSH of their own (need root, as sshd does)', () => {
  test('PuTTY: psftp, and pscp in both protocols', { timeout: 60_000 }, async () => {
    const putty = await puttyOptions(place)
    const batch = place.here('psftp-batch')
    const kept = place.there('psftp')
    const work = [
      `put ${some.path} ${kept}`,
      `get ${kept} ${place.here('psftp')}`,
      `mv ${kept} ${kept}-moved`,
      `chmod 640 ${kept}-moved`,
    ]
    await writeFile(batch, [...work, `del ${kept}-moved`, 'quit', ''].join('\n'))
    await place.run(['psftp', ...putty, '-b', batch, 'open@web-1@localhost'])
    await expectSame(place.here('psftp'))
    expect(await readdir(place.there('.'))).not.toContain('psftp-moved')
    for (const protocol of ['-sftp', '-scp']) {
      const [there, back] = [place.there(`pscp${protocol}`), place.here(`pscp${protocol}`)]
      await place.run(['pscp', ...putty, protocol, some.path, `certified@web-1@localhost:${there}`])
      await place.run(['pscp', ...putty, protocol, `open@web-1@localhost:${there}`, back])
      await expectSame(there, back)
    }
  })

  test('curl (libssh2), both ways', async () => {
    const key = await place.gateway.key('alice')
    const { sshPort } = place.gateway
    const curl = (role: string, path: string, ...words: readonly string[]) =>
      place.run([
        'curl',
        '-sS',
        '--key',
        key,
        '--pubkey',
        `${key}.pub`,
        '-u',
        `${role}@web-1:`,
        ...words,
        `sftp://localhost:${sshPort}${path}`,
      ])
    await curl('certified', place.there('curl'), '-T', some.path)
    await curl('open', place.there('curl'), '-o', place.here('curl'))
    await expectSame(place.there('curl'), place.here('curl'))
  })
})

describe.runIf(isRoot)('by the names that curfew ssh-config writes (needs root, as sshd does)', () => {
  const env = () => ({ XDG_CONFIG_HOME: place.here('settings') })
  const curfew = (...words: readonly string[]) => [
    process.execPath,
    join(import.meta.dirname, '../../src/main.ts'),
    ...words,
  ]

  test('rsync, git, sftp and scp come in by the certificate of curfew login', async () => {
    const { gateway } = place
    await using login = place.start(curfew('login', '--gateway', gateway.url.href, '--ca', gateway.caFile), {
      env: env(),
    })
    const [link] = await login.until(/https:\/\/\S+\/s\/[\w-]+/)
    await (await gateway.visitor('alice')).post(new URL(link), { answer: 'confirm' })
    expect((await login.exited()).status).toBe(0)
    const config = place.here('generated')
    await place.run(curfew('ssh-config'), { env: env(), output: config })

    const ssh = `ssh -F ${config} -o BatchMode=yes`
    const [host, there] = ['certified.web-1.curfew', (name: string) => place.there(`named-${name}`)]
    const tree = await makeTree('named')
    await place.run(['rsync', '-a', '-e', ssh, `${tree}/`, `${host}:${there('rsync')}/`])
    expect(await treeOf(there('rsync'))).toEqual(await treeOf(tree))
    await place.run(['git', 'init', '-q', '--bare', there('git')])
    await place.run(['git', 'ls-remote', `open.web-1.curfew:${there('git')}`], { env: { GIT_SSH_COMMAND: ssh } })
    await place.run(['scp', '-F', config, some.path, `${host}:${there('scp')}`])
    await place.run(['sftp', '-F', config, `files.web-1.curfew:${there('scp')}`, place.here('named-back')])
    await expectSame(there('scp'), place.here('named-back'))
  })
})

/** A folder with what is easily lost: a mode, a link, a file without content, a name with a space. */
async function makeTree(name: string): Promise<string> {
  const root = place.here(name)
  await mkdir(join(root, 'sub/deep er'), { recursive: true })
  await writeFile(join(root, 'sub/some'), await readFile(some.path))
  await writeFile(join(root, 'sub/deep er/ö'), 'text\n')
  await writeFile(join(root, 'empty'), '')
  await chmod(join(root, 'empty'), 0o750)
  await symlink('some', join(root, 'sub/link'))
  return root
}

/** Everything below, with mode and content. @param links whether links stay links. */
async function treeOf(root: string, links = true): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of (await readdir(root, { recursive: true })).sort()) {
    const path = join(root, name)
    const is = await (links ? lstat(path) : stat(path))
    if (is.isSymbolicLink()) found[name] = await readlink(path)
    else found[name] = `${(is.mode & 0o777).toString(8)} ${is.isDirectory() ? 'folder' : await sha256Of(path)}`
  }
  return found
}
