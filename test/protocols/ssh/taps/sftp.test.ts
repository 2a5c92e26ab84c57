import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sshString, sshUint32, sshUint64 } from '../../../../src/identity/ssh/wire.ts'
import { openFlag, packet } from '../../../../src/protocols/ssh/taps/sftp/words.ts'
import { answer, ask, down, sftpPacket, up } from './packets.ts'
import type { Talk } from './packets.ts'
import { cutEvery, pass, sha256, tapOf } from './talk.ts'

const readFlag = 1
const toWrite = openFlag.write | openFlag.create | openFlag.truncate
const begin: Talk = [up(ask.init), down(answer.version())]
const content = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * 7) & 255))
const [first, second, third] = [content.subarray(0, 1000), content.subarray(1000, 2000), content.subarray(2000)]

function watch(talk: Talk, cut?: (bytes: Buffer) => readonly Buffer[]) {
  const { recorder, clock, tap } = tapOf('subsystem', 'sftp')
  pass(tap, [...begin, ...talk], cut)
  return { recorder, clock, tap }
}

function filesOf(talk: Talk, cut?: (bytes: Buffer) => readonly Buffer[]) {
  const { recorder, tap } = watch(talk, cut)
  tap.close()
  return recorder.files
}

const download: Talk = [
  up(ask.open(1, '/etc/motd', readFlag)),
  down(answer.handle(1, 'h')),
  up(ask.read(2, 'h', 0, 1000), ask.read(3, 'h', 1000, 1000), ask.read(4, 'h', 2000, 1000), ask.read(5, 'h', 3000)),
  down(answer.data(3, second), answer.data(2, first), answer.data(4, third), answer.status(5, 1, 'End of file')),
  up(ask.close(6, 'h')),
  down(answer.status(6, 0)),
]
const downloaded = {
  op: 'read',
  path: '/etc/motd',
  direction: 'down',
  bytes: 3000,
  sha256: sha256(content),
  result: 'ok',
}

const upload: Talk = [
  up(ask.open(1, 'new', toWrite)),
  down(answer.handle(1, 'h')),
  up(ask.write(2, 'h', 0, first), ask.write(3, 'h', 2000, third), ask.write(4, 'h', 1000, second)),
  down(answer.status(2, 0), answer.status(3, 0), answer.status(4, 0)),
  up(ask.close(5, 'h')),
  down(answer.status(5, 0)),
]
const uploaded = { op: 'write', path: 'new', direction: 'up', bytes: 3000, sha256: sha256(content), result: 'ok' }

const everything: Talk = [
  ...download,
  ...upload,
  up(ask.about(packet.opendir, 20, '/tmp')),
  down(answer.handle(20, 'd')),
  up(ask.about(packet.readdir, 21, 'd'), ask.about(packet.readdir, 22, 'd')),
  down(answer.names(21, 'a', 'b', 'c'), answer.status(22, 1)),
  up(ask.close(23, 'd')),
  down(answer.status(23, 0)),
  up(ask.about(packet.stat, 30, 'x'), ask.about(packet.realpath, 31, '.'), ask.about(packet.readlink, 32, 'l')),
  down(answer.status(30, 2, 'No such file'), answer.names(31, '/root'), answer.names(32, 'x')),
  up(
    sftpPacket(packet.mkdir, sshUint32(40), sshString('m'), sshUint32(0)),
    ask.about(packet.rename, 41, 'a', 'b'),
    ask.about(packet.symlink, 42, 'target', 'link'),
    ask.extended(43, 'posix-rename@openssh.com', sshString('p'), sshString('q')),
    ask.extended(44, 'hardlink@openssh.com', sshString('old'), sshString('new')),
    sftpPacket(packet.setstat, sshUint32(45), sshString('s'), sshUint32(5), sshUint64(7n), sshUint32(0o104755)),
    ask.about(packet.remove, 46, Buffer.from('caf\xe9\\', 'latin1')),
    sftpPacket(77, sshUint32(47)),
    ask.extended(48, 'vendor@example.com', sshString('?')),
  ),
  down(
    answer.status(40, 3, 'Permission denied'),
    ...[41, 42, 43, 44, 45, 46].map((id) => answer.status(id, 0)),
    answer.status(47, 8),
    answer.status(48, 4, 'ok'),
  ),
]

test('a reply that goes on behind the handle keeps the handle', () => {
  const handle = sftpPacket(packet.handle, sshUint32(1), sshString('h'), Buffer.alloc(1000))
  const files = filesOf([download[0]!, down(handle), ...download.slice(2)], cutEvery(600))
  expect(files).toEqual([downloaded])
})

test('says of every operation what it was and how it ended', () => {
  expect(filesOf(everything)).toEqual([
    downloaded,
    uploaded,
    { op: 'list', path: '/tmp', names: 3, result: 'ok' },
    { op: 'stat', path: 'x', result: 'no such file' },
    { op: 'realpath', path: '.', to: '/root', result: 'ok' },
    { op: 'readlink', path: 'l', to: 'x', result: 'ok' },
    { op: 'mkdir', path: 'm', result: 'permission denied' },
    { op: 'rename', path: 'a', to: 'b', result: 'ok' },
    { op: 'symlink', path: 'link', to: 'target', result: 'ok' },
    { op: 'rename', path: 'p', to: 'q', result: 'ok' },
    { op: 'link', path: 'new', to: 'old', result: 'ok' },
    { op: 'setstat', path: 's', set: { size: 7, mode: '4755' }, result: 'ok' },
    { op: 'remove', path: 'caf\\xe9\\x5c', result: 'ok' },
    { op: 'extended', path: '(request 77)', result: 'operation unsupported' },
    { op: 'extended', path: 'vendor@example.com', result: 'failure: ok' },
  ])
})

test('cut at every byte it is the same', () => {
  const whole = filesOf(everything)
  for (const bytes of [1, 2, 3, 5, 9, 13, 1000]) expect(filesOf(everything, cutEvery(bytes))).toEqual(whole)
})

test('cut anywhere it is the same', () => {
  const whole = filesOf(everything)
  fc.assert(
    fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 400 })), (lengths) => {
      const cut = (bytes: Buffer) => {
        const pieces: Buffer[] = []
        for (let at = 0; at < bytes.length;) {
          const { value } = lengths.next() as { value: number }
          pieces.push(bytes.subarray(at, at + value))
          at += value
        }
        return pieces
      }
      expect(filesOf(everything, cut)).toEqual(whole)
    }),
    { numRuns: 200 },
  )
})

test('garbage anywhere never throws, and what is not understood is recorded whole', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 60 }))), (pieces) => {
      const { recorder, tap } = tapOf('subsystem', 'sftp', true)
      let [wentUp, wentDown] = ['', '']
      for (const [isUp, bytes] of pieces) {
        const piece = Buffer.from(bytes)
        if (isUp) tap.fromClient(piece)
        else tap.fromTarget(piece)
        if (isUp) wentUp += piece.toString('latin1')
        else wentDown += piece.toString('latin1')
      }
      tap.close()
      if (recorder.lost !== undefined) {
        expect(recorder.text('=i')).toBe(wentUp)
        expect(recorder.text('=o')).toBe(wentDown)
      }
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['an empty packet', up(Buffer.alloc(5))],
  ['a packet of 4 GiB', up(Buffer.from('ffffffff06', 'hex'))],
  ['a request that is too long', up(Buffer.from('0010000007', 'hex'))],
  ['a reply to nothing', down(answer.status(9, 0))],
  ['a reply of no known kind', down(sftpPacket(99, sshUint32(9)))],
  ['a request without its fields', up(sftpPacket(packet.open, sshUint32(1), sshUint32(400)))],
  ['another version', down(answer.version(6))],
  [
    'a write that is shorter than it says',
    up(sftpPacket(packet.write, sshUint32(1), sshString('h'), sshUint64(0n), sshUint32(9))),
  ],
])('%s is lost, and what follows is recorded as output', (_name, hostile) => {
  const { recorder, tap } = watch([up(ask.open(1, 'f', readFlag)), down(answer.handle(1, 'h')), hostile])
  expect(recorder.lost).toBeTypeOf('string')
  expect(recorder.files).toMatchObject([{ path: 'f', bytes: 0, sha256: sha256(''), result: 'unfinished' }])
  tap.fromTarget(Buffer.from('hello'))
  expect(recorder.text('=o')).toMatch(/hello$/)
  tap.fromClient(Buffer.from('secret'))
  expect(tap.summary?.().sha256Up).toBeTypeOf('string')
  expect(recorder.lines.filter(([code]) => code === 'lost')).toHaveLength(1)
})

test('a greeting of the shell before SFTP is recorded', () => {
  const { recorder, tap } = tapOf('exec', '/usr/lib/openssh/sftp-server')
  pass(tap, [down(Buffer.from('Welcome to web-1\n'))], cutEvery(3))
  expect(recorder.lost).toBe('The target does not answer as SFTP does.')
  expect(recorder.text('=o')).toBe('Welcome to web-1\n')
})

test('what ends in the middle of a packet is recorded', () => {
  const { recorder, tap } = tapOf('subsystem', 'sftp')
  tap.fromTarget(Buffer.from('hi'))
  tap.fromTarget(Buffer.from('\n'))
  tap.close()
  expect(recorder.text('=o')).toBe('hi\n')
})

test.each([
  ['begins later', [[1000, second]]],
  [
    'leaves a gap',
    [
      [0, first],
      [2000, third],
    ],
  ],
  [
    'writes twice',
    [
      [0, first],
      [0, first],
    ],
  ],
  [
    'goes back',
    [
      [0, first],
      [500, second],
    ],
  ],
] as const)('content that %s has no hash', (_name, writes) => {
  const files = filesOf([
    up(ask.open(1, 'f', openFlag.write)),
    down(answer.handle(1, 'h')),
    up(...writes.map(([offset, data], index) => ask.write(10 + index, 'h', offset, data))),
    down(...writes.map((_, index) => answer.status(10 + index, 0))),
    up(ask.close(3, 'h')),
    down(answer.status(3, 0)),
  ])
  const bytes = writes.reduce((sum, [, data]) => sum + data.length, 0)
  expect(files).toEqual([{ op: 'write', path: 'f', direction: 'up', bytes, result: 'ok' }])
})

test('content that comes too early waits in a bounded room', () => {
  const block = Buffer.alloc(1_048_576, 1)
  const blocks = (count: number): Talk => [
    up(ask.open(1, 'f', toWrite)),
    down(answer.handle(1, 'h')),
    ...Array.from({ length: count }, (_, index) =>
      up(ask.write(10 + index, 'h', (count - index - 1) * block.length, block)),
    ),
  ]
  const [seven] = filesOf(blocks(7), cutEvery(32_768))
  expect(seven).toMatchObject({ bytes: 7 * block.length, sha256: sha256(Buffer.alloc(7 * block.length, 1)) })
  const [ten] = filesOf(blocks(10), cutEvery(32_768))
  expect(ten).not.toHaveProperty('sha256')
})

test('a transfer that is cut short says what passed', () => {
  const [open, given] = download
  const partial = answer.data(2, first).subarray(0, 600)
  expect(filesOf([open!, given!, up(ask.read(2, 'h', 0)), ['down', partial]])).toEqual([
    { ...downloaded, bytes: 587, sha256: sha256(first.subarray(0, 587)), result: 'unfinished' },
  ])
})

test('what was asked and not answered is unfinished', () => {
  expect(filesOf([up(ask.about(packet.remove, 1, '/etc/passwd'), ask.open(2, 'x', toWrite))])).toEqual([
    { op: 'remove', path: '/etc/passwd', result: 'unfinished' },
    { op: 'write', path: 'x', direction: 'up', result: 'unfinished' },
  ])
})

test('failures of open, read, write and close are the results', () => {
  const talk: Talk = [
    up(ask.open(1, 'no', readFlag), ask.open(2, 'full', toWrite)),
    down(answer.status(1, 3), answer.handle(2, 'h')),
    up(ask.write(3, 'h', 0, first), ask.close(4, 'h')),
    down(answer.status(3, 4, 'No space left on device'), answer.status(4, 0)),
  ]
  expect(filesOf(talk)).toEqual([
    { op: 'read', path: 'no', direction: 'down', result: 'permission denied' },
    { ...uploaded, path: 'full', bytes: 1000, sha256: sha256(first), result: 'failure: No space left on device' },
  ])
})

// A server may answer as it likes, and then the replies do not tell which is whose.
test.each([
  [
    'in their order',
    [ask.open(1, '/etc/shadow', readFlag), ask.about(packet.stat, 1, '/tmp')],
    [answer.handle(1, 'h'), answer.attributes(1)],
  ],
  [
    'the other way round',
    [ask.open(1, '/etc/shadow', readFlag), ask.about(packet.stat, 1, '/tmp')],
    [answer.attributes(1), answer.handle(1, 'h')],
  ],
  [
    'alike, the other way round',
    [ask.about(packet.remove, 1, '/etc/shadow'), ask.about(packet.remove, 1, '/tmp/nothing')],
    [answer.status(1, 2), answer.status(1, 0)],
  ],
])('of two requests with one id that are answered %s, no reply is told as that of one', (_order, asked, answered) => {
  const { recorder, tap } = watch([up(...asked), down(...answered)])
  tap.close()
  expect(recorder.lost).toBe('Two SFTP requests that wait have one id.')
  expect(recorder.files.filter(({ result }) => result !== 'unfinished')).toEqual([])
})

test('an id may come again when its request is answered', () => {
  const files = filesOf([
    up(ask.about(packet.remove, 1, 'a')),
    down(answer.status(1, 0)),
    up(ask.about(packet.remove, 1, 'b')),
    down(answer.status(1, 2)),
  ])
  expect(files).toEqual([
    { op: 'remove', path: 'a', result: 'ok' },
    { op: 'remove', path: 'b', result: 'no such file' },
  ])
})

test('a handle that is guessed before it is given belongs to its file all the same', () => {
  const files = filesOf([
    up(ask.open(1, 'new', toWrite), ask.write(2, 'h', 0, content), ask.close(3, 'h')),
    down(answer.handle(1, 'h'), answer.status(2, 0), answer.status(3, 0)),
  ])
  expect(files).toEqual([uploaded])
})

test('what a server may leave unanswered gives no other request its name', () => {
  // OpenSSH answers nothing to kinds of requests that it does not know; then each reply would go to the one before.
  const unknown = ask.about(77, 7, '?')
  const harmless = ask.open(7, 'harmless', readFlag)
  for (const asked of [up(unknown, harmless), up(harmless, unknown), up(unknown, unknown)]) {
    const { recorder, tap } = watch([asked, up(ask.open(7, 'secret', readFlag)), down(answer.handle(7, 'h'))])
    tap.close()
    expect(recorder.lost).toBe('Two SFTP requests that wait have one id.')
    expect(recorder.files.filter(({ result }) => result !== 'unfinished')).toEqual([])
  }
})

test("a guessed handle that is used again behind its end is lost, not another file's", () => {
  const { recorder, tap } = watch([
    up(ask.open(1, 'a', toWrite), ask.write(2, 'h', 0, first), ask.close(3, 'h')),
    up(ask.open(4, 'b', toWrite), ask.write(5, 'h', 0, second), ask.close(6, 'h')),
    down(answer.handle(1, 'h'), answer.status(2, 0), answer.status(3, 0)),
    down(answer.handle(4, 'h'), answer.status(5, 0), answer.status(6, 0)),
  ])
  tap.close()
  expect(recorder.lost).toBe('A guessed SFTP handle is used behind its end.')
  expect(recorder.files.map(({ result }) => result)).not.toContain('ok')
})

test('nor when what was closed before had never been one', () => {
  const { recorder, tap } = watch([
    up(ask.close(1, 'h'), ask.open(2, 'b', toWrite), ask.write(3, 'h', 0, content), ask.close(4, 'h')),
    down(answer.status(1, 4), answer.handle(2, 'h'), answer.status(3, 0), answer.status(4, 0)),
  ])
  tap.close()
  expect(recorder.lost).toBe('A guessed SFTP handle is used behind its end.')
  const seen = recorder.files.filter(({ path }) => path === 'b')
  expect(seen).toEqual([{ op: 'write', path: 'b', direction: 'up', bytes: 0, result: 'unfinished' }])
})

test('a handle that never was is shown as such, and closing one says nothing', () => {
  const files = filesOf([
    up(ask.write(2, 'h', 0, first), ask.close(3, 'zz')),
    down(answer.status(2, 4, 'Failure'), answer.status(3, 4, 'Failure')),
  ])
  const facts = { bytes: 1000, sha256: sha256(first), result: 'failure' }
  expect(files).toEqual([{ op: 'write', path: '(handle 68)', direction: 'up', ...facts }])
})

test('any number of handles that never were does no harm', () => {
  const { recorder, tap } = watch([])
  const copy = (id: number) => {
    const [nothing, handle] = [sshUint64(0n), sshString(`n${id - 3}`)]
    return ask.extended(id, 'copy-data', handle, nothing, nothing, handle, nothing)
  }
  for (let id = 0; id < 30_000; id += 6) {
    const name = `n${id}`
    const abouts = [packet.close, packet.readdir, packet.fstat].map((type, index) => ask.about(type, id + index, name))
    tap.fromClient(Buffer.concat(abouts))
    tap.fromClient(Buffer.concat([copy(id + 3), ask.read(id + 4, name, 0), ask.write(id + 5, name, 0, first)]))
    for (let count = 0; count < 6; count++) tap.fromTarget(answer.status(id + count, 4))
  }
  tap.close()
  expect(recorder.lost).toBeUndefined()
  expect(recorder.files.filter(({ op }) => op === 'write')).toHaveLength(5000)
})

test('a file that the target copies into has no hash of what the client wrote', () => {
  const copy = ask.extended(5, 'copy-data', sshString('r'), sshUint64(0n), sshUint64(0n), sshString('w'), sshUint64(0n))
  const files = filesOf([
    up(ask.open(1, 'from', readFlag), ask.open(2, 'into', toWrite)),
    down(answer.handle(1, 'r'), answer.handle(2, 'w')),
    up(copy, ask.close(6, 'w')),
    down(answer.status(5, 0), answer.status(6, 0)),
  ])
  expect(files.slice(0, 2)).toEqual([
    { op: 'copy', path: 'from', to: 'into', result: 'ok' },
    { op: 'write', path: 'into', direction: 'up', bytes: 0, result: 'ok' },
  ])
})

test('nor when the client guesses the handles, before the target has given them away', () => {
  const copy = ask.extended(5, 'copy-data', sshString('r'), sshUint64(0n), sshUint64(0n), sshString('w'), sshUint64(0n))
  const files = filesOf([
    up(ask.open(1, 'from', readFlag), ask.open(2, 'into', toWrite), copy, ask.close(6, 'w'), ask.close(7, 'r')),
    down(answer.handle(1, 'r'), answer.handle(2, 'w'), answer.status(5, 0), answer.status(6, 0), answer.status(7, 0)),
  ])
  expect(files.filter(({ op }) => op !== 'read')).toEqual([
    { op: 'copy', path: 'from', to: 'into', result: 'ok' },
    { op: 'write', path: 'into', direction: 'up', bytes: 0, result: 'ok' },
  ])
})

test('of 100,000 looks some are recorded and the rest counted', () => {
  const { recorder, tap } = watch([])
  for (let id = 0; id < 100_000; id++) {
    tap.fromClient(ask.about(packet.lstat, id, `/srv/file-${id}`))
    tap.fromTarget(id % 10 === 0 ? answer.status(id, 2) : answer.attributes(id))
  }
  tap.close()
  const { files } = recorder
  expect(files).toHaveLength(2002)
  expect(files.slice(-2)).toEqual([
    { op: 'stat', path: '', result: 'no such file', count: 9800 },
    { op: 'stat', path: '', result: 'ok', count: 88_200 },
  ])
})

test('more requests or handles than are kept apart is lost', () => {
  const waiting = watch([])
  for (let id = 0; id < 65_537; id++) waiting.tap.fromClient(ask.about(packet.remove, id, 'f'))
  expect(waiting.recorder.lost).toBe('Too many SFTP requests wait.')
  expect(waiting.recorder.files.length).toBeGreaterThan(65_535)
  const open = watch([])
  for (let id = 0; id < 4097; id++) {
    open.tap.fromClient(ask.open(id, 'f', readFlag))
    open.tap.fromTarget(answer.handle(id, String(id)))
  }
  expect(open.recorder.lost).toBe('Too many SFTP handles are open.')
  expect(open.recorder.files).toHaveLength(4097)
})

test('an operation takes from its request to its reply', () => {
  const { recorder, clock, tap } = watch([up(ask.about(packet.remove, 1, 'f'))])
  clock.pass(250)
  pass(tap, [down(answer.status(1, 0))])
  expect(recorder.lines.at(-1)).toEqual(['f', { ch: 1, op: 'remove', path: 'f', result: 'ok', ms: 250 }])
})

test('a size that no number holds is recorded all the same', () => {
  const set = sftpPacket(packet.setstat, sshUint32(1), sshString('s'), sshUint32(1), sshUint64(2n ** 63n))
  expect(filesOf([up(set), down(answer.status(1, 4))])).toEqual([
    { op: 'setstat', path: 's', set: { size: Number.MAX_SAFE_INTEGER }, result: 'failure' },
  ])
})

test('a long path is cut, not in the middle of a character', () => {
  const [event] = filesOf([up(ask.about(packet.stat, 1, 'é'.repeat(3000))), down(answer.attributes(1))])
  expect(event?.path).toBe(`${'é'.repeat(2048)} (cut, 6000 bytes)`)
})
