// Goal: a token of a trusted issuer becomes a token of exactly one machine, for no longer than it held itself, and nothing
// else becomes one. Method: the real room over the real state; a real issuer over HTTP; tokens wrong in one way each.
import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { base64url, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  definitionOf,
  isMachine,
  machineId,
  machineIssuer,
  type Machine,
  type MachineIssuer,
} from '../../src/identity/machine.ts'
import { machineScopes } from '../../src/identity/machines.ts'
import { toOpenSessions } from '../../src/identity/tokens.ts'
import { gatewayAudience, startMachineIssuer, type MachineIssuerServer } from '../servers/machine-issuer.ts'
import { startProviderFor, type OidcProvider } from '../servers/oidc.ts'
import { openIdentity, publicUrl, type Opened } from './open.ts'

const algorithms = ['RS256', 'ES256', 'EdDSA']
const from = { address: '198.51.100.7' }
const shop = { repository: 'org/shop', ref: 'refs/heads/main' }

let provider: OidcProvider
let issuer: MachineIssuerServer
let ci: MachineIssuer
let machines: readonly Machine[]
let room: Opened
beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  issuer = await startMachineIssuer()
  ci = { name: 'ci', issuer: issuer.issuer, audience: gatewayAudience, keys: null, algorithms, ca: null }
  machines = [
    machine(
      'ci-deploy',
      { repository: ['org/shop'], ref: ['refs/heads/main', 'refs/tags/v*'] },
      { groups: ['deployers'] },
    ),
    machine('ci-test', { repository: ['org/shop'] }),
    machine('ci-nightly', { repository: ['org/night'], attempt: ['1'], protected: ['true'] }, { tokenMs: 3_600_000 }),
  ]
  room = await openIdentity(provider.issuer, {}, { machines: { issuers: [ci], machines } })
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

function machine(name: string, claims: Machine['claims'], over: Partial<Machine> = {}): Machine {
  return { name, issuer: ci, claims, groups: [], tokenMs: 900_000, askedForBy: [], ...over }
}

const exchange = (subjectToken: string, over: { machine?: string; scopes?: typeof machineScopes } = {}) =>
  room.identity.machines.exchange({ subjectToken, machine: over.machine ?? null, scopes: over.scopes ?? null }, from)
const sign = (claims: Readonly<Record<string, unknown>> = {}) => issuer.sign({ ...shop, ...claims })
const nowS = () => Math.floor(room.clock.now() / 1000)

test('a token becomes a machine’s, and opens sessions', async () => {
  const { text, token, person } = await exchange(await sign({ jti: 'job-1' }), { machine: 'ci-deploy' })
  expect(person).toMatchObject({ id: machineId('ci-deploy'), kind: 'machine', name: 'ci-deploy', email: null })
  expect(person).toMatchObject({ groups: ['deployers'], issuer: machineIssuer, subject: 'ci-deploy' })
  expect(token).toMatchObject({ kind: 'access', label: 'ci: repo:org/shop', scopes: machineScopes })
  const known = await room.identity.tokens.verify(text, toOpenSessions, from)
  expect(known).toMatchObject({ person: { id: person.id }, token: { id: token.id } })
  expect((await room.audited('token.exchanged')).at(-1)).toMatchObject({
    person: person.id,
    personName: 'ci-deploy',
    data: {
      ...{ issuer: issuer.issuer, subject: 'repo:org/shop', jti: 'job-1', address: from.address, token: token.id },
      claims: ['repository=org/shop', 'ref=refs/heads/main'],
    },
  })
})

test('the same token may come again: a job that is tried again is the same machine', async () => {
  const subjectToken = await sign()
  const [one, two] = [
    await exchange(subjectToken, { machine: 'ci-test' }),
    await exchange(subjectToken, { machine: 'ci-test' }),
  ]
  expect(one.person.id).toBe(two.person.id)
  expect(one.text).not.toBe(two.text)
})

test('what is made never holds longer than what it was made from, nor than the machine’s tokens do', async () => {
  const exp = nowS() + 120
  const short = await exchange(await sign({ exp }), { machine: 'ci-test' })
  expect(short.token.expiresAt).toBe(exp * 1000)
  const long = await exchange(await sign({ exp: nowS() + 86_400 }), { machine: 'ci-test' })
  expect(long.token.expiresAt - long.token.createdAt).toBe(900_000)
  room.clock.pass(120_000)
  await expect(room.identity.tokens.verify(short.text, toOpenSessions, from)).rejects.toMatchObject({
    code: 'TOKEN_REFUSED',
  })
  room.clock.pass(-120_000)
})

test('which machine it is is said where several fit, and must fit where it is said', async () => {
  await expect(exchange(await sign())).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('ci-deploy, ci-test'),
  })
  expect((await exchange(await sign({ ref: 'refs/heads/topic' }))).person.name).toBe('ci-test')
  expect((await exchange(await sign({ ref: 'refs/tags/v1.2' }), { machine: 'ci-deploy' })).person.name).toBe(
    'ci-deploy',
  )
  const topic = exchange(await sign({ ref: 'refs/heads/topic' }), { machine: 'ci-deploy' })
  await expect(topic).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  const numbers = await sign({ repository: 'org/night', attempt: 1, protected: true })
  expect((await exchange(numbers)).person.name).toBe('ci-nightly')
})

test('fewer scopes are given where fewer are asked for, and never more than machines may have', async () => {
  const { token } = await exchange(await sign(), { machine: 'ci-test', scopes: ['sessions'] })
  expect(token.scopes).toEqual(['sessions'])
  for (const scopes of [['all'], ['decide'], ['tokens'], ['sessions', 'locks']] as const) {
    await expect(exchange(await sign(), { machine: 'ci-test', scopes })).rejects.toMatchObject({
      code: 'INSUFFICIENT_SCOPE',
    })
  }
})

/** Wrong in one way each; what the refusal says of it. */
const wrong: readonly (readonly [string, () => Promise<string>, string])[] = [
  ['nothing', async () => '', 'no JWT'],
  ['no JWT', async () => 'x.y.z', 'no JWT'],
  ['a token that is too long', async () => sign({ more: 'x'.repeat(20_000) }), 'too long'],
  ['another audience', async () => sign({ aud: 'https://other.example.test' }), 'another audience'],
  ['no audience', async () => sign({ aud: undefined }), 'another audience'],
  ['another issuer', async () => sign({ iss: 'https://other.example.test' }), 'not trusted'],
  ['the issuer with a slash', async () => sign({ iss: `${issuer.issuer}/` }), 'not trusted'],
  ['the issuer of machines in the state', async () => sign({ iss: machineIssuer }), 'not trusted'],
  ['no issuer', async () => sign({ iss: undefined }), 'not trusted'],
  ['a token that is over', async () => sign({ exp: nowS() - 31 }), 'it is over'],
  ['a token that was over a moment ago', async () => sign({ exp: nowS() - 1 }), 'it is over'],
  ['a token without an end', async () => sign({ exp: undefined }), 'until when'],
  ['a token without a beginning', async () => sign({ iat: undefined }), 'since when'],
  ['a token without a subject', async () => sign({ sub: undefined }), 'no subject'],
  ['a token with an empty subject', async () => sign({ sub: '' }), 'no subject'],
  ['a token of the future', async () => sign({ iat: nowS() + 60 }), 'future'],
  ['a token that does not hold yet', async () => sign({ nbf: nowS() + 60 }), 'does not hold yet'],
  ['a logout token', async () => issuer.sign(shop, { typ: 'logout+jwt' }), 'another type'],
  ['claims of no machine', async () => sign({ repository: 'org/other' }), 'no machine'],
  ['a claim that only begins right', async () => sign({ repository: 'org/shop-evil' }), 'no machine'],
  ['a claim in capitals', async () => sign({ repository: 'ORG/SHOP' }), 'no machine'],
  ['a claim that is a map', async () => sign({ repository: { 'org/shop': true } }), 'no machine'],
  ['a key that its issuer does not have', async () => issuer.sign(shop, { kid: 'unknown' }), 'not one of its issuer'],
  ['a signature by another key', foreignSignature, 'signature'],
  ['no signature', unsigned, 'algorithm'],
  ['no signature, and the true header', strippedSignature, 'signature'],
  ['the public key taken for a secret', hmacWithPublicKey, 'algorithm'],
  ['an algorithm that is not allowed', otherAlgorithm, 'algorithm'],
  ['a changed claim', changedClaim, 'signature'],
]

async function foreignSignature(): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256')
  return issuer.sign(shop, { key: privateKey })
}

function usual(): JWTPayload {
  return { ...shop, iss: issuer.issuer, aud: gatewayAudience, sub: 'x', iat: nowS(), exp: nowS() + 300 }
}

async function unsigned(): Promise<string> {
  return new UnsecuredJWT(usual()).encode()
}

async function strippedSignature(): Promise<string> {
  return `${(await sign()).split('.').slice(0, 2).join('.')}.`
}

/** @see RFC 8725 section 2.1 */
async function hmacWithPublicKey(): Promise<string> {
  const key = issuer.keys[0]!
  const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  return new SignJWT(usual()).setProtectedHeader({ alg: 'HS256', kid: key.kid! }).sign(Buffer.from(pem))
}

async function otherAlgorithm(): Promise<string> {
  const { privateKey } = await generateKeyPair('PS256')
  return new SignJWT(usual()).setProtectedHeader({ alg: 'PS256', kid: issuer.keys[0]!.kid! }).sign(privateKey)
}

async function changedClaim(): Promise<string> {
  const [head, , signature] = (await sign({ repository: 'org/other' })).split('.')
  return `${head}.${base64url.encode(JSON.stringify(usual()))}.${signature}`
}

test.for(wrong)('%s is refused', async ([, make, why]) => {
  const refused = await exchange(await make(), { machine: 'ci-test' }).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'TOKEN_REFUSED' })
  expect((refused as Error).message).toContain(why.startsWith('no machine') ? 'not a token of that machine' : why)
})

test('refusals are recorded with their reason and without the token, some of them', async () => {
  const bad = await sign({ aud: 'https://other.example.test', ref: 'a-secret-name' })
  const fresh = { address: '198.51.100.99' }
  for (let count = 0; count < 15; count++) {
    await expect(
      room.identity.machines.exchange({ subjectToken: bad, machine: null, scopes: null }, fresh),
    ).rejects.toThrow()
  }
  const recorded = (await room.audited('token.exchange-refused')).filter(
    ({ data }) => data['address'] === fresh.address,
  )
  expect(recorded).toHaveLength(10)
  expect(recorded[0]).toMatchObject({ person: null, data: { code: 'TOKEN_REFUSED', reason: /audience/ } })
  expect(JSON.stringify(recorded)).not.toMatch(/a-secret-name|eyJ/)
})

test('keys are fetched once; an unknown one makes us look again, but not all the time', async () => {
  await using other = await startMachineIssuer()
  const own = { ...ci, issuer: other.issuer }
  const settings = { issuers: [own], machines: [machine('ci-other', { repository: ['org/shop'] }, { issuer: own })] }
  await using opened = await openIdentity(provider.issuer, {}, { machines: settings })
  const ask = async (token: string) =>
    opened.identity.machines.exchange({ subjectToken: token, machine: null, scopes: null }, from)
  other.fail(true)
  await expect(ask(await other.sign(shop))).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  other.fail(false)
  other.metadata = { issuer: 'https://somebody.example', jwks_uri: `${other.issuer}/keys` }
  await expect(ask(await other.sign(shop))).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  other.metadata = { issuer: other.issuer, jwks_uri: 'http://keys.example/keys' }
  await expect(ask(await other.sign(shop))).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
  other.metadata = undefined
  for (let count = 0; count < 3; count++) await ask(await other.sign(shop))
  const keysAsked = () => other.asked.filter((path) => path === '/keys').length
  expect(keysAsked()).toBe(1)
  for (let count = 0; count < 20; count++) {
    await expect(ask(await other.sign(shop, { kid: `x${count}` }))).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  }
  expect(keysAsked()).toBe(1)
})

test('keys that are given by a file or an address are used, and no others', async () => {
  const byAddress = { ...ci, keys: new URL(`${issuer.issuer}/keys`) }
  const byFile = { ...ci, keys: { keys: [...issuer.keys] } }
  const before = issuer.asked.length
  for (const own of [byAddress, byFile]) {
    const settings = { issuers: [own], machines: [machine('ci-own', { repository: ['org/shop'] }, { issuer: own })] }
    await using opened = await openIdentity(provider.issuer, {}, { machines: settings })
    const wish = { subjectToken: await sign(), machine: null, scopes: null }
    expect((await opened.identity.machines.exchange(wish, from)).person.name).toBe('ci-own')
  }
  expect(issuer.asked.slice(before)).toEqual(['/keys'])
})

test('a machine makes no tokens and is no person', async () => {
  const { person } = await exchange(await sign(), { machine: 'ci-deploy' })
  const wish = { label: 'for ever', kind: 'access', lengthMs: 1000 } as const
  await expect(room.identity.tokens.make(person, wish)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  const erin = (await room.signIn('erin')).person
  expect(erin.kind).toBeUndefined()
  expect(room.identity.machines.askedForBy(erin)).toEqual([])
})

test('every machine is known before it comes; those that changed or went lose what they had', async () => {
  await using opened = await openIdentity(provider.issuer, {}, { machines: { issuers: [ci], machines } })
  const { identity, state } = opened
  const wish = async (name: string) => ({ subjectToken: await sign(), machine: name, scopes: null })
  expect(await identity.machines.byName('ci-nightly')).toMatchObject({ id: machineId('ci-nightly'), kind: 'machine' })
  expect(await identity.machines.byName('ci-unknown')).toBeUndefined()
  const [deploy, tested] = [
    await identity.machines.exchange(await wish('ci-deploy'), from),
    await identity.machines.exchange(await wish('ci-test'), from),
  ]

  const narrower = { ...machines[0]!, claims: { ...machines[0]!.claims, environment: ['production'] } }
  const regrouped = { ...machines[1]!, groups: ['testers'], tokenMs: 60_000 }
  const restarted = await opened.again({ issuers: [ci], machines: [narrower, regrouped] })
  await expect(restarted.tokens.verify(deploy.text, toOpenSessions, from)).rejects.toMatchObject({
    code: 'TOKEN_REFUSED',
  })
  expect(opened.changes).toContainEqual({
    kind: 'credential-revoked',
    person: deploy.person.id,
    credential: deploy.token.id,
  })
  expect((await restarted.tokens.verify(tested.text, toOpenSessions, from)).person.groups).toEqual(['testers'])
  expect((await opened.audited('token.revoked')).map(({ data }) => data['cause'])).toEqual(['machine changed'])

  const empty = await opened.again({ issuers: [], machines: [] })
  await expect(empty.tokens.verify(tested.text, toOpenSessions, from)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  expect(await state.identity.person(tested.person.id)).toMatchObject({ groups: [], kind: 'machine' })
  await expect(empty.machines.exchange(await wish('ci-test'), from)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
})

test('a machine’s id hangs on its name alone, and its definition on whatever lets a token in', () => {
  expect(machineId('ci-deploy')).toMatch(/^person-[a-z2-7]{16}$/)
  expect(machineId('ci-deploy')).not.toBe(machineId('ci-deplox'))
  const [one] = machines
  const same = { ...one!, groups: ['others'], tokenMs: 1, askedForBy: ['x'] }
  expect(definitionOf(same)).toBe(definitionOf(one!))
  const others = [
    { ...one!, claims: { repository: ['org/shop'] } },
    { ...one!, issuer: { ...ci, audience: 'x' } },
    { ...one!, issuer: { ...ci, issuer: 'https://x.example' } },
    { ...one!, issuer: { ...ci, keys: { keys: [] } } },
  ]
  expect(new Set([one!, ...others].map(definitionOf)).size).toBe(5)
})

test('a machine is one by all of its conditions together, and by nothing that only looks like them', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('x', 'y'))
  const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text), fc.object())
  const said = fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'constructor'), value)
  const pattern = text.filter((one) => !one.includes('*'))
  const wanted = fc.dictionary(
    fc.constantFrom('a', 'b', 'constructor'),
    fc.array(pattern, { minLength: 1, maxLength: 2 }),
  )
  fc.assert(
    fc.property(said, wanted, (claims, conditions) => {
      const holds = ([name, values]: [string, readonly string[]]) =>
        Object.hasOwn(claims, name) &&
        [claims[name]].flat().some((one) => one !== null && typeof one !== 'object' && values.includes(String(one)))
      const all = Object.entries(conditions)
      expect(isMachine({ ...machines[0]!, claims: conditions }, claims)).toBe(all.length > 0 && all.every(holds))
      // Every machine whose conditions hold, holds with a star in their place.
      const wider = Object.fromEntries(all.map(([name]) => [name, ['*']]))
      if (isMachine({ ...machines[0]!, claims: conditions }, claims)) {
        expect(isMachine({ ...machines[0]!, claims: wider }, claims)).toBe(true)
      }
    }),
  )
})
