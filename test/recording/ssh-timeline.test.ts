import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { type SshItem, sshOverview, sshTimeline } from '../../src/recording/ssh-timeline.ts'
import { at, bytesAt, sshSession } from './ssh-example.ts'
import { collect } from './support.ts'

async function* play(events: Iterable<RecordedEvent>) {
  yield* events
}
const timeline = (events: readonly RecordedEvent[]) => collect(sshTimeline(play(events)))
const ends = (items: readonly SshItem[]) => items.flatMap((item) => (item.kind === 'end' ? [item.channel] : []))

test('a session is told in the order in which it happened', async () => {
  const items = await timeline(sshSession)
  expect(items.map(({ kind, at: seconds }) => `${seconds} ${kind}`)).toEqual([
    '0.25 begin',
    '3.2 begin',
    '3.5 file',
    '3.6 file',
    '3.7 end',
    '4.1 begin',
    '4.5 end',
    '5 begin',
    '5.5 end',
    '6 remote-forward',
    '6.5 refused',
    '7 gate',
    '67 gate',
    '67.02 end',
  ])
  expect(items[0]).toMatchObject({
    channel: {
      ch: 1,
      kind: 'session',
      openedAt: 0.1,
      closedAt: null,
      terminal: { type: 'xterm-256color', cols: 100, rows: 30 },
      ran: { what: 'shell', command: null },
      env: [{ name: 'LANG', value: 'C.UTF-8' }],
      exit: null,
    },
  })
})

test('the end of a channel tells all of it', async () => {
  const [sftp, exec, forward, shell] = ends(await timeline(sshSession))
  expect(sftp).toMatchObject({ ch: 2, files: 2, bytesUp: 13_000, bytesDown: 400, exit: null, closedAt: 3.7 })
  expect(exec).toMatchObject({ ran: { command: 'make deploy' }, exit: { status: 2 }, terminal: null, outputBytes: 22 })
  expect(forward).toMatchObject({ kind: 'forward-local', to: 'db:5432', from: '127.0.0.1:4711', ran: null })
  expect(shell).toMatchObject({ ch: 1, exit: { status: null, signal: 'HUP' }, openedAt: 0.1, closedAt: 67.02 })
})

test('the overview holds every channel once, with totals', async () => {
  const overview = await sshOverview(play(sshSession))
  expect(overview).toMatchObject({ channelsLeftOut: 0, files: 2, refusals: 1, lastAt: 67.02 })
  expect(overview.channels.map(({ ch }) => ch)).toEqual([1, 2, 3, 4])
  expect(await sshOverview(play(sshSession), 1)).toMatchObject({ channelsLeftOut: 3 })
})

test('a recording that stops leaves its channels open, and what they did so far', async () => {
  const [exec] = ends(
    await timeline(
      sshSession.slice(
        0,
        sshSession.findIndex(({ code }) => code === 'x'),
      ),
    ),
  ).filter(({ ch }) => ch === 3)
  expect(exec).toMatchObject({ closedAt: null, exit: null, bytesDown: null, outputBytes: 22 })
})

test('read from the middle, a channel is told without its beginning', async () => {
  const items = await timeline([bytesAt(9, '=o', 7, 'x'), at(10, 'end', { ch: 7, bytesUp: 0, bytesDown: 1 })])
  expect(ends(items)).toMatchObject([{ ch: 7, kind: null, openedAt: null, closedAt: 10 }])
})

test('what this version does not know is told by its code; any line at all is answered', async () => {
  const items = await timeline([
    { seconds: 1, code: 'future', data: {} },
    { seconds: 2, code: 'x', data: { ch: 'one' } },
    { seconds: 3, code: '=z', data: { ch: 1 }, bytes: Buffer.from('x') },
    { seconds: 4, code: '=o', data: null, bytes: Buffer.from('x') },
    { seconds: 5, code: 'toString', data: {} },
  ])
  expect(items.map((item) => item.kind === 'unknown' && item.code)).toEqual(['future', 'x', '=z', '=o', 'toString'])
  const codes = fc.constantFrom('ch', 'pty', 'run', 'r', 'sig', 'x', 'f', 'lost', 'fw', 'no', 'end', 'm', '=o')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ seconds: fc.nat(), code: codes, data: fc.jsonValue() })), async (events) => {
      expect(await timeline(events)).toHaveLength(events.length)
    }),
  )
})

// Goal: memory does not grow with the recording. Method: a million events, and channels that are never closed.
test('a recording of any length is read in bounded space', { timeout: 60_000 }, async () => {
  function* long(): Generator<RecordedEvent> {
    for (let ch = 1; ch <= 20_000; ch++) {
      yield at(ch, 'ch', { ch, kind: 'session' })
      for (let n = 0; n < 10; n++) yield bytesAt(ch, '=o', ch, 'x')
    }
  }
  let seen = 0
  let endedEarly = 0
  for await (const item of sshTimeline(play(long()))) {
    seen++
    if (item.kind === 'end' && item.at < 20_000) endedEarly++
  }
  expect(seen).toBe(20_000)
  expect(endedEarly).toBeGreaterThan(15_000)
})
