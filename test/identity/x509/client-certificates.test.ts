import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { clientAuthority } from '../../../src/identity/x509/authority.ts'
import { signX509, type X509Contents } from '../../../src/identity/x509/certificate.ts'
import { clientCertificateMsMax } from '../../../src/identity/x509/client-certificates.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { startProviderFor, type OidcProvider } from '../../servers/oidc.ts'
import { from, openIdentity, publicUrl } from '../open.ts'

const hourMs = 3_600_000

function keyPair(curve = 'P-256') {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  return { privateKey, publicKey, der: derOf(publicKey) }
}

function derOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

describe('a client certificate', () => {
  let oidc: OidcProvider
  beforeAll(async () => {
    oidc = await startProviderFor(publicUrl)
  })
  afterAll(() => oidc[Symbol.asyncDispose]())

  async function opened() {
    const room = await openIdentity(oidc.issuer)
    onTestFinished(() => room[Symbol.asyncDispose]())
    const { person } = await room.signIn('erin')
    const session = await room.identity.tokens.make(person, { label: 'CLI', kind: 'cli', lengthMs: 24 * hourMs })
    const pair = keyPair()
    const owner = { person, token: session.token }
    const issued = await room.identity.certificates.issue(owner, pair.der)
    const certificate = new X509Certificate(issued.certificate)
    const contents: X509Contents = {
      ...{
        subject: { organisation: 'x', common: 'ada' },
        issuer: room.clientAuthority.name,
        serial: Buffer.alloc(16, 7),
      },
      ...{ publicKey: pair.publicKey, validFrom: (room.clock.now() - hourMs) as Instant },
      ...{ validUntil: (room.clock.now() + hourMs) as Instant, uri: `curfew:${person.id}/${session.token.id}` },
    }
    const show = (one: X509Certificate) => room.identity.certificates.verify(one, from)
    const { identity, clock, clientAuthority: authority } = room
    return { room, identity, clock, authority, person, owner, pair, issued, certificate, contents, show }
  }

  test('says who it is for, and lets them in', async () => {
    const { room, person, owner, pair, issued, certificate, authority, clock, show } = await opened()
    expect(certificate.checkIssued(authority.certificate)).toBe(true)
    expect(certificate.verify(authority.publicKey)).toBe(true)
    expect(certificate.checkPrivateKey(pair.privateKey)).toBe(true)
    expect(certificate.subject).toBe(`O=gw.example.test\nCN=${person.email}`)
    expect(certificate.subjectAltName).toBe(`URI:curfew:${person.id}/${owner.token.id}`)
    expect([certificate.ca, certificate.keyUsage]).toEqual([false, ['1.3.6.1.5.5.7.3.2']])
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
    expect(certificate.validToDate.getTime()).toBe(issued.expiresAt)
    expect(issued.expiresAt).toBeLessThanOrEqual(clock.now() + clientCertificateMsMax)
    expect(await show(certificate)).toMatchObject({
      ...{ person: person.id, credential: owner.token.id, browserSession: null },
      certificate: certificate.serialNumber.toLowerCase(),
    })
    const [made] = await room.audited('certificate.made')
    expect(made?.data).toMatchObject({ token: owner.token.id, format: 'x509', until: expect.any(String) as string })
  })

  test('lasts 12 hours at most, and no longer than the sign-in', async () => {
    const { identity, person, owner, clock, show, certificate } = await opened()
    const short = await identity.tokens.make(person, { label: 'CLI', kind: 'cli', lengthMs: hourMs })
    const issued = await identity.certificates.issue({ person, token: short.token }, keyPair().der)
    expect(short.token.expiresAt - issued.expiresAt).toBeLessThan(1000)
    clock.pass(clientCertificateMsMax)
    await expect(show(certificate)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED', hint: /curfew login/ })
    const again = await identity.certificates.issue(owner, keyPair().der)
    expect(await show(new X509Certificate(again.certificate))).toBeDefined()
  })

  test('ends with the sign-in', async () => {
    const { room, identity, person, owner, certificate, show } = await opened()
    await identity.own.revoke(person, owner.token.id)
    await expect(show(certificate)).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(await room.untilChange('credential-revoked')).toMatchObject({ credential: owner.token.id })
    const [refused] = await room.audited('certificate.refused')
    expect(refused?.data).toMatchObject({
      reason: 'of a token that was revoked',
      address: from.address,
      format: 'x509',
    })
    await expect(identity.certificates.issue(owner, keyPair().der)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  })

  test('of somebody else is none; one in our name is refused', async () => {
    const { show, contents } = await opened()
    const other = keyPair().privateKey
    const theirs = clientAuthority(other, 'elsewhere.example', contents.validFrom)
    expect(await show(new X509Certificate(signX509({ ...contents, issuer: theirs.name }, other)))).toBeUndefined()
    await expect(show(new X509Certificate(signX509(contents, other)))).rejects.toMatchObject({
      code: 'CERTIFICATE_REFUSED',
    })
  })

  const wrong: readonly (readonly [string, (right: X509Contents) => Partial<X509Contents>])[] = [
    ['for another purpose', () => ({ uri: null })],
    ['not valid yet', ({ validUntil }) => ({ validFrom: (validUntil - 60_000) as Instant })],
    ['unknown', () => ({ uri: 'curfew:person-nobody/token-none' })],
    ['unknown', ({ uri }) => ({ uri: uri!.replace(/person-\w+/, 'person-other') })],
    ['unknown', ({ uri }) => ({ uri: `${uri!}/more` })],
  ]
  test.each(wrong)('that is %s is refused', async (reason, change) => {
    const { room, show, contents, authority } = await opened()
    const made = (more: Partial<X509Contents>) =>
      new X509Certificate(signX509({ ...contents, ...more }, authority.privateKey))
    expect(await show(made({}))).toBeDefined()
    await expect(show(made(change(contents)))).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect((await room.audited('certificate.refused')).map(({ data }) => data['reason'])).toEqual([reason])
  })

  test('is refused when one byte of it is another', async () => {
    const { show, certificate } = await opened()
    const at = certificate.raw.indexOf(Buffer.from('curfew:person-')) + 'curfew:person-'.length
    const raw = Buffer.from(certificate.raw)
    raw[at] = raw[at] === 0x61 ? 0x62 : 0x61
    await expect(show(new X509Certificate(raw))).rejects.toMatchObject({ code: 'CERTIFICATE_REFUSED' })
  })

  test('is made for keys of P-256 only, and for the session of the CLI only', async () => {
    const { identity, owner, person, pair } = await opened()
    const keys = [
      keyPair('P-384').der,
      derOf(generateKeyPairSync('ed25519').publicKey),
      derOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
      pair.der.subarray(0, 40),
      Buffer.alloc(600),
    ]
    for (const key of keys) {
      await expect(identity.certificates.issue(owner, key)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    }
    const { token } = await identity.tokens.make(person, { label: 'a program', kind: 'access', lengthMs: hourMs })
    await expect(identity.certificates.issue({ person, token }, pair.der)).rejects.toMatchObject({
      code: 'TOKEN_REFUSED',
    })
  })
})
