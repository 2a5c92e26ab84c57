import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Talk } from './packets.ts'
import { down, up } from './packets.ts'
import { cutEvery, pass, sha256, tapOf } from './talk.ts'

const zero = Buffer.alloc(1)
const text = (value: string) => Buffer.from(value, 'latin1')
const body = text('one\ntwo\0\x01\x02C0644 9 x\n')

function watch(command: string, talk: Talk, cut?: (bytes: Buffer) => readonly Buffer[]) {
  const { recorder, tap } = tapOf('exec', command)
  pass(tap, talk, cut)
  return { recorder, tap }
}

function filesOf(command: string, talk: Talk, cut?: (bytes: Buffer) => readonly Buffer[]) {
  const { recorder, tap } = watch(command, talk, cut)
  tap.close()
  expect(recorder.lost).toBeUndefined()
  return recorder.files
}

/** A folder with a file, one that is refused, and an error of the sender, as OpenSSH sends them. */
const sent: Talk = [
  down(zero),
  up(text('T1700000000 0 1700000000 0\n')),
  down(zero),
  up(text('D0755 0 photos\n')),
  down(zero),
  up(text(`C0644 ${body.length} caf\xc3\xa9\n`)),
  down(zero),
  up(body),
  up(zero),
  down(zero),
  up(text('C0600 5 denied\n')),
  down(text('\x01scp: photos/denied: Permission denied\n')),
  up(text('\x01scp: unreadable: Permission denied\n')),
  up(text('C0600 0 empty\n')),
  down(zero),
  up(zero),
  down(text('\x01scp: photos/empty: set times: Operation not permitted\n')),
  up(text('E\n')),
  down(zero),
]
const recorded = [
  { op: 'mkdir', path: '/srv/photos', result: 'ok' },
  { op: 'write', direction: 'up', path: '/srv/photos/café', bytes: body.length, sha256: sha256(body), result: 'ok' },
  {
    ...{ op: 'write', direction: 'up', path: '/srv/photos/denied', bytes: 0, sha256: sha256('') },
    result: 'photos/denied: Permission denied',
  },
  { op: 'write', direction: 'up', path: '/srv', result: 'unreadable: Permission denied' },
  {
    ...{ op: 'write', direction: 'up', path: '/srv/photos/empty', bytes: 0, sha256: sha256('') },
    result: 'photos/empty: set times: Operation not permitted',
  },
]

test('says of every file what passed, cut at every byte', () => {
  expect(filesOf('scp -r -p -d -t /srv', sent)).toEqual(recorded)
  for (const bytes of [1, 2, 3, 7]) {
    expect(filesOf('scp -r -p -d -t /srv', sent, cutEvery(bytes))).toEqual(recorded)
  }
})

/** The same, but one side does not wait for the other: its bytes all come first. */
function hasty(talk: Talk, first: 'up' | 'down'): Talk {
  return [...talk.filter(([way]) => way === first), ...talk.filter(([way]) => way !== first)]
}

test('a client that does not wait for answers is understood in the same way', () => {
  expect(filesOf('scp -r -p -d -t /srv', hasty(sent, 'up'))).toEqual(recorded)
  expect(filesOf('scp -r -p -d -t /srv', hasty(sent, 'up'), cutEvery(1))).toEqual(recorded)
})

const fetched: Talk = sent.map(([way, bytes]) => [way === 'up' ? 'down' : 'up', bytes] as const)

test('a download is read in the other direction, also when the client answers ahead', () => {
  const names = ['/srv/photos', '/srv/photos/café', '/srv/photos/denied', '/srv/photos', '/srv/photos/empty']
  const expected = recorded
    .map((event, index) => ({ ...event, op: 'read', direction: 'down', path: names[index] }))
    .slice(1)
  expect(filesOf('scp -r -f /srv/photos', fetched)).toEqual(expected)
  expect(filesOf('scp -r -f /srv/photos', hasty(fetched, 'up'))).toEqual(expected)
})

const oneFile = (name: string): Talk => [
  down(zero),
  up(text(`C0644 3 ${name}\n`)),
  down(zero),
  up(text('abc\0')),
  down(zero),
]

test.each([
  ['scp -t /srv/b.txt', { path: '/srv/b.txt', name: 'a.txt' }],
  ['scp -t /srv/a.txt', { path: '/srv/a.txt' }],
  ['scp -t /srv/', { path: '/srv/a.txt' }],
  ['scp -d -t /srv', { path: '/srv/a.txt' }],
  ['scp -t .', { path: './a.txt' }],
])('%s of a.txt goes to %o', (command, where) => {
  const [event] = filesOf(command, oneFile('a.txt'))
  expect(event).toEqual({ op: 'write', direction: 'up', ...where, bytes: 3, sha256: sha256('abc'), result: 'ok' })
})

test.each([
  ['scp -f a.txt', 'a.txt'],
  ['scp -f /srv/a.txt', '/srv/a.txt'],
  ['scp -f /srv/*.txt', '/srv/a.txt'],
  ['scp -f *.txt', 'a.txt'],
  ['scp -f /x/b.txt /srv/a.txt', '/srv/a.txt'],
])('%s gives %s', (command, path) => {
  const talk: Talk = oneFile('a.txt').map(([way, bytes]) => [way === 'up' ? 'down' : 'up', bytes] as const)
  expect(filesOf(command, talk)[0]?.path).toBe(path)
})

test('a target that refuses everything, and one that warns between files', () => {
  const [refusal] = filesOf('scp -t /nowhere/', [down(text('\x01scp: /nowhere/: No such file or directory\n'))])
  expect(refusal).toMatchObject({ path: '/nowhere/', result: '/nowhere/: No such file or directory' })
  const warned = filesOf('scp -t /srv/', [...oneFile('a'), down(text('\x01scp: late\n')), ...oneFile('b').slice(1)])
  expect(warned.map(({ result }) => result)).toEqual(['ok', 'late', 'ok'])
})

test('what is cut short is unfinished, with what passed', () => {
  const [begin, announce, go] = oneFile('a')
  expect(filesOf('scp -t /srv/', [begin!, announce!, go!, up(text('ab'))])).toEqual([
    { op: 'write', direction: 'up', path: '/srv/a', bytes: 2, sha256: sha256('ab'), result: 'unfinished' },
  ])
  // All at once and gone: the target may have done it.
  expect(filesOf('scp -t /srv/', [up(text('C0644 3 a\nabc\0C0644 9 b\n'))])).toMatchObject([
    { path: '/srv/a', bytes: 3, result: 'unfinished' },
    { path: '/srv/b', bytes: 0, result: 'unfinished' },
  ])
})

test.each([
  ['a shell instead of an answer', 'scp -t x', [down(text('sh: scp: not found\n'))]],
  ['an answer to nothing', 'scp -t x', [down(zero), down(zero)]],
  ['another line', 'scp -t x', [down(zero), up(text('hello\n'))]],
  ['a file without its size', 'scp -t x', [down(zero), up(text('C0644 x\n'))]],
  ['content that does not end', 'scp -t x', [down(zero), up(text('C0644 1 x\n')), down(zero), up(text('abc\n'))]],
  ['a line without end', 'scp -t x', [down(zero), up(Buffer.alloc(20_000, 65))]],
  ['a sender that never waits', 'scp -t x', Array.from({ length: 70 }, () => up(Buffer.alloc(65_536)))],
  [
    'a folder deeper than systems allow',
    'scp -r -f x',
    [up(Buffer.alloc(3000)), down(text(`D0755 0 ${'d'.repeat(200)}\n`.repeat(60)))],
  ],
  ['a sender of output', 'scp -f x', [up(zero), down(text('root:x:0:0\n'))]],
  ['a client that types', 'scp -f x', [up(text('id\n'))]],
] as const)('%s is lost, and what follows is recorded as output', (_name, command, talk) => {
  const { recorder, tap } = watch(command, talk)
  expect(recorder.lost).toBeTypeOf('string')
  tap.fromTarget(text('more'))
  tap.errorsFromTarget(text('worse'))
  tap.close()
  expect(recorder.text('=o')).toMatch(/more$/)
  expect(recorder.text('=e')).toBe('worse')
  expect(tap.summary?.().sha256Up).toBeTypeOf('string')
})

test('garbage anywhere never throws, and what is not understood is recorded whole', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(zero, text('C0644 3 a\n'), text('abc\0'), text('D0755 0 d\n'), text('E\n'), text('\x01no\n')),
  )
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(fc.boolean(), piece)), (isUp, pieces) => {
      const { recorder, tap } = tapOf('exec', isUp ? 'scp -t x' : 'scp -f x', true)
      for (const [isSent, bytes] of pieces) {
        if (isSent) tap.fromClient(bytes)
        else tap.fromTarget(bytes)
      }
      tap.fromTarget(text('SCP? no'))
      tap.fromClient(text('SCP? no'))
      tap.close()
      if (recorder.lost === undefined) return
      const raw = `${recorder.text('=o')}${recorder.text('=i')}`
      expect(raw).toContain('SCP? no')
    }),
    { numRuns: 1000 },
  )
})
