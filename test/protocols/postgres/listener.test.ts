import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../../scripts/certificates.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import { faultCodes } from '../../../src/kernel/fault.ts'
import { sqlstate } from '../../../src/protocols/postgres/fault-sqlstate.ts'
import { query, readReport, type Report } from '../../../src/protocols/postgres/messages.ts'
import { cancelRequest, sslRequest, startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { proxyHeader } from '../proxy-bytes.ts'
import { openStage, readAll, type Stage, type StageOptions } from './stage.ts'

let postgres: TestPostgres
let stage: Stage
beforeAll(async () => {
  postgres = await startPostgres()
  stage = await openStage(postgres)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

const start = startupMessage([
  ['user', 'readonly'],
  ['database', 'shop'],
])

/** What came back, read as one ErrorResponse. */
function reportOf(bytes: Buffer): Report {
  expect(String.fromCharCode(bytes[0]!)).toBe('E')
  expect(bytes.length).toBe(bytes.readInt32BE(1) + 1)
  return readReport(bytes.subarray(5))
}

async function say(bytes: Buffer, on: Stage = stage): Promise<Buffer> {
  const socket = on.raw()
  const all = readAll(socket)
  await once(socket, 'connect')
  socket.write(bytes)
  return all
}

async function beginTls(
  on: Stage = stage,
  options: Pick<ConnectionOptions, 'ALPNProtocols' | 'maxVersion' | 'key' | 'cert'> = {},
): Promise<TLSSocket> {
  const socket = on.raw()
  socket.write(sslRequest)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toBe('S')
  const tls = connectTls({ socket, ca: on.ca, servername: 'localhost', ...options })
  await once(tls, 'secureConnect')
  return tls
}

test('a load balancer says where the client is; nobody else may', async () => {
  await withStage({ plaintext: true, balancers: ['127.0.0.0/8'], perAddressMax: 2 }, async (own) => {
    own.identity.remembered = true
    const socket = own.raw()
    socket.write(Buffer.concat([proxyHeader('203.0.113.9', 4711), start]))
    await expect.poll(() => own.gate.asks.length).toBe(1)
    expect(own.gate.asks[0]!.client).toMatchObject({ address: '203.0.113.9', port: 4711 })
    socket.destroy()
    // Without a header.
    expect(reportOf(await say(start, own))).toMatchObject({ sqlstate: '08P01' })
    // Whoever is behind it is counted by their own address.
    const waiting = Array.from({ length: 3 }, () => own.raw())
    for (const one of waiting) one.write(proxyHeader('203.0.113.10', 1))
    const answers = waiting.map((one) => readAll(one))
    const refused = await Promise.race(answers)
    expect(reportOf(refused)).toMatchObject({ sqlstate: '53300' })
    for (const one of waiting) one.destroy()
  })
  await withStage({ plaintext: true, balancers: ['192.0.2.0/24'] }, async (own) => {
    expect(reportOf(await say(Buffer.concat([proxyHeader('203.0.113.9', 4711), start]), own))).toMatchObject({
      sqlstate: '08P01',
    })
  })
})

async function withStage(options: StageOptions, work: (own: Stage) => Promise<void>): Promise<void> {
  await using own = await openStage(postgres, options)
  await work(own)
}

test('every fault has an SQLSTATE', () => {
  for (const code of faultCodes) expect(sqlstate[code]).toMatch(/^[0-9A-Z]{5}$/)
})

test('without TLS it says that TLS is needed', async () => {
  expect(reportOf(await say(start))).toMatchObject({
    severity: 'FATAL',
    sqlstate: '28000',
    hint: expect.stringContaining('sslmode=require'),
  })
})

test('bytes stuffed behind an SSLRequest are not processed', async () => {
  const report = reportOf(await say(Buffer.concat([sslRequest, start])))
  expect(report).toMatchObject({ sqlstate: '08P01', message: expect.stringContaining('unprotected') })
})

test('GSSENCRequest is answered N, then TLS goes on', async () => {
  const socket = stage.raw()
  const gss = Buffer.from(sslRequest)
  gss.writeInt32BE(80_877_104, 4)
  socket.write(gss)
  expect(((await once(socket, 'data')) as [Buffer])[0].toString()).toBe('N')
  socket.write(sslRequest)
  expect(((await once(socket, 'data')) as [Buffer])[0].toString()).toBe('S')
  socket.destroy()
})

test('SSLRequest inside TLS, and one after the other without TLS, are refused', async () => {
  const tls = await beginTls()
  const all = readAll(tls)
  tls.write(sslRequest)
  expect(reportOf(await all)).toMatchObject({ sqlstate: '08P01' })
})

test('TLS 1.2 is taken, direct TLS with the ALPN too, without it not', async () => {
  const old = await beginTls(stage, { maxVersion: 'TLSv1.2', ALPNProtocols: ['postgresql'] })
  expect(old.alpnProtocol).toBe('postgresql')
  old.destroy()
  const direct = (options: object) =>
    connectTls({ host: '127.0.0.1', port: stage.port, ca: stage.ca, servername: 'localhost', ...options })
  const good = direct({ ALPNProtocols: ['postgresql'] })
  await once(good, 'secureConnect')
  const wrong = startupMessage([
    ['user', 'readonly'],
    ['database', 'shop'],
    ['client_encoding', 'nonsense'],
  ])
  good.write(wrong)
  const answer = await readAll(good)
  expect(answer.subarray(0, 9).toString('hex')).toBe('520000000800000000')
  expect(readReport(answer.subarray(14)).message).toContain('client_encoding')
  const bad = direct({})
  bad.write(wrong) // where nobody refuses it before, it is answered, and this fails at once
  expect(reportOf(await readAll(bad))).toMatchObject({ sqlstate: '08P01', message: expect.stringContaining('ALPN') })
  await expect(once(direct({ ALPNProtocols: ['http/1.1'] }), 'secureConnect')).rejects.toMatchObject({
    code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  })
})

test('a client cannot renegotiate', async () => {
  const tls = await beginTls(stage, { maxVersion: 'TLSv1.2' })
  const outcome = await new Promise<string>((resolve) => {
    tls.on('error', (error) => resolve(error.message)).on('close', () => resolve('closed'))
    tls.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null ? 'renegotiated' : error.message))
  })
  expect(outcome).not.toBe('renegotiated')
})

test.for(['TLSv1.2', 'TLSv1.3'] as const)(
  'a client’s chain of certificates is read only as far as honest ones go (%s)',
  async (version) => {
    const { certificate, key } = await issue(await makeAuthority('somebody'), { names: ['x'], purpose: 'both' })
    const others = await Promise.all(Array.from({ length: 40 }, (_, at) => makeAuthority(`link ${at}`)))
    await withStage({}, async (own) => {
      const refused = () => own.metrics.counts.get('curfew_connections_refused_total postgres PROTOCOL_VIOLATION') ?? 0
      const show = async (length: number): Promise<'in' | 'refused'> => {
        const before = refused()
        const cert = [certificate, ...others.slice(0, length).map((one) => one.certificate)].join('')
        const tls = await beginTls(own, { maxVersion: version, key, cert }).catch(() => null)
        const said = tls === null ? [] : await saidTo(tls)
        if (said.length > 0) return 'in'
        await expect.poll(refused).toBe(before + 1)
        return 'refused'
      }
      expect(await show(12)).toBe('refused')
      expect(await show(1)).toBe('in')
      // Somebody came in from there, so the bound is off; until more comes than any honest client sends.
      expect(await show(12)).toBe('in')
      expect(await show(40)).toBe('in')
      expect(await show(12)).toBe('refused')
    })
  },
)

test('a long startup message may come right behind the handshake', async () => {
  const { certificate: cert, key } = await issue(await makeAuthority('somebody'), { names: ['x'], purpose: 'both' })
  const long = startupMessage([
    ['user', 'readonly'],
    ['database', 'shop'],
    ['application_name', 'x'.repeat(9000)],
  ])
  await withStage({}, async (own) => {
    await using gatherer = await gathering(own.port, long.length)
    const socket = connect(gatherer.port, '127.0.0.1')
    socket.write(sslRequest)
    await once(socket, 'data')
    const tls = connectTls({ socket, ca: own.ca, servername: 'localhost', cert, key })
    tls.on('error', () => undefined).once('secureConnect', () => tls.write(long))
    expect(String(await Promise.race([once(tls, 'data'), once(tls, 'close').then(() => 'closed')]))).toMatch(/^R/)
    tls.destroy()
  })
})

/** Passes on a request for TLS and a hello as they come, and what follows in one piece of at least so many bytes. */
async function gathering(port: number, bytesMin: number): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((client) => {
    const behind = connect(port, '127.0.0.1').on('error', () => undefined)
    behind.pipe(client.on('error', () => undefined))
    let pieces = 0
    const held: Buffer[] = []
    client.on('data', (piece: Buffer) => {
      held.push(piece)
      const isWhole = ++pieces <= 2 || Buffer.concat(held).length >= bytesMin
      if (isWhole) behind.write(Buffer.concat(held.splice(0)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as AddressInfo
  return {
    port: own,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

/** The first bytes after a startup message; nothing where the connection just ends. */
async function saidTo(tls: TLSSocket): Promise<readonly Buffer[]> {
  tls.on('error', () => undefined)
  const first = Promise.race([once(tls, 'data'), once(tls, 'close').then(() => [])])
  tls.write(start)
  const said = (await first) as Buffer[]
  tls.destroy()
  return said
}

test.each([
  ['a length below 8', '00000004'],
  ['a length above 10,000', '00002711'],
  ['a negative length', 'ffffffff'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
  ['protocol 2', '0000000800020000'],
])('%s gets an ErrorResponse', async (_name, hex) => {
  expect(reportOf(await say(Buffer.from(hex, 'hex'))).severity).toBe('FATAL')
})

test('garbage never stops it', async () => {
  await withStage({ handshakeMs: 100, perAddressMax: 1000 }, async (own) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, asStartup) => {
        const head = asStartup ? Buffer.from([0, 0, 0, bytes.length + 8, 0, 3, 0, 0]) : Buffer.alloc(0)
        const socket = own.raw()
        const all = readAll(socket)
        await once(socket, 'connect')
        socket.end(Buffer.concat([head, bytes]))
        await all
      }),
      { numRuns: 60 },
    )
    expect(own.logged.filter(({ level }) => level === 'error')).toEqual([])
    expect(own.gate.asks).toEqual([])
  })
})

test('half a startup message, sent byte by byte, is given up in time', async () => {
  await withStage({ handshakeMs: 150 }, async (own) => {
    const socket = own.raw()
    const all = readAll(socket)
    let at = 0
    const timer = setInterval(() => at < start.length - 1 && socket.write(start.subarray(at, ++at)), 5)
    expect(reportOf(await all).message).toContain('in time')
    clearInterval(timer)
    const silentTls = await beginTls(own)
    await once(silentTls.resume(), 'close')
    expect(own.metrics.counts.get('curfew_unauthenticated_connections postgres')).toBe(0)
  })
})

test('one address may not fill the lobby; those who signed in do not count', async () => {
  await withStage({ perAddressMax: 2, plaintext: true }, async (own) => {
    const psql = own.psql([])
    psql.type('select 1;\n')
    await psql.until('(1 row)')
    const held = [own.raw(), own.raw()]
    await Promise.all(held.map((socket) => once(socket, 'connect')))
    await expect.poll(() => own.metrics.counts.get('curfew_unauthenticated_connections postgres')).toBe(2)
    expect(reportOf(await say(start, own))).toMatchObject({ sqlstate: '53300' })
    held[0]!.destroy()
    await expect.poll(() => own.metrics.counts.get('curfew_unauthenticated_connections postgres')).toBe(1)
    psql.type('\\q\n')
    held[1]!.destroy()
    await psql.exited
  })
})

test('a listener that allows plaintext takes it, and answers N when it has no certificate', async () => {
  await withStage({ plaintext: true }, async (own) => {
    const psql = own.psql(['-At', '-c', 'select 7'], 'readonly', 'sslmode=disable')
    await psql.exited
    expect(psql.out).toBe('7\n')
    expect(own.gate.last.session.client.tls).toBe(false)
  })
})

test('protocol 3.2 gets a longer key, which cancels; unknown options are negotiated', async () => {
  const tls = await beginTls()
  const bytes = startupMessage([
    ['user', 'readonly'],
    ['database', 'shop'],
    ['_pq_.grease', '1'],
  ])
  bytes.writeInt32BE(0x0003_0002, 4)
  tls.write(bytes)
  const messages = await untilReady(tls)
  expect(messages[0]).toMatchObject({ type: 'v' })
  expect(messages[0]!.body.toString('latin1')).toContain('_pq_.grease')
  const key = messages.find(({ type }) => type === 'K')!.body
  expect(key.length).toBe(4 + 32)
  tls.write(query('select pg_sleep(82)'))
  await postgres.untilRunning('pg_sleep(82)', 1)
  // Its beginning alone, as an older client would know it, is no key.
  await say(cancelRequest(key.readInt32BE(0), key.subarray(4, 8)))
  await postgres.untilRunning('pg_sleep(82)', 1)
  await say(cancelRequest(key.readInt32BE(0), key.subarray(4)))
  await postgres.untilRunning('pg_sleep(82)', 0)
  tls.destroy()
})

test('a cancel request needs the key that we gave, not the target’s', async () => {
  const tls = await beginTls()
  tls.write(start)
  const key = (await untilReady(tls)).find(({ type }) => type === 'K')!.body
  expect(key.length).toBe(8)
  tls.write(query('select pg_sleep(81)'))
  await postgres.untilRunning('pg_sleep(81)', 1)
  expect(await say(cancelRequest(key.readInt32BE(0), Buffer.alloc(4)))).toEqual(Buffer.alloc(0))
  await postgres.untilRunning('pg_sleep(81)', 1)
  const own = await beginTls()
  own.write(cancelRequest(key.readInt32BE(0), key.subarray(4)))
  expect(await readAll(own)).toEqual(Buffer.alloc(0))
  await postgres.untilRunning('pg_sleep(81)', 0)
  tls.destroy()
})

test('role.token asks for the token as a password', async () => {
  process.env['STAGE_PASSWORD'] = 'curfew_right'
  const right = stage.psql(['-At', '-c', 'select current_user'], 'readonly.token')
  await right.exited
  expect(right.out).toBe('shop_readonly\n')
  expect(stage.gate.last.session).toMatchObject({ credential: 'token-1', role: 'readonly' })
  process.env['STAGE_PASSWORD'] = 'curfew_wrong'
  const wrong = stage.psql(['-c', 'select 1'], 'readonly.token')
  await wrong.exited
  delete process.env['STAGE_PASSWORD']
  expect(wrong.err).toContain('FATAL:  The token is not valid.')
  expect(wrong.err).toContain('HINT:  Make a new token')
})

test('somebody unknown gets a link at once, and the connection goes on by itself', async () => {
  await withStage({}, async (own) => {
    own.identity.remembered = false
    const psql = own.psql(['-At', '-c', 'select 42'])
    await psql.until('https://gw.example.com/s/KF7-XR2')
    expect(psql.err).toContain('KF7-XR2 and the address 127.0.0.1')
    expect(psql.err).toContain('waits for 5 min')
    expect(own.identity.begun).toMatchObject([
      { purpose: 'postgres', resource: 'shop', role: 'readonly', application: 'psql' },
    ])
    own.identity.confirm()
    await psql.exited
    expect(psql.err).toContain('signed in as ada@example.com')
    expect(psql.out).toBe('42\n')
  })
})

test('a refused sign-in is an error with its hint', async () => {
  await withStage({}, async (own) => {
    own.identity.remembered = false
    const psql = own.psql(['-c', 'select 1'])
    await psql.until('KF7-XR2')
    own.identity.refuse()
    expect(await psql.exited).toBe(2)
    expect(psql.err).toContain('FATAL:  The sign-in was refused.')
    expect(own.gate.asks).toEqual([])
  })
})

test('a client that hangs up while it waits ends the wait', async () => {
  await withStage({}, async (own) => {
    own.identity.remembered = false
    const psql = own.psql(['-c', 'select 1'])
    await psql.until('KF7-XR2')
    psql.process.kill('SIGKILL')
    expect(await own.identity.waitAborted.promise).toMatchObject({ name: 'PeerGone' })
    await expect.poll(() => own.metrics.counts.get('curfew_unauthenticated_connections postgres')).toBe(0)
  })
})

test('a client that floods while it waits is refused', async () => {
  await withStage({}, async (own) => {
    own.identity.remembered = false
    const tls = await beginTls(own)
    tls.on('error', () => undefined).resume()
    tls.write(start)
    await own.identity.waiting.promise
    tls.write(Buffer.alloc(1024 * 1024))
    expect(await own.identity.waitAborted.promise).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
    tls.destroy()
  })
})

test('without a grant and without waiting it refuses, with the link', async () => {
  const psql = stage.psql(['-c', 'select 1'], 'superuser')
  expect(await psql.exited).toBe(2)
  expect(psql.err).toContain('FATAL:  You have no access to shop now.')
  expect(psql.err).toContain('HINT:  Ask for it: https://gw.example.com/ask')
})

test('without a grant it says where to ask, waits, and goes on by itself', async () => {
  await withStage({ waitMs: 600_000 }, async (own) => {
    own.gate.grants.clear()
    const psql = own.psql(['-At', '-c', 'select 43'])
    await psql.until('https://gw.example.com/ask?resource=shop&role=readonly')
    await own.access.waiting.promise
    own.gate.grants.add('shop/readonly')
    own.access.verdict.resolve()
    await psql.exited
    expect(psql.err).toMatch(/access to shop as readonly until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(1 h\)/)
    expect(psql.out).toBe('43\n')
  })
})

test('a refusal is said as a notice, too: psql shows no FATAL when it connects again by itself', async () => {
  await withStage({ waitMs: 600_000 }, async (own) => {
    own.gate.grants.clear()
    const psql = own.psql(['-c', 'select 1'])
    await own.access.waiting.promise
    own.access.verdict.reject(new Fault('REQUEST_DENIED', 'Your request was refused: not today'))
    expect(await psql.exited).toBe(2)
    expect(psql.err).toContain('NOTICE:  Your request was refused: not today')
    expect(psql.err).toContain('FATAL:  Your request was refused: not today')
  })
})

test('stopping ends those who wait, with the reason', async () => {
  await withStage({}, async (own) => {
    own.identity.remembered = false
    const psql = own.psql(['-c', 'select 1'])
    await psql.until('KF7-XR2')
    await own.listening[Symbol.asyncDispose]()
    await psql.exited
    expect(psql.err).toContain('FATAL:  The gateway is shutting down.')
  })
})

test('a target that is down is an error, and the admission is given back once', async () => {
  await withStage({ port: 1 }, async (own) => {
    const psql = own.psql(['-c', 'select 1'])
    expect(await psql.exited).toBe(2)
    expect(psql.err).toContain('FATAL:  shop cannot be reached.')
    expect(own.gate.last.ends).toMatchObject([{ by: 'target', error: { code: 'UPSTREAM_UNREACHABLE' } }])
    expect(own.metrics.counts.get('curfew_upstream_failures_total shop UPSTREAM_UNREACHABLE')).toBe(1)
  })
})

test('a cut while connecting to the target is told, too', async () => {
  await withStage({}, async (own) => {
    own.gate.onAdmit = (admission) => admission.cut('LOCKED')
    const psql = own.psql(['-c', 'select 1'])
    await psql.exited
    expect(psql.err).toContain('FATAL:  Your access to shop has ended.')
    expect(own.gate.last.ends).toMatchObject([{ by: 'gate' }])
    expect(own.gate.last.toldAfterMs).toBeDefined()
    await postgres.untilSessions({ usename: 'shop_readonly' }, 0)
  })
})

interface Message {
  readonly type: string
  readonly body: Buffer
}

/** Whole messages up to ReadyForQuery. */
async function untilReady(socket: Socket): Promise<Message[]> {
  let bytes = Buffer.alloc(0)
  for (;;) {
    bytes = Buffer.concat([bytes, ((await once(socket, 'data')) as [Buffer])[0]])
    const messages: Message[] = []
    for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
      messages.push({
        type: String.fromCharCode(bytes[at]!),
        body: bytes.subarray(at + 5, at + 1 + bytes.readInt32BE(at + 1)),
      })
    }
    if (messages.at(-1)?.type === 'Z') return messages
  }
}
