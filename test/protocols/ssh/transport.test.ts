import { execFile, spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, appendFile, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { duplexPair, PassThrough as Pipe, type Duplex } from 'node:stream'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sshKeyPair } from '../../../src/identity/ssh/keys.ts'
import { extensions } from '../../../src/protocols/ssh/library/extensions.ts'
import { loadLibrary } from '../../../src/protocols/ssh/library/load.ts'
import { acceptTransport, openTransport } from '../../../src/protocols/ssh/transport-over-library.ts'
import type { Transport } from '../../../src/protocols/ssh/transport.ts'
import { makeKey, publicKeyOf, startSshd, type TestSshd } from '../../servers/sshd.ts'
import { anyKey, letIn, openTarget, startPassThrough, type PassThrough } from './pass-through.ts'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0
const never = new AbortController().signal
const message = (text: string) => Buffer.concat([Buffer.of(200), Buffer.from(text)])

function ssh(port: number, sshd: TestSshd, ...args: string[]): string[] {
  const quiet = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR']
  return ['-p', `${port}`, '-i', sshd.userKeyFile, ...quiet.flatMap((each) => ['-o', each]), ...args]
}

function kemKey(): Buffer {
  return generateKeyPairSync('ml-kem-768').publicKey.export({ format: 'der', type: 'spki' }).subarray(-1184)
}

/** Both ends of one connection in this process; `between` sits on the wire. */
async function pair(
  between: (socket: Duplex) => Duplex = (socket) => socket,
  times: { readonly rekeyBytes?: number; readonly rekeyMs?: number } = {},
): Promise<{ client: Transport; server: Transport }> {
  const [near, far] = duplexPair()
  const options = { signal: AbortSignal.timeout(10_000), ...times }
  const [client, server] = await Promise.all([
    openTransport(near, { ...options, verifyHostKey: () => undefined }),
    acceptTransport(between(far), { ...options, hostKeys: [anyKey] }),
  ])
  return { client, server }
}

/** Hands on what the peer sends as `change` makes it; what is sent to the peer goes straight. */
function incoming(socket: Duplex, change: (chunk: Buffer, push: (bytes: Buffer) => void) => void): Duplex {
  const readable = new Pipe({ readableHighWaterMark: 1 << 20 })
  socket.on('data', (chunk: Buffer) => change(chunk, (bytes) => readable.write(bytes)))
  socket.on('close', () => readable.destroy())
  socket.on('end', () => readable.end())
  const proxy = new Proxy(socket, {
    get: (target, name) => {
      const isReading = ['on', 'pause', 'resume', 'off'].includes(String(name))
      const owner: Duplex = isReading ? readable : target
      if (name === 'destroy') return () => (readable.destroy(), target.destroy())
      const value: unknown = Reflect.get(owner, name, owner)
      return typeof value === 'function' ? (value as () => unknown).bind(owner) : value
    },
  })
  return proxy
}

async function nextMessage(transport: Transport): Promise<Buffer> {
  return await new Promise((done, reject) => {
    transport.gone.addEventListener('abort', () => reject(transport.gone.reason as Error))
    transport.onMessage = (received) => {
      transport.onMessage = null
      done(received)
    }
  })
}

async function reasonOf(transport: Transport): Promise<Error> {
  if (!transport.gone.aborted) await once(transport.gone, 'abort')
  return transport.gone.reason as Error
}

describe('two of ours', () => {
  test('agree on the hybrid key exchange and pass messages both ways', async () => {
    const { client, server } = await pair()
    expect(client.algorithms).toEqual({
      kex: 'mlkem768x25519-sha256',
      cipher: 'aes128-gcm@openssh.com',
      hostKey: 'ssh-ed25519',
    })
    expect(client.sessionId).toEqual(server.sessionId)
    expect(client.peerSoftware).toBe('Curfew')
    client.send(message('up'))
    server.send(message('down'))
    expect([await nextMessage(server), await nextMessage(client)].map(String)).toEqual(['\u{fffd}up', '\u{fffd}down'])
    client.disconnect('BY_APPLICATION', 'done')
    expect(String(await reasonOf(server))).toContain('done')
  })

  // Goal: nothing depends on where the system cuts the stream, from the first byte of the identification on.
  test('understand each other one byte at a time', async () => {
    const { client, server } = await pair((socket) =>
      incoming(socket, (chunk, push) => {
        for (const byte of chunk) push(Buffer.of(byte))
      }),
    )
    for (const length of [0, 1, 15, 16, 17, 1000]) client.send(message('x'.repeat(length)))
    for (const length of [0, 1, 15, 16, 17, 1000]) expect((await nextMessage(server)).length).toBe(length + 1)
    client.destroy()
  })

  test('take a message of almost 256 KiB', async () => {
    const { client, server } = await pair()
    const large = Buffer.concat([Buffer.of(94), randomBytes(256 * 1024 - 64)])
    client.send(large)
    expect(await nextMessage(server)).toEqual(large)
    client.destroy()
  })

  test('keep messages until somebody listens, and read no more meanwhile', async () => {
    const { client, server } = await pair()
    server.onMessage = null
    for (let number = 0; number < 200; number++) client.send(message(`${number} ${'-'.repeat(32_000)}`))
    while (!client.congested) await new Promise((turn) => setImmediate(turn))
    const numbers: number[] = []
    const drained = new Promise<void>((done) => (client.onDrain = done))
    server.onMessage = (received) => void numbers.push(Number.parseInt(received.subarray(1).toString(), 10))
    await drained
    while (numbers.length < 200) await new Promise((turn) => setImmediate(turn))
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, number) => number))
    expect(client.congested).toBe(false)
    client.destroy()
  })

  test('exchange keys again by bytes and by time without losing a message', async () => {
    const { client, server } = await pair(undefined, { rekeyBytes: 100_000, rekeyMs: 20 })
    const hashes = [client, server].map((end) => {
      const hash = createHash('sha256')
      let left = 500
      const { promise, resolve: done } = Promise.withResolvers<string>()
      end.onMessage = (received) => {
        hash.update(received)
        if (--left === 0) done(hash.digest('hex'))
      }
      return promise
    })
    const messages = Array.from({ length: 500 }, () => Buffer.concat([Buffer.of(94), randomBytes(7000)]))
    for (const each of messages) {
      client.send(each)
      server.send(each)
      if (Math.random() < 0.1) await new Promise((turn) => setImmediate(turn))
    }
    const expected = createHash('sha256').update(Buffer.concat(messages)).digest('hex')
    expect(await Promise.all(hashes)).toEqual([expected, expected])
    client.destroy()
  })

  // Goal: two connections whose senders rest for each other's sake do not wait for each other's keys for ever.
  test('exchange keys while one of them rests', async () => {
    const { client, server } = await pair()
    server.onMessage = () => undefined
    server.pause()
    server.rekey()
    server.send(message('under new keys'))
    expect((await nextMessage(client)).subarray(1).toString()).toBe('under new keys')
    client.destroy()
  })

  test('say goodbye in the middle of a key exchange, after what was sent before', async () => {
    const { client, server } = await pair()
    server.rekey()
    server.send(message('the last word'))
    server.disconnect('BY_APPLICATION', 'time is up')
    expect((await nextMessage(client)).subarray(1).toString()).toBe('the last word')
    expect(String(await reasonOf(client))).toContain('time is up')
  })

  test('end the connection when a listener throws', async () => {
    const { client, server } = await pair()
    server.onMessage = () => {
      throw new Error('cannot make sense of this')
    }
    client.send(message('?'))
    expect(String(await reasonOf(client))).toContain('cannot make sense of this')
    expect(String(await reasonOf(server))).toContain('cannot make sense of this')
  })

  test('verifyHostKey decides, and its reason is what openTransport rejects with', async () => {
    const [near, far] = duplexPair()
    const refusal = new Error('not this machine')
    const accepted = acceptTransport(far, { hostKeys: [anyKey], signal: never })
    const opened = openTransport(near, {
      signal: never,
      verifyHostKey: () => {
        throw refusal
      },
    })
    await expect(opened).rejects.toBe(refusal)
    await expect(accepted).rejects.toThrow('the host key is not known')
  })

  test('a host key that did not sign is refused', async () => {
    const [near, far] = duplexPair()
    const stolen = sshKeyPair(generateKeyPairSync('ed25519').privateKey).publicBlob
    const accepted = acceptTransport(far, { hostKeys: [{ ...anyKey, publicBlob: stolen }], signal: never })
    const opened = openTransport(near, { verifyHostKey: () => undefined, signal: never })
    await expect(opened).rejects.toThrow('the host key did not sign the key exchange')
    await accepted.then(reasonOf, () => undefined)
  })

  test.each([
    ['curve25519-sha256', 'a zero point', Buffer.alloc(32), 'small order|failed'],
    ['curve25519-sha256', 'a short key', Buffer.alloc(31, 9), 'wrong length'],
    ['mlkem768x25519-sha256', 'a short key', Buffer.alloc(1184 + 31, 1), 'wrong length'],
    ['mlkem768x25519-sha256', 'a key that is none', Buffer.alloc(1184 + 32, 0xff), ''],
    ['mlkem768x25519-sha256', 'a zero point', Buffer.concat([kemKey(), Buffer.alloc(32)]), 'small order|failed'],
  ])('%s refuses %s', (name, _what, theirs, words) => {
    // As the library's own is: it makes keys and says in which role it is.
    class Base {
      type = ''
      _protocol = { _server: true }
      _keys: unknown = null
      generateKeys(): void {
        this._keys ??= generateKeyPairSync('x25519')
      }
    }
    const bases = { Curve25519Exchange: Base, KeyExchange: Base } as unknown as Parameters<
      typeof extensions.exchange
    >[1]
    const exchange = extensions.exchange(name, bases, [] as never) as { computeSecret(key: Buffer): unknown }
    const answer = exchange.computeSecret(theirs)
    expect(answer).toBeInstanceOf(Error)
    expect((answer as Error).message).toMatch(new RegExp(words, 'u'))
  })

  test('a signal ends the handshake', async () => {
    const [, far] = duplexPair()
    const stop = new AbortController()
    const accepted = acceptTransport(far, { hostKeys: [anyKey], signal: stop.signal })
    stop.abort(new Error('too late'))
    await expect(accepted).rejects.toThrow('too late')
    expect(far.destroyed).toBe(true)
  })
})

describe('bytes that are not right', () => {
  // Goal: whatever is changed on the wire, the connection ends; no message comes through that was not sent.
  // Method: one byte of what the server reads is changed, left out, or doubled, anywhere from the first one on.
  test('never crash, hang, or come through', async () => {
    const change = fc.record({ at: fc.nat(2600), kind: fc.constantFrom('flip', 'drop', 'double'), bit: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(change, async ({ at, kind, bit }) => {
        const [near, far] = duplexPair()
        let seen = 0
        const damaged = incoming(far, (chunk, push) => {
          const index = at - seen
          seen += chunk.length
          if (index < 0 || index >= chunk.length) return push(chunk)
          const copy = Buffer.from(chunk)
          if (kind === 'flip') copy[index]! ^= 1 << bit
          const behind = kind === 'flip' || kind === 'drop' ? index + 1 : index
          push(copy.subarray(0, kind === 'drop' ? index : index + 1))
          push(copy.subarray(behind))
        })
        // A connection may wait for bytes that were left out: then its deadline ends it.
        const options = { signal: AbortSignal.timeout(kind === 'flip' ? 2000 : 150) }
        const [client, server] = await Promise.allSettled([
          openTransport(near, { ...options, verifyHostKey: () => undefined }),
          acceptTransport(damaged, { ...options, hostKeys: [anyKey] }),
        ])
        const ends = [client, server].flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))
        const received: string[] = []
        if (server.status === 'fulfilled')
          server.value.onMessage = (each) => void received.push(each.toString('latin1'))
        if (client.status === 'fulfilled') {
          for (let number = 0; number < 20; number++) client.value.send(message('y'.repeat(50)))
          await new Promise((turn) => setTimeout(turn, 5))
        }
        expect(new Set(received).size).toBeLessThanOrEqual(1)
        for (const end of ends) end.destroy()
      }),
      { numRuns: 60 },
    )
  }, 30_000)

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\n\r\n', 'does not speak SSH'],
    ['an identification without an end', `SSH-2.0-${'x'.repeat(300)}`, 'too long'],
    ['the old version', 'SSH-1.5-old\r\n', 'another version'],
    ['a zero byte', 'SSH-2.0-a\0b\r\n', 'another version'],
    ['noise after it', `SSH-2.0-x\r\n${'\x7f'.repeat(100)}`, 'Bad packet length'],
  ])('%s is refused at once', async (_name, bytes, words) => {
    const [near, far] = duplexPair()
    const accepted = acceptTransport(far, { hostKeys: [anyKey], signal: never })
    near.on('error', () => undefined).resume()
    near.write(Buffer.from(bytes, 'latin1'))
    await expect(accepted).rejects.toThrow(words)
  })

  test('a client that waits for our offer gets it', async () => {
    const [near, far] = duplexPair()
    const stop = new AbortController()
    const accepted = acceptTransport(far, { hostKeys: [anyKey], signal: stop.signal })
    near.write('SSH-2.0-patient\r\n')
    let received = ''
    for await (const chunk of near as AsyncIterable<Buffer>) {
      received += chunk.toString('latin1')
      if (received.includes('kex-strict-s-v00@openssh.com')) break
    }
    stop.abort(new Error('enough'))
    await expect(accepted).rejects.toThrow('enough')
  })

  test('endless packets before the key exchange are refused', async () => {
    const [near, far] = duplexPair()
    const accepted = acceptTransport(far, { hostKeys: [anyKey], signal: never })
    near.on('error', () => undefined).resume()
    near.write('SSH-2.0-x\r\n')
    const ignore = Buffer.alloc(4 + 2044)
    ignore.writeUInt32BE(2044, 0)
    ignore[4] = 10
    ignore[5] = 2
    for (let count = 0; count < 40; count++) near.write(ignore)
    await expect(accepted).rejects.toThrow('too much was sent')
  })

  test('a library that is not the pinned one is refused', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'curfew-ssh2-'))
    try {
      await cp(resolve('node_modules/ssh2/lib/protocol'), join(copy, 'lib/protocol'), { recursive: true })
      await appendFile(join(copy, 'lib/protocol/kex.js'), '\n')
      await expect(loadLibrary(copy)).rejects.toThrow('kex.js is not the one of ssh2 1.17.0')
    } finally {
      await rm(copy, { recursive: true })
    }
  })
})

describe.runIf(isRoot)('with OpenSSH (needs root, as sshd does)', () => {
  let sshd: TestSshd
  let through: PassThrough
  beforeAll(async () => {
    sshd = await startSshd()
    const rsa = sshKeyPair(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
    const ecdsa = sshKeyPair(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    through = await startPassThrough(sshd, { hostKeys: [anyKey, ecdsa, rsa] })
  })
  afterAll(async () => {
    await through[Symbol.asyncDispose]()
    await sshd[Symbol.asyncDispose]()
  })

  const clientWishes = [
    ...['curve25519-sha256', 'curve25519-sha256@libssh.org', 'diffie-hellman-group16-sha512'].map((kex) => ({ kex })),
    ...['diffie-hellman-group14-sha256', 'diffie-hellman-group-exchange-sha256'].map((kex) => ({ kex })),
    ...['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'].map((cipher) => ({
      cipher,
    })),
    ...['aes128-ctr', 'aes192-ctr', 'aes256-ctr'].map((cipher) => ({ cipher })),
    ...['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'].map(
      (mac) => ({
        cipher: 'aes128-ctr',
        mac,
      }),
    ),
    ...['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'].map((hostKey) => ({ hostKey })),
  ] as { kex?: string; cipher?: string; mac?: string; hostKey?: string }[]

  test.each(clientWishes)('ssh comes in with %o', async ({ kex, cipher, mac, hostKey }) => {
    const options = [
      ...(kex === undefined ? [] : [`KexAlgorithms=${kex}`]),
      ...(cipher === undefined ? [] : [`Ciphers=${cipher}`]),
      ...(mac === undefined ? [] : [`MACs=${mac}`]),
      ...(hostKey === undefined ? [] : [`HostKeyAlgorithms=${hostKey}`]),
    ].flatMap((option) => ['-o', option])
    const args = ssh(through.port, sshd, ...options, 'root@127.0.0.1', 'head -c 200000 /dev/zero | tr "\\0" x; exit 7')
    const failure = (await run('ssh', args).catch((error: unknown) => error)) as { code: number; stdout: string }
    expect(failure).toMatchObject({ code: 7, stdout: 'x'.repeat(200_000) })
    const { algorithms } = through.pairs.at(-1)!.client
    if (kex !== undefined) expect(algorithms.kex).toBe(kex)
    if (cipher !== undefined) expect(algorithms.cipher).toBe(cipher)
    if (hostKey !== undefined) expect(algorithms.hostKey).toBe(hostKey)
  })

  test('ssh with its own order of ciphers gets the one that is fastest here', async () => {
    await run('ssh', ssh(through.port, sshd, 'root@127.0.0.1', 'true'))
    expect(through.pairs.at(-1)!.client.algorithms.cipher).toBe('aes128-gcm@openssh.com')
  })

  test.each(['3des-cbc', 'aes128-cbc'])('ssh does not come in with %s', async (cipher) => {
    await expect(run('ssh', ssh(through.port, sshd, '-c', cipher, 'root@127.0.0.1', 'true'))).rejects.toThrow()
    expect(String(through.errors.at(-1))).toContain('no matching')
  })

  test.each([
    ['KexAlgorithms', 'curve25519-sha256'],
    ['KexAlgorithms', 'ecdh-sha2-nistp256'],
    ['KexAlgorithms', 'ecdh-sha2-nistp384'],
    ['KexAlgorithms', 'ecdh-sha2-nistp521'],
    ['KexAlgorithms', 'diffie-hellman-group16-sha512'],
    ['KexAlgorithms', 'diffie-hellman-group18-sha512'],
    ['KexAlgorithms', 'diffie-hellman-group14-sha256'],
    ['Ciphers', 'aes128-gcm@openssh.com'],
    ['Ciphers', 'aes256-gcm@openssh.com'],
    ['Ciphers', 'chacha20-poly1305@openssh.com'],
    ['Ciphers', 'aes256-ctr'],
    ['HostKeyAlgorithms', 'ecdsa-sha2-nistp256'],
    ['HostKeyAlgorithms', 'rsa-sha2-512'],
    ['HostKeyAlgorithms', 'rsa-sha2-256'],
  ])('sshd with %s %s lets us in', async (setting, name) => {
    const hostKeyType = name.startsWith('rsa') ? 'rsa' : name.startsWith('ecdsa') ? 'ecdsa' : 'ed25519'
    await using narrow = await startSshd({ hostKeyTypes: [hostKeyType], extraConfig: [`${setting} ${name}`] })
    const target = await openTarget(narrow)
    expect(Object.values(target.algorithms)).toContain(name)
    target.destroy()
  })

  test('sshd with SHA-1 and CBC alone does not', async () => {
    await using old = await startSshd({
      extraConfig: ['KexAlgorithms diffie-hellman-group14-sha1', 'Ciphers aes128-cbc'],
    })
    await expect(openTarget(old)).rejects.toThrow('no matching')
  })

  test.each(['ed25519', 'ecdsa', 'rsa'] as const)(
    'a host certificate over a key of type %s comes whole',
    async (type) => {
      const authorityFile = join(sshd.folder, `authority_${type}`)
      await makeKey(authorityFile, 'ed25519')
      const hostCertificate = { authorityFile, principals: ['127.0.0.1'] }
      await using certified = await startSshd({ hostKeyTypes: [type], hostCertificate })
      const shown: Buffer[] = []
      const target = await openTarget(certified, { verifyHostKey: (blob) => void shown.push(Buffer.from(blob)) })
      expect(target.algorithms.hostKey).toMatch(/-cert-v01@openssh\.com$/u)
      const plain = Buffer.from((await publicKeyOf(authorityFile)).split(' ')[1]!, 'base64')
      expect(shown[0]!.includes(plain)).toBe(true)
      target.destroy()
    },
  )

  test('the client reads why it is sent away', async () => {
    const goodbye = { reason: 'BY_APPLICATION', description: 'Your access has ended. Ask again.' } as const
    await using dismissing = await startPassThrough(sshd, { goodbye })
    const args = ssh(dismissing.port, sshd, 'root@127.0.0.1', 'true')
    await expect(run('ssh', args)).rejects.toThrow('Your access has ended. Ask again.')
  })

  // Goal: new keys in the middle of everything, asked for by all four sides, with both directions full.
  test.each([
    ['by OpenSSH alone', undefined, 'aes128-gcm@openssh.com'],
    ['by us, too', 1024 * 1024, 'aes128-gcm@openssh.com'],
    ['with a cipher that counts packets', 1024 * 1024, 'chacha20-poly1305@openssh.com'],
    ['with a cipher that is a stream', 1024 * 1024, 'aes256-ctr'],
  ])(
    'bulk data survives rekeying %s',
    async (_name, rekeyBytes, cipher) => {
      await using narrow = await startSshd({ extraConfig: ['RekeyLimit 1M', `Ciphers ${cipher}`] })
      await using busy = await startPassThrough(narrow, rekeyBytes === undefined ? {} : { rekeyBytes })
      const data = randomBytes(16 * 1024 * 1024)
      const child = spawn('ssh', ssh(busy.port, narrow, '-c', cipher, '-o', 'RekeyLimit=1M', 'root@127.0.0.1', 'cat'))
      child.stdin.on('error', () => undefined)
      child.stdin.end(data)
      const hash = createHash('sha256')
      child.stdout.on('data', (chunk: Buffer) => hash.update(chunk))
      const complaints: string[] = []
      child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString()))
      const [code] = (await once(child, 'close')) as [number]
      expect({ code, complaints }).toEqual({ code: 0, complaints: [] })
      expect(hash.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'))
      expect(busy.errors).toEqual([])
    },
    30_000,
  )

  test('an endless client that is never answered is held, and costs no memory', async () => {
    const accepted = Promise.withResolvers<Transport>()
    const server = createServer((socket: Socket) => {
      void acceptTransport(socket, { hostKeys: [anyKey], signal: never }).then(async (transport) => {
        await letIn(transport)
        accepted.resolve(transport)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = await openTransport(connect(port, '127.0.0.1'), { verifyHostKey: () => undefined, signal: never })
    client.send(Buffer.concat([Buffer.of(5), Buffer.from([0, 0, 0, 1, 0x61])]))
    client.send(Buffer.of(50))
    const transport = await accepted.promise
    transport.pause()
    transport.pause()
    transport.onMessage = () => undefined
    while (!client.congested) client.send(Buffer.alloc(32_000, 94))
    transport.resume()
    const read = transport.bytesRead
    await new Promise((turn) => setTimeout(turn, 50))
    expect(transport.bytesRead - read).toBeLessThan(256 * 1024)
    const drained = new Promise<void>((done) => (client.onDrain = done))
    transport.resume()
    await drained
    client.destroy()
    server.close()
  })
})
