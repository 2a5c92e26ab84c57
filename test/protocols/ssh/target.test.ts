import { execFile } from 'node:child_process'
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCertificate } from '../../../src/identity/ssh/certificate.ts'
import { sshKeyPair, sshPublicLine } from '../../../src/identity/ssh/keys.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import { readKnownHosts } from '../../../src/protocols/ssh/known-hosts.ts'
import { ephemeralCredential } from '../../../src/protocols/ssh/role-key.ts'
import { connectTarget, type Target, type TargetDeps } from '../../../src/protocols/ssh/target.ts'
import { acceptTransport } from '../../../src/protocols/ssh/transport-over-library.ts'
import type { SshResource, SshRole } from '../../../src/resources/catalogue.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { HandClock } from '../../clock.ts'
import {
  fingerprintOf,
  makeKey,
  publicKeyOf,
  startSshd,
  type TestSshd,
  type TestSshdOptions,
} from '../../servers/sshd.ts'
import { anyKey } from './pass-through.ts'

const isRoot = process.getuid?.() === 0
const never = new AbortController().signal
const authority = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
const authorityLine = sshPublicLine(authority, 'test')
const hourMs = 3_600_000
const now = Date.now() as Instant
const deps: TargetDeps = {
  clock: new HandClock(now),
  random: { id: (prefix) => `${prefix}-aaaaaaaaaaaaaaaa`, bytes: (length) => randomBytes(length) },
  authority,
}

const session = { id: 'session-abc', personName: 'alice@example.com', person: 'person-a' } as unknown as Session
const role: SshRole = {
  kind: 'ssh',
  name: 'root',
  description: '',
  login: 'root',
  key: null,
  allow: ['shell', 'sftp', 'forward-local'],
  recordInput: false,
  recording: 'strict',
}

function resourceAt(host: string, port: number, hostKeys: Partial<SshResource['hostKeys']>): SshResource {
  const none = { fingerprints: [], knownHosts: null, authorities: [] }
  return {
    kind: 'ssh',
    name: 'web-1',
    description: '',
    labels: {},
    host,
    port,
    hostKeys: { ...none, ...hostKeys },
    keepalives: null,
    roles: {},
  }
}

async function connectTo(
  resource: SshResource,
  more: { readonly role?: Partial<SshRole>; readonly deps?: Partial<TargetDeps>; readonly signal?: AbortSignal } = {},
): Promise<Target> {
  const wish = { resource, role: { ...role, ...more.role }, session, until: (now + hourMs) as Instant }
  return await connectTarget(wish, more.signal ?? never, { ...deps, ...more.deps })
}

async function refusal(attempt: Promise<Target>): Promise<Fault> {
  const outcome: unknown = await attempt.catch((error: unknown) => error)
  if (!(outcome instanceof Fault)) throw new Error(`no Fault but ${String(outcome)}`, { cause: outcome })
  return outcome
}

describe('known_hosts', () => {
  const key = sshPublicLine(anyKey, '')
  const hashed = (name: string) => {
    const salt = randomBytes(20)
    return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
  }
  test.each([
    ['web-1.example.com', 22, true],
    ['WEB-1.example.com', 22, true],
    ['other,web-1.example.com', 22, true],
    ['*.example.com', 22, true],
    ['web-?.example.com', 22, true],
    ['*', 22, true],
    ['*.example.com,!web-1.*', 22, false],
    ['*.example.org', 22, false],
    ['web-1', 22, false],
    ['web-1.example.com.', 22, false],
    ['[web-1.example.com]:2222', 2222, true],
    ['[web-1.example.com]:2222', 2223, false],
    ['[web-1.example.com]:2222', 22, false],
    ['web-1.example.com', 2222, true],
    [hashed('web-1.example.com'), 22, true],
    [hashed('[web-1.example.com]:2222'), 2222, true],
    [hashed('web-2.example.com'), 22, false],
  ])('%s at port %i: %s', (hosts, port, isKnown) => {
    const { keys } = readKnownHosts(`# note\n\n${hosts} ${key} comment\n`, 'web-1.example.com', port)
    expect(keys.length).toBe(isKnown ? 1 : 0)
  })

  test('authorities, revoked keys and lines that say nothing are told apart', () => {
    const text = `@cert-authority * ${key}\n@revoked * ${key}\n@else * ${key}\nhost only\n* ssh-ed25519 AAAA\n\u{0}\r\n`
    const found = readKnownHosts(text, 'h', 22)
    expect([found.keys.length, found.authorities.length, found.revoked.length]).toEqual([0, 1, 1])
  })

  test('a pattern of many stars takes no time', () => {
    const started = performance.now()
    readKnownHosts(`${'*a'.repeat(500)}b ${key}`, 'a'.repeat(250), 22)
    expect(performance.now() - started).toBeLessThan(200)
  })
})

test('an ephemeral certificate is good for this login, this session and no longer', () => {
  const { publicBlob } = ephemeralCredential({ role, session, until: (now + 1500) as Instant }, { ...deps, now })
  const certificate = readCertificate(publicBlob)
  expect(certificate).toMatchObject({
    type: 'user',
    keyId: 'alice@example.com session-abc',
    principals: ['root'],
    validAfter: Math.floor(now / 1000) - 60,
    validBefore: Math.ceil((now + 1500) / 1000),
    criticalOptions: {},
    extensions: { 'permit-pty': '', 'permit-port-forwarding': '' },
  })
})

describe('a target that does not answer as it should', () => {
  async function listen(serve: (socket: Socket) => void): Promise<{ port: number } & AsyncDisposable> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined))
      serve(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy()
        server.close()
        await once(server, 'close')
      },
    }
  }
  const pins = { fingerprints: ['SHA256:x'] }

  test('nobody listens', async () => {
    const gone = await listen(() => undefined)
    await gone[Symbol.asyncDispose]()
    const fault = await refusal(connectTo(resourceAt('127.0.0.1', gone.port, pins)))
    expect(fault).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', message: 'web-1 cannot be reached.' })
  })

  test('it never says anything', async () => {
    await using silent = await listen(() => undefined)
    const clock = new HandClock(now)
    const attempt = refusal(connectTo(resourceAt('127.0.0.1', silent.port, pins), { deps: { clock } }))
    clock.pass(10_000)
    expect(await attempt).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', message: 'web-1 did not answer in time.' })
  })

  test('it speaks another protocol', async () => {
    await using web = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const fault = await refusal(connectTo(resourceAt('127.0.0.1', web.port, pins)))
    expect(fault.code).toBe('UPSTREAM_UNREACHABLE')
  })

  test('the session is over before', async () => {
    await using silent = await listen(() => undefined)
    const stop = new AbortController()
    const attempt = connectTo(resourceAt('127.0.0.1', silent.port, pins), { signal: stop.signal })
    const cause = new Fault('KILLED', 'The session was ended.')
    stop.abort(cause)
    await expect(attempt).rejects.toBe(cause)
  })

  // A server of our own, that does whatever a case says once the client asks for authentication.
  async function serverThat(answers: (send: (message: Buffer) => void) => void) {
    return await listen((socket) => {
      void acceptTransport(socket, { hostKeys: [anyKey], signal: never }).then((transport) => {
        transport.onMessage = (message) => {
          if (message[0] === 5) transport.send(Buffer.concat([Buffer.of(6), message.subarray(1)]))
          else answers((each) => transport.send(each))
        }
      })
    })
  }
  const string = (text: string) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(text))
    return Buffer.concat([length, Buffer.from(text)])
  }
  const banner = (text: string) => Buffer.concat([Buffer.of(53), string(text), string('')])
  const knownHosts = `* ${sshPublicLine(anyKey, '')}`

  test('its banners are kept, without what would move a cursor', async () => {
    await using polite = await serverThat((send) => {
      send(banner('Authorised \u{1b}[31muse\u{7} only\r\nSecond line\n'))
      send(Buffer.of(52))
      send(Buffer.of(80, 0, 0, 0, 1, 0x78, 0))
    })
    const target = await connectTo(resourceAt('127.0.0.1', polite.port, { knownHosts }))
    expect(target.banners).toEqual(['Authorised [31muse only\nSecond line\n'])
    const [first] = await new Promise<Buffer[]>((done) => (target.transport.onMessage = (message) => done([message])))
    expect(first![0]).toBe(80)
    target.transport.destroy()
  })

  test.each([
    ['too much to say', (send: (message: Buffer) => void) => send(banner('x'.repeat(17 * 1024))), 'more than'],
    [
      'no end',
      (send: (message: Buffer) => void) => Array.from({ length: 80 }, () => send(banner('x'))),
      'to the point',
    ],
    [
      'a second factor',
      (send: (message: Buffer) => void) => send(Buffer.concat([Buffer.of(51), string('password'), Buffer.of(1)])),
      'more than a key',
    ],
    ['a surprise', (send: (message: Buffer) => void) => send(Buffer.of(94)), 'as expected'],
    ['half a message', (send: (message: Buffer) => void) => send(Buffer.of(51, 0, 0)), 'cannot be read'],
  ])('it has %s', async (_name, answers, words) => {
    await using odd = await serverThat(answers)
    const fault = await refusal(connectTo(resourceAt('127.0.0.1', odd.port, { knownHosts })))
    expect(fault.code).toBe('UPSTREAM_REFUSED')
    expect(fault.message).toContain(words)
  })
})

describe.runIf(isRoot)('a real sshd (needs root, as sshd does)', () => {
  let sshd: TestSshd
  let folder: string
  let hostAuthority: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'curfew-target-'))
    hostAuthority = join(folder, 'host_ca')
    await makeKey(hostAuthority, 'ed25519')
    sshd = await startSshd({ hostKeyTypes: ['ed25519', 'ecdsa'], trustedUserCa: [authorityLine] })
  })
  afterAll(async () => {
    await sshd[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  const known = () => resourceAt(sshd.host, sshd.port, { fingerprints: [sshd.hostKeyFingerprint] })

  test('takes the certificate, whose key id is in its log', async () => {
    const target = await connectTo(known())
    expect(target.hostKey).toBe(sshd.hostKeyFingerprint)
    await sshd.untilLogged('ID "alice@example.com session-abc"')
    target.transport.destroy()
  })

  test('does not take a certificate of somebody else, and nothing secret is said', async () => {
    const stranger = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
    const fault = await refusal(connectTo(known(), { deps: { authority: stranger } }))
    expect(fault).toMatchObject({
      code: 'UPSTREAM_REFUSED',
      message: 'web-1 did not take the gateway\'s certificate for the login "root".',
    })
  })

  test.each([
    ['ed25519', []],
    ['ecdsa', []],
    ['rsa', ['-b', '2048']],
    ['rsa', ['-b', '2048', '-m', 'PEM']],
    ['ecdsa', ['-m', 'PKCS8', '-b', '384']],
  ] as const)("takes the role's key of type %s %j", async (type, more) => {
    const file = join(folder, `role_${type}_${more.length}`)
    await makeKey(file, type, ...more)
    await using server = await startSshd({ authorizedKeys: [await publicKeyOf(file)] })
    const resource = resourceAt(server.host, server.port, { knownHosts: `127.0.0.1 ${server.hostKeys[0]}` })
    const target = await connectTo(resource, { role: { key: new Secret(await readFile(file, 'utf8')) } })
    target.transport.destroy()
  })

  test('a target that wants rsa-sha2-256 gets it', async () => {
    const file = join(folder, 'role_256')
    await makeKey(file, 'rsa', '-b', '2048')
    await using server = await startSshd({
      authorizedKeys: [await publicKeyOf(file)],
      extraConfig: ['PubkeyAcceptedAlgorithms rsa-sha2-256'],
    })
    const resource = resourceAt(server.host, server.port, { knownHosts: `* ${server.hostKeys[0]}` })
    const target = await connectTo(resource, { role: { key: new Secret(await readFile(file, 'utf8')) } })
    target.transport.destroy()
  })

  test.each([
    [
      'with a passphrase',
      async (file: string) => await promisify(execFile)('ssh-keygen', ['-q', '-p', '-N', 'secret1', '-f', file]),
    ],
    ['that is damaged', async () => undefined],
  ])("the role's key %s is refused in words that do not show it", async (name, spoil) => {
    const file = join(folder, `role_bad_${name.length}`)
    await makeKey(file, 'ed25519')
    await spoil(file)
    const text = await readFile(file, 'utf8')
    const key = new Secret(name.includes('damaged') ? text.replace('AAAA', 'AAAB') : text)
    const fault = await refusal(connectTo(known(), { role: { key } }))
    expect(fault).toMatchObject({ code: 'UPSTREAM_REFUSED', message: 'The key of the role "root" cannot be read.' })
    expect(fault.cause).toBeUndefined()
  })

  test('a host key that nobody knows is refused with its fingerprint', async () => {
    const fault = await refusal(connectTo(resourceAt(sshd.host, sshd.port, { knownHosts: 'other ssh-ed25519 AAAA' })))
    expect(fault.code).toBe('HOST_KEY_UNKNOWN')
    expect(fault.message).toBe(
      `web-1 showed a host key that the gateway does not know: ssh-ed25519 ${sshd.hostKeyFingerprint}.`,
    )
  })

  test('a fingerprint of its second key is found, too', async () => {
    const ecdsa = await fingerprintOf(join(sshd.folder, 'host_ecdsa.pub'))
    const target = await connectTo(resourceAt(sshd.host, sshd.port, { fingerprints: [ecdsa] }))
    expect(target.hostKey).toBe(ecdsa)
    target.transport.destroy()
  })

  test('the key that known_hosts has is the one that is asked for', async () => {
    const ecdsa = sshd.hostKeys[1]!
    const target = await connectTo(
      resourceAt(sshd.host, sshd.port, { knownHosts: `[127.0.0.1]:${sshd.port} ${ecdsa}` }),
    )
    expect(target.transport.algorithms.hostKey).toBe('ecdsa-sha2-nistp256')
    target.transport.destroy()
  })

  test('a revoked key is refused although it is pinned', async () => {
    const knownHosts = `@revoked * ${sshd.hostKeys[0]}`
    const pins = { knownHosts, fingerprints: [sshd.hostKeyFingerprint] }
    expect((await refusal(connectTo(resourceAt(sshd.host, sshd.port, pins)))).message).toContain('It is revoked.')
  })

  const certified = async (certificate: Omit<NonNullable<TestSshdOptions['hostCertificate']>, 'authorityFile'>) =>
    await startSshd({
      trustedUserCa: [authorityLine],
      hostCertificate: { authorityFile: hostAuthority, ...certificate },
    })

  test.each(['authorities', 'known_hosts'])('a host certificate is believed by %s', async (where) => {
    await using server = await certified({ principals: ['other', '127.0.0.1'] })
    const line = await publicKeyOf(hostAuthority)
    const hostKeys = where === 'authorities' ? { authorities: [line] } : { knownHosts: `@cert-authority 127.* ${line}` }
    const target = await connectTo(resourceAt(server.host, server.port, hostKeys))
    expect(target.transport.algorithms.hostKey).toBe('ssh-ed25519-cert-v01@openssh.com')
    expect(target.hostKey).toBe(server.hostKeyFingerprint)
    target.transport.destroy()
  })

  test.each([
    ['of another host', { principals: ['other'] }, 'does not name this host'],
    ['that has expired', { principals: ['127.0.0.1'], validity: '-2h:-1h' }, 'has expired'],
    ['from tomorrow', { principals: ['127.0.0.1'], validity: '+1d:+2d' }, 'not valid yet'],
  ])('a host certificate %s is not', async (_name, certificate, words) => {
    await using server = await certified(certificate)
    const hostKeys = { authorities: [await publicKeyOf(hostAuthority)] }
    const fault = await refusal(connectTo(resourceAt(server.host, server.port, hostKeys)))
    expect(fault.code).toBe('HOST_KEY_UNKNOWN')
    expect(fault.message).toContain(words)
  })

  test('a host certificate of another authority is not', async () => {
    await using server = await certified({ principals: ['127.0.0.1'] })
    const hostKeys = { authorities: [authorityLine] }
    const fault = await refusal(connectTo(resourceAt(server.host, server.port, hostKeys)))
    expect(fault.message).toContain('authority is not known')
  })
})
