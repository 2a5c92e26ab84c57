import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSshKeys, sshPublicLine } from '../../../src/identity/ssh/keys.ts'
import { fingerprintOf } from '../../../src/identity/ssh/public-key.ts'

const names = ['ssh_host_ed25519_key.pem', 'ssh_people_ca.pem', 'ssh_target_ca.pem']
let folder: string
const file = (name: string) => join(folder, 'keys', name)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-ssh-keys-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('three keys are made, for their owner only, and stay', async () => {
  const keys = await openSshKeys(folder)
  expect((await readdir(join(folder, 'keys'))).toSorted()).toEqual(names)
  for (const name of names) expect((await stat(file(name))).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700)
  const blobs = Object.values(keys).map(({ publicBlob }) => publicBlob.toString('hex'))
  expect(new Set(blobs).size).toBe(3)
  const again = await openSshKeys(folder)
  expect(Object.values(again).map(({ publicBlob }) => publicBlob.toString('hex'))).toEqual(blobs)
})

test('starters at the same time agree on one', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => openSshKeys(folder)))
  expect(new Set(all.map(({ hostKey }) => hostKey.publicBlob.toString('hex'))).size).toBe(1)
  expect(new Set(all.map(({ targetAuthority }) => targetAuthority.publicBlob.toString('hex'))).size).toBe(1)
  expect((await readdir(join(folder, 'keys'))).toSorted()).toEqual(names)
})

test('the public line is one that ssh-keygen reads', async () => {
  const { targetAuthority } = await openSshKeys(folder)
  const line = sshPublicLine(targetAuthority, 'curfew at gw-1')
  const shown = execFileSync('ssh-keygen', ['-l', '-f', '-'], { input: `${line}\n`, encoding: 'utf8' })
  expect(shown).toBe(`256 ${fingerprintOf(targetAuthority.publicBlob)} curfew at gw-1 (ED25519)\n`)
})

test('what openssl makes can be put there', async () => {
  await openSshKeys(folder)
  await rm(file('ssh_target_ca.pem'))
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', file('ssh_target_ca.pem')])
  expect((await openSshKeys(folder)).targetAuthority.type).toBe('ssh-ed25519')
})

test.each([
  ['is empty', () => ''],
  ['is cut', (text: string) => text.slice(0, 60)],
  ['holds another kind of key', () => pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
  ['holds a public key', () => pem(generateKeyPairSync('ed25519').publicKey)],
])('a file that %s is refused, quoted nowhere, and left as it is', async (_, broken) => {
  await openSshKeys(folder)
  const name = file('ssh_people_ca.pem')
  const good = await readFile(name, 'utf8')
  const bad = broken(good)
  await writeFile(name, bad)
  const refused = await openSshKeys(folder).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('ssh_people_ca.pem') })
  expect(JSON.stringify(refused) + String((refused as Error).stack)).not.toContain(good.split('\n')[1]!.slice(20))
  expect(await readFile(name, 'utf8')).toBe(bad)
})

test('a file that everybody may read is refused', async () => {
  await openSshKeys(folder)
  await chmod(file('ssh_host_ed25519_key.pem'), 0o644)
  await expect(openSshKeys(folder)).rejects.toMatchObject({
    ...{ code: 'CONFIG_INVALID', hint: expect.stringContaining('chmod 600') },
  })
})

function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString()
}
