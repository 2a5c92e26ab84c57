// Goal: a server that lies while the gateway logs in is refused in time, learns no password that it should not have,
// and is never taken for one that let us in.
// Method: servers made of a script, which say one wrong thing at one step, or break off at every byte.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Secret } from '../../../src/kernel/secret.ts'
import {
  backendKeyData,
  cstring,
  errorResponse,
  fromServer,
  int32,
  message,
  notice,
  parameterStatus,
  readyForQuery,
} from '../../../src/protocols/postgres/messages.ts'
import { connectTarget, type TargetWish } from '../../../src/protocols/postgres/target.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import type { TestPostgres } from '../../servers/postgres.ts'
import { resourceOf } from './stage.ts'

/** What a server says to one thing that it hears; undefined: it hangs up. */
type Step = (heard: Buffer) => Buffer | undefined

const stack: Disposable[] = []
afterEach(() => {
  for (const each of stack.splice(0)) each[Symbol.dispose]()
})

async function serve(answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    answer(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.push({
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

/** @returns what the gateway says of it: a fault's code, or "in". */
async function outcome(
  answer: (socket: Socket) => void,
  change: Partial<TargetWish['resource']> = {},
): Promise<string> {
  const port = await serve(answer)
  const known = {
    host: '127.0.0.1',
    port,
    ca: '',
    passwords: { shop_readonly: 'x', shop_admin: 'x', shop_reporting: 'x' },
  }
  const tls = { mode: 'disable', ca: null, serverName: null, identity: null } as const
  const resource = { ...resourceOf(known as TestPostgres, tls), connectMs: 5000, ...change }
  const role = { ...resource.roles['readonly']!, password: new Secret('pencil') }
  const deps = { clock: systemClock, random: systemRandom }
  try {
    const target = await connectTarget(
      { resource, role, database: 'shop', parameters: [] },
      new AbortController().signal,
      deps,
    )
    target.socket.destroy()
    return 'in'
  } catch (error) {
    const { name, code } = error as { name: string; code: string }
    return name === 'Fault' ? code : String(error)
  }
}

const says =
  (...bytes: Buffer[]) =>
  (socket: Socket) =>
    void socket.once('data', () => socket.write(Buffer.concat(bytes)))

/** One step for each thing that it hears. */
const steps =
  (...all: Step[]) =>
  (socket: Socket) => {
    let at = 0
    socket.on('data', (heard: Buffer) => {
      const answer = all[at++]?.(heard)
      if (answer === undefined) socket.end()
      else socket.write(answer)
    })
  }

const auth = (kind: number, ...rest: Buffer[]) => message(fromServer.authentication, int32(kind), ...rest)
const ok = auth(0)
const key = backendKeyData(17, Buffer.alloc(4, 7))
const ready = readyForQuery('I'.charCodeAt(0))
const parameter = parameterStatus('server_version', '18.0')
const welcome = Buffer.concat([ok, parameter, notice('hello'), key, ready])
const refused = 'UPSTREAM_REFUSED'
const gone = 'UPSTREAM_UNREACHABLE'

test('a login that breaks off at any byte is none', async () => {
  for (let at = 0; at < welcome.length; at++) {
    const answer = (socket: Socket) => void socket.once('data', () => socket.end(welcome.subarray(0, at)))
    expect(await outcome(answer), `at ${at}`).toBe(gone)
  }
  expect(await outcome(says(welcome))).toBe('in')
})

test('a login that comes byte by byte is one', async () => {
  const trickle = (socket: Socket, at = 0): void => {
    if (at < welcome.length) socket.write(welcome.subarray(at, at + 1), () => trickle(socket, at + 1))
  }
  const trickling = (socket: Socket) => void socket.setNoDelay(true).once('data', () => trickle(socket))
  expect(await outcome(trickling)).toBe('in')
})

test.each([1, 2, 4, 6, 7, 8, 9, 11, 12, 13, 255, -1, -(2 ** 31), 2 ** 31 - 1])(
  'a login of the kind %i is refused',
  async (kind) => {
    expect(await outcome(says(auth(kind, Buffer.alloc(20)), welcome))).toBe(refused)
  },
)

describe('a server that says', () => {
  test.each<[string, Buffer, string]>([
    ['nothing of a login', Buffer.concat([parameter, welcome]), refused],
    ['a login without a kind', Buffer.concat([message(fromServer.authentication), welcome]), refused],
    ['a salt that is too short', auth(5, Buffer.alloc(3)), refused],
    ['that it lets us in twice', Buffer.concat([ok, welcome]), refused],
    ['a row before it is ready', Buffer.concat([ok, message(fromServer.dataRow, Buffer.alloc(2))]), refused],
    [
      'columns before it is ready',
      Buffer.concat([ok, message(fromServer.rowDescription, Buffer.from('ffff', 'hex'))]),
      refused,
    ],
    ['a copy before it is ready', Buffer.concat([ok, message(fromServer.copyInResponse, Buffer.alloc(3))]), refused],
    ['a type that there is not', Buffer.concat([ok, message(0)]), refused],
    ['a parameter of half a megabyte', Buffer.concat([ok, parameterStatus('x', 'y'.repeat(500_000))]), refused],
    [
      'a parameter without an end',
      Buffer.concat([ok, message(fromServer.parameterStatus, Buffer.from('xyz'))]),
      refused,
    ],
    ['a parameter without a value', Buffer.concat([ok, message(fromServer.parameterStatus, cstring('xyz'))]), refused],
    ['a key of nothing', Buffer.concat([ok, message(fromServer.backendKeyData), ready]), refused],
    ['a key of three bytes', Buffer.concat([ok, message(fromServer.backendKeyData, Buffer.alloc(3)), ready]), refused],
    ['a key without a secret', Buffer.concat([ok, backendKeyData(1, Buffer.alloc(0)), ready]), 'in'],
    ['a key of the newer protocol', Buffer.concat([ok, backendKeyData(1, Buffer.alloc(256)), ready]), 'in'],
    ['two keys', Buffer.concat([ok, key, key, ready]), 'in'],
    ['no key', Buffer.concat([ok, ready]), 'in'],
    ['ReadyForQuery of nothing', Buffer.concat([ok, key, message(fromServer.readyForQuery)]), refused],
    ['a length of 3', Buffer.concat([ok, Buffer.from('5300000003', 'hex')]), refused],
    ['a negative length', Buffer.concat([ok, Buffer.from('53ffffffff', 'hex')]), refused],
    ['a length of 2 GiB', Buffer.concat([ok, Buffer.from('537fffffff', 'hex')]), refused],
    ['a thousand parameters', Buffer.concat([ok, ...Array<Buffer>(1001).fill(parameter), key, ready]), refused],
    ['an error without fields', message(fromServer.errorResponse), refused],
    [
      'an error of a megabyte',
      errorResponse({ severity: 'FATAL', sqlstate: 'XX000', message: 'x'.repeat(1 << 20) }),
      refused,
    ],
    ['another version', message(fromServer.negotiateProtocolVersion, int32(0), int32(2 ** 31 - 1)), refused],
  ])('%s', async (_, bytes, expected) => {
    expect(await outcome(says(bytes))).toBe(expected)
  })
})

test('garbage behind each step of a login is refused', async () => {
  const garbage = [Buffer.alloc(64), Buffer.alloc(64, 255), Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]
  for (const rubbish of garbage) {
    for (const before of [[], [ok], [ok, parameter], [ok, parameter, key]]) {
      expect(await outcome(says(...before, rubbish))).toBe(refused)
    }
  }
})

test('a server that talks without end before it is ready is not listened to for ever', async () => {
  const chatter = (socket: Socket) => {
    socket.once('data', () => {
      socket.write(ok)
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.concat(Array<Buffer>(50).fill(parameter))));
      }
      socket.on('drain', more)
      more()
    })
  }
  expect(await outcome(chatter)).toBe(refused)
})

test('a server that says nothing behind each step is given up in time', async () => {
  for (const before of [[], [ok], [ok, key], [auth(10, Buffer.from('SCRAM-SHA-256\0\0'))], [welcome.subarray(0, 7)]]) {
    expect(await outcome(says(...before, Buffer.alloc(0)), { connectMs: 30 })).toBe(gone)
  }
})

describe('SCRAM', () => {
  const offer = () => auth(10, Buffer.from('SCRAM-SHA-256\0\0'))
  const first = (change: (nonce: string) => string): Step => {
    return (heard) => auth(11, Buffer.from(change(/r=(.+)$/.exec(heard.toString('latin1'))![1]!)))
  }
  const right = first((nonce) => `r=${nonce}more,s=c2FsdA==,i=1`)

  test.each<[string, Step[]]>([
    ['offers nothing', [() => auth(10)]],
    ['offers something without an end', [() => auth(10, Buffer.from('SCRAM-SHA-256'))]],
    ['offers thousands', [() => auth(10, Buffer.from('X\0'.repeat(30_000)))]],
    ['offers only PLUS without TLS', [() => auth(10, Buffer.from('SCRAM-SHA-256-PLUS\0\0'))]],
    ['lets us in at once', [offer, () => welcome]],
    ['lets us in without a proof of its own', [offer, right, () => welcome]],
    ['repeats our nonce', [offer, first((nonce) => `r=${nonce},s=c2FsdA==,i=1`)]],
    ['takes another nonce', [offer, first(() => 'r=other,s=c2FsdA==,i=1')]],
    ['has no salt', [offer, first((nonce) => `r=${nonce}x,s=,i=1`)]],
    ['counts to 0', [offer, first((nonce) => `r=${nonce}x,s=c2FsdA==,i=0`)]],
    ['counts below 0', [offer, first((nonce) => `r=${nonce}x,s=c2FsdA==,i=-1`)]],
    ['counts to 1,000,001', [offer, first((nonce) => `r=${nonce}x,s=c2FsdA==,i=1000001`)]],
    ['counts to 9,999,999,999', [offer, first((nonce) => `r=${nonce}x,s=c2FsdA==,i=9999999999`)]],
    [
      'counts to a number of 50,000 digits',
      [offer, first((nonce) => `r=${nonce}x,s=c2FsdA==,i=${'9'.repeat(50_000)}`)],
    ],
    ['has a nonce of 60,000 characters', [offer, first((nonce) => `r=${nonce}${'x'.repeat(60_000)}`)]],
    ['says garbage first', [offer, () => auth(11, Buffer.alloc(300, 0xff))]],
    ['says nothing first', [offer, () => auth(11)]],
    ['says the last first', [offer, () => auth(12, Buffer.from('v=AAAA'))]],
    ['proves nothing', [offer, right, () => Buffer.concat([auth(12), welcome])]],
    ['proves something else', [offer, right, () => Buffer.concat([auth(12, Buffer.from('v=AAAA')), welcome])]],
    [
      'proves with 32 zeros',
      [offer, right, () => Buffer.concat([auth(12, Buffer.from(`v=${'A'.repeat(43)}=`)), welcome])],
    ],
    ['fails', [offer, right, () => Buffer.concat([auth(12, Buffer.from('e=other-error')), welcome])]],
    ['asks for the password in clear text after all', [offer, () => auth(3)]],
    ['asks for it as md5 after all', [offer, right, () => auth(5, Buffer.alloc(4))]],
  ])('a server that %s is refused', async (_, dialogue) => {
    expect(await outcome(steps(...dialogue))).toBe(refused)
  })

  test('a server that hangs up after each step is gone', async () => {
    expect(await outcome(steps(offer, () => undefined))).toBe(gone)
    expect(await outcome(steps(offer, right, () => undefined))).toBe(gone)
  })
})
