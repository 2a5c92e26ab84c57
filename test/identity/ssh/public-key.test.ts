import { execFileSync } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import {
  fingerprintOf,
  publicBlobOf,
  publicKeyObject,
  readPublicKey,
  readPublicLine,
  verifySignature,
} from '../../../src/identity/ssh/public-key.ts'
import { SshReader, SshWireError, sshMpint, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import { ecdsa, ed25519, everyType, rsa, token, type Signer } from './key-types.ts'

const folder = mkdtempSync(join(tmpdir(), 'curfew-keys-'))
afterAll(() => rmSync(folder, { recursive: true }))

const keys = everyType()
const named = keys.map((key) => [key.type, key] as const)
const data = randomBytes(300)
const line = ({ type, blob }: Pick<Signer, 'type' | 'blob'>, comment: string) =>
  `${type} ${blob.toString('base64')} ${comment}`
const keygen = (args: string[], input?: string) =>
  execFileSync('ssh-keygen', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })

describe.each(named)('%s', (_, key) => {
  test('has the fingerprint that ssh-keygen shows', () => {
    const file = join(folder, key.type)
    writeFileSync(file, `${line(key, 'a comment')}\n`)
    expect(keygen(['-l', '-f', file])).toContain(` ${fingerprintOf(key.blob)} a comment`)
  })

  test('is read back, and not when it is cut or longer', () => {
    expect(readPublicKey(key.blob)).toMatchObject({ type: key.type, blob: key.blob })
    for (let length = 0; length < key.blob.length; length++) {
      expect(() => readPublicKey(key.blob.subarray(0, length))).toThrow(SshWireError)
    }
    expect(() => readPublicKey(Buffer.concat([key.blob, Buffer.of(0)]))).toThrow(SshWireError)
  })

  test('verifies what it signed, by each of its algorithms', () => {
    for (const algorithm of key.algorithms) {
      const signature = key.sign(data, algorithm)
      expect(verifySignature(key.blob, algorithm, data, signature), algorithm).toBe(true)
      for (const other of [...keys.flatMap(({ algorithms }) => algorithms), 'ssh-rsa', 'ssh-dss', 'none', '']) {
        if (other !== algorithm) expect(verifySignature(key.blob, other, data, signature), other).toBe(false)
      }
    }
  })

  test('does not verify under a name of another type, whatever the signature says', () => {
    const reader = new SshReader(key.sign(data))
    reader.string()
    const bytes = reader.rest()
    for (const other of keys.flatMap(({ algorithms }) => algorithms).concat('ssh-rsa')) {
      if (key.algorithms.includes(other)) continue
      const signature = Buffer.concat([sshString(other), bytes])
      expect(verifySignature(key.blob, other, data, signature), other).toBe(false)
    }
  })

  test('does not verify another text, another key, a cut signature, or one with more behind it', () => {
    const algorithm = key.algorithms[0]!
    const signature = key.sign(data)
    const another = everyType().find(({ type }) => type === key.type)!
    expect(verifySignature(key.blob, algorithm, data.subarray(1), signature)).toBe(false)
    expect(verifySignature(another.blob, algorithm, data, signature)).toBe(false)
    for (let length = 0; length < signature.length; length++) {
      expect(verifySignature(key.blob, algorithm, data, signature.subarray(0, length))).toBe(false)
    }
    expect(verifySignature(key.blob, algorithm, data, Buffer.concat([signature, Buffer.of(0)]))).toBe(false)
  })

  test('does not verify a signature with any bit turned', () => {
    const algorithm = key.algorithms[0]!
    const signature = key.sign(data)
    const bit = fc.integer({ min: 0, max: signature.length * 8 - 1 })
    fc.assert(
      fc.property(bit, (at) => {
        const turned = Buffer.from(signature)
        turned[at >> 3]! ^= 1 << (at & 7)
        expect(verifySignature(key.blob, algorithm, data, turned)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  test('signs so that ssh-keygen believes it', () => {
    const allowed = join(folder, `${key.type}.allowed`)
    writeFileSync(allowed, `somebody ${line(key, '')}\n`)
    const file = join(folder, `${key.type}.sig`)
    writeFileSync(file, sshSig(key, data))
    const args = ['-Y', 'verify', '-f', allowed, '-I', 'somebody', '-n', 'test', '-s', file]
    expect(execFileSync('ssh-keygen', args, { input: data, encoding: 'utf8' })).toContain('Good "test" signature')
  })
})

test.each([
  ['ed25519', []],
  ['ecdsa', ['-b', '256']],
  ['ecdsa', ['-b', '384']],
  ['ecdsa', ['-b', '521']],
  ['rsa', ['-b', '2048']],
] as const)('what ssh-keygen makes and signs is believed: %s %j', (type, more) => {
  const file = join(folder, `made-${type}-${more[1] ?? ''}`)
  keygen(['-q', '-t', type, ...more, '-N', '', '-C', 'erin at home', '-f', file])
  const { key, comment } = readPublicLine(readFileSync(`${file}.pub`, 'utf8'))
  expect(comment).toBe('erin at home')
  expect(publicBlobOf(publicKeyObject(key.blob))).toEqual(key.blob)
  writeFileSync(`${file}.text`, data)
  keygen(['-Y', 'sign', '-f', file, '-n', 'test', `${file}.text`])
  const { blob, signature } = readSshSig(readFileSync(`${file}.text.sig`, 'utf8'))
  expect(blob).toEqual(key.blob)
  const algorithm = new SshReader(signature).text()
  expect(verifySignature(blob, algorithm, sshSigText(data), signature)).toBe(true)
  expect(verifySignature(blob, algorithm, sshSigText(randomBytes(9)), signature)).toBe(false)
})

describe('refused', () => {
  test('RSA below 2048 bits', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const blob = publicBlobOf(weak.publicKey)
    expect(() => readPublicKey(blob)).toThrow('RSA of 1024 bits')
    const signature = Buffer.concat([sshString('rsa-sha2-512'), sshString(sign('sha512', data, weak.privateKey))])
    expect(verifySignature(blob, 'rsa-sha2-512', data, signature)).toBe(false)
  })

  test('SHA-1, whatever it is called', () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const bytes = sign('sha1', data, privateKey)
    for (const [said, inside] of [
      ['ssh-rsa', 'ssh-rsa'],
      ['rsa-sha2-256', 'ssh-rsa'],
      ['rsa-sha2-256', 'rsa-sha2-256'],
      ['rsa-sha2-512', 'rsa-sha2-512'],
    ] as const) {
      const signature = Buffer.concat([sshString(inside), sshString(bytes)])
      expect(verifySignature(publicBlobOf(publicKey), said, data, signature)).toBe(false)
    }
  })

  test('a token that nobody touched', () => {
    for (const kind of ['ed25519', 'ecdsa'] as const) {
      const untouched = token(kind, 0)
      expect(verifySignature(untouched.blob, untouched.type, data, untouched.sign(data))).toBe(false)
      const verified = token(kind, 5)
      expect(verifySignature(verified.blob, verified.type, data, verified.sign(data))).toBe(true)
    }
  })

  test("a token's key as a plain one, and the other way round", () => {
    const key = ed25519()
    const onToken = Buffer.concat([sshString('sk-ssh-ed25519@openssh.com'), key.blob.subarray(15), sshString('ssh:')])
    expect(verifySignature(onToken, 'ssh-ed25519', data, key.sign(data))).toBe(false)
    expect(verifySignature(onToken, 'sk-ssh-ed25519@openssh.com', data, key.sign(data))).toBe(false)
  })

  const [e, n] = [Buffer.of(1, 0, 1), Buffer.concat([Buffer.of(0xc1), randomBytes(255)])]
  const rsaBlob = (exponent: Buffer, modulus: Buffer) => Buffer.concat([sshString('ssh-rsa'), exponent, modulus])
  const point = ecdsa(256).blob.subarray(-65)
  const ecBlob = (type: string, curve: string, bytes: Buffer) =>
    Buffer.concat([sshString(`ecdsa-sha2-${type}`), sshString(curve), sshString(bytes)])
  test.each([
    ['superfluous zeros', rsaBlob(sshString(Buffer.concat([Buffer.of(0), e])), sshMpint(n))],
    ['a negative number', rsaBlob(sshMpint(e), sshString(n))],
    ['an even exponent', rsaBlob(sshMpint(Buffer.of(1, 0, 0)), sshMpint(n))],
    ['the exponent 1', rsaBlob(sshMpint(Buffer.of(1)), sshMpint(n))],
    ['no exponent', rsaBlob(sshMpint(Buffer.alloc(0)), sshMpint(n))],
    ['a long exponent', rsaBlob(sshMpint(Buffer.alloc(9, 0xff)), sshMpint(n))],
    ['a modulus of 20,000 bits', rsaBlob(sshMpint(e), sshMpint(Buffer.alloc(2500, 0xff)))],
    ['a point on another curve', ecBlob('nistp256', 'nistp384', point)],
    ['a point beside the curve', ecBlob('nistp256', 'nistp256', Buffer.concat([point.subarray(0, 64), Buffer.of(0)]))],
    ['a shortened point', ecBlob('nistp256', 'nistp256', Buffer.concat([Buffer.of(2), point.subarray(1, 33)]))],
    ['an Ed25519 key of 31 bytes', Buffer.concat([sshString('ssh-ed25519'), sshString(randomBytes(31))])],
    ['DSA', Buffer.concat([sshString('ssh-dss'), sshMpint(n), sshMpint(n), sshMpint(n), sshMpint(n)])],
    ['a name of everything', Buffer.concat([sshString('constructor'), sshString('')])],
    ['more than 8 KiB', Buffer.concat([sshString('ssh-ed25519'), sshString(Buffer.alloc(9000))])],
    ['a length beyond all', Buffer.concat([sshUint32(0xffffffff), Buffer.from('ssh-ed25519')])],
  ])('%s', (_, blob) => {
    expect(() => readPublicKey(blob)).toThrow(SshWireError)
  })

  test('anything else: never with an error of another kind', () => {
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.nat(), fc.uint8Array({ maxLength: 40 }), (key, at, bytes) => {
        const blob = Buffer.from(key.blob)
        blob.set(bytes.subarray(0, Math.max(0, blob.length - (at % blob.length))), at % blob.length)
        for (const tried of [bytes, blob]) {
          try {
            readPublicKey(tried)
          } catch (error) {
            expect(error).toBeInstanceOf(SshWireError)
          }
        }
        expect(verifySignature(key.blob, key.algorithms[0]!, data, bytes)).toBe(false)
      }),
    )
  })
})

test('a signature with its leading zeros left away is one still', () => {
  const key = rsa()
  for (let count = 0; ; count++) {
    const text = Buffer.from(`text ${count}`)
    const reader = new SshReader(key.sign(text))
    const [name, bytes] = [reader.string(), reader.string()]
    if (bytes[0] !== 0) continue
    const short = Buffer.concat([sshString(name), sshString(bytes.subarray(1))])
    expect(verifySignature(key.blob, 'rsa-sha2-512', text, short)).toBe(true)
    break
  }
})

test.each([
  ['', ''],
  ['one word', 'ssh-ed25519'],
  ['another type than its blob', `ssh-rsa ${keys[0]!.blob.toString('base64')}`],
  ['no base64', 'ssh-ed25519 !!!!'],
  ['two lines', `${line(keys[0]!, '')}\n${line(keys[0]!, '')}`],
  ['options in front', `command="ls" ${line(keys[0]!, '')}`],
  ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
])('a line with %s is refused', (_, text) => {
  expect(() => readPublicLine(text)).toThrow(SshWireError)
})

/** What `ssh-keygen -Y` signs in place of a text (OpenSSH PROTOCOL.sshsig). */
function sshSigText(text: Uint8Array): Buffer {
  const hash = createHash('sha512').update(text).digest()
  return Buffer.concat([Buffer.from('SSHSIG'), ...['test', '', 'sha512', hash].map((field) => sshString(field))])
}

function sshSig(key: Signer, text: Uint8Array): string {
  const fields = [key.blob, 'test', '', 'sha512', key.sign(sshSigText(text))].map((field) => sshString(field))
  const bytes = Buffer.concat([Buffer.from('SSHSIG'), sshUint32(1), ...fields])
  const wrapped = bytes.toString('base64').replaceAll(/.{70}/g, '$&\n')
  return `-----BEGIN SSH SIGNATURE-----\n${wrapped}\n-----END SSH SIGNATURE-----\n`
}

function readSshSig(text: string): { blob: Buffer; signature: Buffer } {
  const reader = new SshReader(Buffer.from(text.replaceAll(/-----.*-----|\s/g, ''), 'base64'))
  reader.bytes(10)
  const [blob] = [reader.string(), reader.string(), reader.string(), reader.string()]
  return { blob, signature: reader.string() }
}
