import { expect, test } from 'vitest'
import { sshTimelineText } from '../../src/cli/ssh-timeline-text.ts'
import type { SshEvents } from '../../src/recording/ssh-events.ts'
import type { SshItem } from '../../src/recording/ssh-timeline.ts'

const text = (item: SshItem) => sshTimelineText(item, (_format, words) => words).slice('0:00:01.000  '.length)
const file = (facts: Partial<SshEvents['f']>) =>
  text({ kind: 'file', at: 1, ch: 2, op: 'write', path: '/srv/a', result: 'ok', ms: 3, ...facts })

test('file operations are told with what belongs to each', () => {
  expect(file({ direction: 'up', bytes: 2048, name: 'b' })).toBe(
    'channel 2  write /srv/a (sent as b), 2.0 KiB up, 3.0 ms',
  )
  expect(file({ op: 'rename', to: '/srv/b' })).toBe('channel 2  rename /srv/a -> /srv/b, 3.0 ms')
  expect(file({ op: 'list', names: 1 })).toBe('channel 2  list /srv/a, 1 name, 3.0 ms')
  expect(file({ op: 'setstat', set: { mode: '0755', uid: 0, gid: 5, size: 9, times: [0, 1_000_000_000] } })).toBe(
    'channel 2  setstat /srv/a, mode 0755, owner 0, group 5, size 9, changed 2001-09-09T01:46:40Z, 3.0 ms',
  )
  expect(file({ op: 'setstat', set: { times: [0, Number.MAX_SAFE_INTEGER] } })).toContain('changed 9007199254740991')
  expect(file({ op: 'stat', path: '', count: 500 })).toBe('channel 2  stat, 500 more of them, 3.0 ms')
  expect(file({ sha256: 'ab' })).toMatch(/\n {13}SHA-256 ab$/)
})

test('nothing that a path, a server or a client says reaches the terminal', () => {
  const evil = '\u001b[2J\n\u202e'
  const items: SshItem[] = [
    { kind: 'file', at: 1, ch: 1, op: 'write', path: evil, to: evil, name: evil, sha256: evil, result: evil, ms: 1 },
    { kind: 'signal', at: 1, ch: 1, name: evil },
    { kind: 'lost', at: 1, ch: 1, why: evil },
    { kind: 'remote-forward', at: 1, address: evil, action: 'cancel', ok: false },
    { kind: 'refused', at: 1, what: evil, why: evil },
    { kind: 'gate', at: 1, what: 'notice', text: evil },
    { kind: 'unknown', at: 1, code: evil },
  ]
  // oxlint-disable-next-line no-control-regex -- it looks for control characters
  for (const item of items) expect(text(item), item.kind).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
})
