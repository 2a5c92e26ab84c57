import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  certificateFormat,
  certificateSignedBy,
  plainFormat,
  readCertificate,
  signCertificate,
  type CertificateContents,
} from '../../../src/identity/ssh/certificate.ts'
import { sshKeyPair, sshPublicLine } from '../../../src/identity/ssh/keys.ts'
import { readPublicLine, sshKeyTypes } from '../../../src/identity/ssh/public-key.ts'
import { SshWireError } from '../../../src/identity/ssh/wire.ts'
import { startSshd } from '../../servers/sshd.ts'
import { ed25519, everyType } from './key-types.ts'

const run = promisify(execFile)
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-certificates-'))
})
afterAll(() => rm(folder, { recursive: true }))

const authority = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
const now = Math.floor(Date.now() / 1000)

function contents(over: Partial<CertificateContents> = {}): CertificateContents {
  return {
    type: 'user',
    publicBlob: ed25519().blob,
    serial: 7n,
    keyId: 'curfew token-1',
    principals: ['root', 'erin'],
    validAfter: now - 60,
    validBefore: now + 600,
    criticalOptions: {},
    extensions: { 'permit-pty': '', 'permit-port-forwarding': '' },
    nonce: randomBytes(32),
    ...over,
  }
}

async function shownByKeygen(name: string, blob: Buffer): Promise<string> {
  const file = join(folder, `${name}-cert.pub`)
  await writeFile(file, `${readCertificate(blob).format} ${blob.toString('base64')}\n`)
  return (await run('ssh-keygen', ['-L', '-f', file])).stdout
}

describe.each(everyType().map((key) => [key.type, key] as const))('for %s', (type, key) => {
  test('ssh-keygen reads the same in it as we do', async () => {
    const made = contents({ publicBlob: key.blob, criticalOptions: { 'source-address': '192.0.2.0/24' } })
    const blob = signCertificate(made, authority)
    expect(readCertificate(blob)).toMatchObject(made)
    const shown = await shownByKeygen(type, blob)
    expect(shown).toContain(`Type: ${certificateFormat(type)} user certificate`)
    expect(shown).toContain('Key ID: "curfew token-1"')
    expect(shown).toContain('Serial: 7')
    expect(shown).toMatch(/Principals: \n\s+root\n\s+erin\n/)
    expect(shown).toContain('source-address 192.0.2.0/24')
    expect(shown).toMatch(/Extensions: \n\s+permit-port-forwarding\n\s+permit-pty\n/)
  })

  test('is nothing when it is cut anywhere, or longer', () => {
    const blob = signCertificate(contents({ publicBlob: key.blob }), authority)
    for (let length = 0; length < blob.length; length++) {
      expect(() => readCertificate(blob.subarray(0, length))).toThrow(SshWireError)
    }
    expect(() => readCertificate(Buffer.concat([blob, Buffer.of(0)]))).toThrow(SshWireError)
  })
})

test.each([
  ['ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ['ecdsa', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
  ['rsa', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
] as const)('an authority with %s signs so that ssh-keygen and we believe it, and no other', async (name, make) => {
  const pair = sshKeyPair(make())
  const blob = signCertificate(contents(), pair)
  const shown = await shownByKeygen(`by-${name}`, blob)
  expect(shown).toContain('Signing CA: ')
  if (name === 'rsa') expect(shown).toContain('(using rsa-sha2-512)')
  expect(certificateSignedBy(readCertificate(blob), pair.publicBlob)).toBe(true)
  expect(certificateSignedBy(readCertificate(blob), sshKeyPair(make()).publicBlob)).toBe(false)
})

test('one that names another authority than the one that signed it is of nobody', () => {
  const other = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
  const certificate = readCertificate(signCertificate(contents(), { ...other, publicBlob: authority.publicBlob }))
  for (const { publicBlob } of [authority, other]) expect(certificateSignedBy(certificate, publicBlob)).toBe(false)
})

test.each(['ed25519', 'ecdsa', 'rsa'])('what ssh-keygen signs with %s is read and believed', async (type) => {
  const [ca, subject] = [join(folder, `ca-${type}`), join(folder, `subject-${type}`)]
  for (const file of [ca, subject]) await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', file])
  const what = ['-I', 'a key', '-n', 'web-1.example.com,web-1', '-z', '18446744073709551615', '-V', 'always:forever']
  await run('ssh-keygen', ['-q', '-s', ca, '-h', ...what, `${subject}.pub`])
  const [, base64] = (await readFile(`${subject}-cert.pub`, 'utf8')).split(' ')
  const certificate = readCertificate(Buffer.from(base64!, 'base64'))
  expect(certificate).toMatchObject({
    ...{ type: 'host', keyId: 'a key', serial: 2n ** 64n - 1n, validAfter: 0, validBefore: Infinity },
    ...{ principals: ['web-1.example.com', 'web-1'], criticalOptions: {}, extensions: {} },
  })
  expect(certificate.publicBlob).toEqual(readPublicLine(await readFile(`${subject}.pub`, 'utf8')).key.blob)
  const caBlob = readPublicLine(await readFile(`${ca}.pub`, 'utf8')).key.blob
  expect(certificateSignedBy(certificate, caBlob)).toBe(true)
  expect(certificateSignedBy(certificate, certificate.publicBlob)).toBe(false)
})

test('whatever is written is read again', () => {
  const options = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }), {
    maxKeys: 6,
    noNullPrototype: true,
  })
  const seconds = fc.oneof(fc.maxSafeNat(), fc.constant(Infinity))
  const any = fc.record({
    type: fc.constantFrom('user' as const, 'host' as const),
    serial: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    keyId: fc.string(),
    principals: fc.array(fc.string(), { maxLength: 256 }),
    ...{ validAfter: fc.maxSafeNat(), validBefore: seconds, criticalOptions: options, extensions: options },
    nonce: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  })
  const { blob: publicBlob } = ed25519()
  fc.assert(
    fc.property(any, (made) => {
      const read = readCertificate(signCertificate({ ...made, publicBlob }, authority))
      expect(read).toMatchObject({ ...made, publicBlob })
      expect(certificateSignedBy(read, authority.publicBlob)).toBe(true)
    }),
  )
})

test('whatever is changed in one, its authority did not sign it', () => {
  const blob = signCertificate(contents(), authority)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: blob.length * 8 - 1 }), (bit) => {
      const changed = Buffer.from(blob)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(believed(changed)).toBe(false)
    }),
    { numRuns: 1000 },
  )
})

function believed(blob: Buffer): boolean {
  try {
    return certificateSignedBy(readCertificate(blob), authority.publicBlob)
  } catch (error) {
    expect(error).toBeInstanceOf(SshWireError)
    return false
  }
}

test('bounds: principals, options, bytes, and nothing twice', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`)
  const read = (over: Partial<CertificateContents>) => readCertificate(signCertificate(contents(over), authority))
  expect(read({ principals: many(256) }).principals).toHaveLength(256)
  expect(() => read({ principals: many(257) })).toThrow('more than 256 principals')
  expect(() => read({ extensions: Object.fromEntries(many(65).map((name) => [name, ''])) })).toThrow(SshWireError)
  expect(() => read({ keyId: 'x'.repeat(70_000) })).toThrow(SshWireError)
  const twice = signCertificate(contents({ extensions: { aa: '', ab: '' } }), authority)
  twice.set(Buffer.from('aa'), twice.lastIndexOf('ab'))
  expect(() => readCertificate(twice)).toThrow('named twice')
})

test('a certificate is not certified, nor read as a key', () => {
  const blob = signCertificate(contents(), authority)
  expect(() => signCertificate(contents({ publicBlob: blob }), authority)).toThrow(SshWireError)
  expect(() => readCertificate(authority.publicBlob)).toThrow('not a certificate')
})

test('names of formats go both ways', () => {
  for (const type of sshKeyTypes) expect(plainFormat(certificateFormat(type))).toBe(type)
  expect(certificateFormat('sk-ssh-ed25519@openssh.com')).toBe('sk-ssh-ed25519-cert-v01@openssh.com')
  expect(plainFormat('rsa-sha2-512-cert-v01@openssh.com')).toBe('rsa-sha2-512')
  expect(plainFormat('ssh-ed25519')).toBeUndefined()
})

test('a real server lets in whom the certificate names, and nobody else', async () => {
  await using sshd = await startSshd({ trustedUserCa: [sshPublicLine(authority, '')] })
  const key = join(folder, 'login')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await chmod(key, 0o600)
  const { blob: publicBlob } = readPublicLine(await readFile(`${key}.pub`, 'utf8')).key
  const login = async (over: Partial<CertificateContents>) => {
    const certificate = signCertificate(contents({ publicBlob, principals: [sshd.user], ...over }), authority)
    await writeFile(`${key}-cert.pub`, `ssh-ed25519-cert-v01@openssh.com ${certificate.toString('base64')}\n`)
    const options = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no']
    const known = ['-o', 'UserKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none']
    const to = ['-i', key, '-p', String(sshd.port), `${sshd.user}@${sshd.host}`, 'echo', 'hello']
    return (await run('ssh', [...options, ...known, ...to])).stdout
  }
  expect(await login({})).toBe('hello\n')
  await expect(login({ principals: ['erin'] })).rejects.toThrow('Permission denied')
  await expect(login({ validBefore: now - 1 })).rejects.toThrow('Permission denied')
  await expect(login({ type: 'host' })).rejects.toThrow('Permission denied')
  await expect(login({ criticalOptions: { 'source-address': '192.0.2.1' } })).rejects.toThrow('Permission denied')
})
