import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readCertificate, signCertificate, type CertificateContents } from '../../../src/identity/ssh/certificate.ts'
import { sshKeyPair, type SshKeyPair } from '../../../src/identity/ssh/keys.ts'
import { fingerprintOf, publicBlobOf } from '../../../src/identity/ssh/public-key.ts'
import { sshCertificateMsMax } from '../../../src/identity/ssh/ssh-identity.ts'
import type { Person } from '../../../src/identity/person.ts'
import type { Token } from '../../../src/identity/store.ts'
import { startProviderFor } from '../../servers/oidc.ts'
import type { OidcProvider } from '../../servers/oidc.ts'
import { openIdentity, publicUrl } from '../open.ts'
import type { Opened } from '../open.ts'
import { everyType, type Signer } from './key-types.ts'

const hourMs = 3_600_000
let provider: OidcProvider
let room: Opened
let erin: Person
let token: Token
let lastAddress = 0

beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  room = await openIdentity(provider.issuer)
  erin = (await room.signIn('erin')).person
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
beforeEach(async () => {
  room.clock.pass(60_000)
  token = await cliToken()
})

const keys = everyType()
const freshAddress = () => ({ address: `198.51.100.${++lastAddress}` })
const lineOf = ({ type, blob }: Pick<Signer, 'type' | 'blob'>) => `${type} ${blob.toString('base64')} erin@laptop`
const blobOf = (certificate: string) => Buffer.from(certificate.split(' ')[1]!, 'base64')
const verify = (blob: Uint8Array) => room.identity.ssh.verifyCertificate(blob, freshAddress())
const lastReason = async () => (await room.audited('certificate.refused')).at(-1)?.data['reason']

async function cliToken(lengthMs = 24 * hourMs): Promise<Token> {
  return (await room.identity.tokens.make(erin, { label: 'laptop', kind: 'cli', lengthMs })).token
}

async function issue(key: Signer = keys[0]!): Promise<Buffer> {
  return blobOf((await room.identity.ssh.issueCertificate({ person: erin, token }, lineOf(key))).certificate)
}

describe('issuing', () => {
  test.each(keys.map((key) => [key.type, key] as const))('for %s: ssh-keygen reads it, we know it', async (_, key) => {
    const { certificate } = await room.identity.ssh.issueCertificate({ person: erin, token }, lineOf(key))
    const shown = execFileSync('ssh-keygen', ['-L', '-f', '-'], { input: `${certificate}\n`, encoding: 'utf8' })
    expect(shown).toContain(`Key ID: "curfew ${token.id}"`)
    expect(shown).toMatch(new RegExp(`Principals: \\n\\s+curfew-${erin.id}\\n`))
    expect(shown).toMatch(/permit-agent-forwarding\n\s+permit-port-forwarding\n\s+permit-pty\n/)
    expect(await verify(blobOf(certificate))).toEqual({
      ...{ person: erin.id, personName: 'erin@example.test', credential: token.id, browserSession: null },
    })
  })

  test('is recorded, and marks the token as used when it is shown', async () => {
    const blob = await issue()
    const data = { token: token.id, key: fingerprintOf(keys[0]!.blob) }
    expect((await room.audited('certificate.made')).at(-1)).toMatchObject({ person: erin.id, data })
    expect((await room.state.identity.token(token.id))?.lastUsedAt).toBeNull()
    await verify(blob)
    expect((await room.state.identity.token(token.id))?.lastUsedAt).toBe(room.clock.now())
  })

  test('no longer than twelve hours, nor than the token', async () => {
    const long = await room.identity.ssh.issueCertificate({ person: erin, token }, lineOf(keys[0]!))
    expect(long.expiresAt).toBe(Math.floor((room.clock.now() + sshCertificateMsMax) / 1000) * 1000)
    expect(readCertificate(blobOf(long.certificate)).validBefore * 1000).toBe(long.expiresAt)
    const short = await cliToken(hourMs)
    const { expiresAt } = await room.identity.ssh.issueCertificate({ person: erin, token: short }, lineOf(keys[0]!))
    expect(expiresAt).toBe(Math.floor(short.expiresAt / 1000) * 1000)
  })

  const weak = publicBlobOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)
  test.each([
    ['nothing', ''],
    ['RSA of 1024 bits', `ssh-rsa ${weak.toString('base64')}`],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
    ['another type than it says', `ssh-rsa ${keys[0]!.blob.toString('base64')}`],
    ['far too much', `ssh-ed25519 ${'A'.repeat(100_000)}`],
  ])('never for %s', async (_, line) => {
    const issued = room.identity.ssh.issueCertificate({ person: erin, token }, line)
    await expect(issued).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test('never for a certificate', async () => {
    const { certificate } = await room.identity.ssh.issueCertificate({ person: erin, token }, lineOf(keys[0]!))
    const again = room.identity.ssh.issueCertificate({ person: erin, token }, certificate)
    await expect(again).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test("never on a token that ended, is for databases, or is somebody else's", async () => {
    const access = await room.identity.tokens.make(erin, { label: 'x', kind: 'access', lengthMs: hourMs })
    const ended = await cliToken()
    await room.identity.own.revoke(erin, ended.id)
    const ada = (await room.signIn('ada')).person
    for (const owner of [
      { person: erin, token: access.token },
      { person: erin, token: ended },
      { person: ada, token },
    ]) {
      const issued = room.identity.ssh.issueCertificate(owner, lineOf(keys[0]!))
      await expect(issued).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
    }
  })

  test('not without end', async () => {
    for (let count = 0; count < 30; count++) await issue()
    await expect(issue()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    room.clock.pass(60_000)
    await issue()
  })
})

describe('a certificate is refused', () => {
  const nowSeconds = () => Math.floor(room.clock.now() / 1000)

  function signed(over: Partial<CertificateContents> = {}, by: SshKeyPair = room.authority): Buffer {
    const window = { validAfter: nowSeconds() - 60, validBefore: nowSeconds() + 600 }
    const names = { keyId: `curfew ${token.id}`, principals: [`curfew-${erin.id}`] }
    const rest = { serial: 1n, criticalOptions: {}, extensions: {}, nonce: randomBytes(32) }
    return signCertificate({ type: 'user', publicBlob: keys[0]!.blob, ...names, ...window, ...rest, ...over }, by)
  }

  test('but not one that is as it should be', async () => {
    expect(await verify(signed())).toMatchObject({ person: erin.id, credential: token.id })
  })

  test.each<[string, () => Uint8Array]>([
    ['of another authority', () => signed({}, sshKeyPair(generateKeyPairSync('ed25519').privateKey))],
    ['for a host', () => signed({ type: 'host' })],
    ['not valid yet', () => signed({ validAfter: nowSeconds() + 2 })],
    ['over', () => signed({ validBefore: nowSeconds() })],
    ['with a critical option that is not known', () => signed({ criticalOptions: { 'force-command': 'ls' } })],
    ['for other addresses', () => signed({ criticalOptions: { 'source-address': '192.0.2.0/24,2001:db8::/32' } })],
    ['for other addresses', () => signed({ criticalOptions: { 'source-address': 'nonsense,198.51.100.0/,/' } })],
    ['for other addresses', () => signed({ criticalOptions: { 'source-address': '::/0' } })],
    ['unknown', () => signed({ keyId: 'curfew token-unknown' })],
    ['unknown', () => signed({ keyId: token.id })],
    ['unknown', () => signed({ principals: ['curfew-person-other'] })],
    ['unknown', () => signed({ principals: [] })],
    ['unreadable', () => signed().subarray(0, 200)],
    ['unreadable', () => keys[0]!.blob],
  ])('%s', async (reason, make) => {
    await expect(verify(make())).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await lastReason()).toBe(reason)
  })

  test('with one bit turned in its signature', async () => {
    const blob = signed()
    blob[blob.length - 1]! ^= 1
    await expect(verify(blob)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await lastReason()).toBe('of another authority')
  })

  test('once its token has ended, is over, or is not of the CLI', async () => {
    const blob = await issue()
    await room.identity.own.revoke(erin, token.id)
    await expect(verify(blob)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect((await room.audited('certificate.refused')).at(-1)).toMatchObject({
      ...{ person: erin.id, data: { reason: 'of a token that was revoked', certificate: `curfew ${token.id}` } },
    })
    const access = await room.identity.tokens.make(erin, { label: 'x', kind: 'access', lengthMs: hourMs })
    const ofAccess = signed({ keyId: `curfew ${access.token.id}` })
    await expect(verify(ofAccess)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await lastReason()).toBe('of a token of kind access')
    const short = await cliToken(1000)
    const ofShort = signed({ keyId: `curfew ${short.id}` })
    room.clock.pass(1000)
    await expect(verify(ofShort)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await lastReason()).toBe('of a token that is over')
  })

  test('by time alone', async () => {
    const blob = await issue()
    room.clock.pass(sshCertificateMsMax - 1000)
    await verify(blob)
    room.clock.pass(1000)
    await expect(verify(blob)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await lastReason()).toBe('over')
  })

  test('with one sentence for every reason, and at most ten lines a minute in the audit log', async () => {
    const [address, messages] = [freshAddress(), new Set<string>()]
    const before = (await room.audited('certificate.refused')).length
    for (let count = 0; count < 6; count++) {
      for (const blob of [signed({ type: 'host' }), Buffer.alloc(count), signed({ keyId: 'curfew \u001b[31m' })]) {
        const refused = await room.identity.ssh.verifyCertificate(blob, address).catch((error: unknown) => error)
        expect(refused).toMatchObject({ code: 'CERTIFICATE_REFUSED' })
        messages.add((refused as Error).message)
      }
    }
    expect(messages.size).toBe(1)
    const recorded = await room.audited('certificate.refused')
    expect(recorded).toHaveLength(before + 10)
    expect(JSON.stringify(recorded)).not.toMatch(/\\u001b/)
    expect(await room.identity.ssh.verifyCertificate(signed(), address)).toMatchObject({ person: erin.id })
  })
})

test('addresses that it names are let in', async () => {
  const make = (sourceAddress: string) => {
    const seconds = Math.floor(room.clock.now() / 1000)
    const window = { validAfter: seconds - 1, validBefore: seconds + 600, serial: 1n }
    const names = { keyId: `curfew ${token.id}`, principals: [`curfew-${erin.id}`], extensions: {} }
    const rest = { criticalOptions: { 'source-address': sourceAddress }, nonce: randomBytes(32) }
    return signCertificate({ type: 'user', publicBlob: keys[0]!.blob, ...names, ...window, ...rest }, room.authority)
  }
  const ssh = room.identity.ssh
  for (const [addresses, address] of [
    ['192.0.2.7', '192.0.2.7'],
    ['10.0.0.0/8,192.0.2.0/24', '::ffff:192.0.2.9'],
    ['10.0.0.0/8,2001:db8::/32', '2001:DB8::7'],
  ] as const) {
    expect(await ssh.verifyCertificate(make(addresses), { address })).toMatchObject({ person: erin.id })
  }
})

test('what came in by a certificate stands as long as its token', async () => {
  const identified = await verify(await issue())
  expect(await room.identity.stands(identified)).toBe(true)
  await room.identity.own.revoke(erin, token.id)
  expect(room.changes.at(-1)).toEqual({ kind: 'credential-revoked', person: erin.id, credential: token.id })
  expect(await room.identity.stands(identified)).toBe(false)
})
