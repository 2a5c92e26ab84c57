import { createHash, pbkdf2Sync } from 'node:crypto'
import { expect, test } from 'vitest'
import { SaltedPasswords } from '../../../src/protocols/postgres/salted-passwords.ts'
import { endPointHash, md5Password, saslPrepare, ScramClient } from '../../../src/protocols/postgres/scram.ts'

const refused = expect.objectContaining({ code: 'UPSTREAM_REFUSED' })
const unbound = { kind: 'unbound', flag: 'n' } as const

test('the exchange of RFC 7677, section 3', async () => {
  const client = new ScramClient('pencil', 'rOprNGfwEbeRWgbNEkqO', unbound, 'user')
  expect(client.first()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  expect(await client.final(`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`)).toBe(
    `c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
  )
  client.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  expect(() => client.verify('v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')).toThrow(refused)
  expect(() => client.verify('e=other-error')).toThrow(refused)
})

test('what a password was made to is used again, for the same salt and count only', async () => {
  const salted = new SaltedPasswords()
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const first = await salted.of('pencil', salt, 4096)
  expect(first).toEqual(pbkdf2Sync('pencil', salt, 4096, 32, 'sha256'))
  expect(await salted.of('pencil', salt, 4096)).toBe(first)
  for (const [password, otherSalt, count] of [
    ['pencil ', salt, 4096],
    ['pencil', salt.subarray(1), 4096],
    ['pencil', salt, 4095],
  ] as const) {
    const other = await salted.of(password, otherSalt, count)
    expect(other).toEqual(pbkdf2Sync(password, otherSalt, count, 32, 'sha256'))
  }
  for (let count = 1; count <= 200; count++) await salted.of('another', salt, count)
  expect(await salted.of('pencil', salt, 4096)).not.toBe(first)
})

test.each([
  ['a nonce that is not ours', 'r=elsewhere,s=QSXCR+Q6sek8bf92,i=4096'],
  ['a nonce that adds nothing', 'r=abc,s=QSXCR+Q6sek8bf92,i=4096'],
  ['no salt', 'r=abcdef,s=,i=4096'],
  ['no iterations', 'r=abcdef,s=QSXCR+Q6sek8bf92,i=0'],
  ['more iterations than we do', 'r=abcdef,s=QSXCR+Q6sek8bf92,i=1000001'],
  ['an absurd number', 'r=abcdef,s=QSXCR+Q6sek8bf92,i=9999999999999'],
  ['nothing', ''],
])('a server-first message with %s is refused', async (_name, serverFirst) => {
  await expect(new ScramClient('pencil', 'abc', unbound).final(serverFirst)).rejects.toThrow(refused)
})

test('a server that proves nothing is refused before it was asked', () => {
  expect(() => new ScramClient('pencil', 'abc', unbound).verify('v=')).toThrow(refused)
})

test('the binding goes into the first message and the proof', async () => {
  const hash = Buffer.alloc(32, 7)
  const client = new ScramClient('pencil', 'abc', { kind: 'bound', hash })
  expect(client.first()).toBe('p=tls-server-end-point,,n=,r=abc')
  const sent = await client.final('r=abcdef,s=QSXCR+Q6sek8bf92,i=4096')
  const channel = Buffer.from(/^c=([^,]+)/.exec(sent)![1]!, 'base64')
  expect(channel).toEqual(Buffer.concat([Buffer.from('p=tls-server-end-point,,'), hash]))
})

test.each([
  ['plain', 'plain'],
  ['I\u00adX', 'IX'],
  ['\u00aa', 'a'],
  ['\u2168', 'IX'],
  ['a\u00a0b', 'a b'],
  ['bell\u0007ü', 'bell\u0007ü'],
])('SASLprep of %j is %j', (password, prepared) => {
  expect(saslPrepare(password)).toBe(prepared)
})

test('the hash for the binding follows the signature, but is never SHA-1', () => {
  const raw = Buffer.from('certificate')
  const digest = (name: string) => createHash(name).update(raw).digest()
  expect(endPointHash({ raw, signatureAlgorithm: 'ecdsa-with-SHA384' })).toEqual(digest('sha384'))
  expect(endPointHash({ raw, signatureAlgorithm: 'sha1WithRSAEncryption' })).toEqual(digest('sha256'))
  expect(endPointHash({ raw, signatureAlgorithm: 'sha512WithRSAEncryption' })).toEqual(digest('sha512'))
  expect(endPointHash({ raw, signatureAlgorithm: 'ED25519' })).toBeUndefined()
})

test('an MD5 answer is md5(md5(password login) salt)', () => {
  const inner = createHash('md5').update('secretreader').digest('hex')
  const salt = Buffer.from([1, 2, 3, 4])
  const outer = createHash('md5').update(inner).update(salt).digest('hex')
  expect(md5Password('reader', 'secret', salt)).toBe(`md5${outer}`)
})
