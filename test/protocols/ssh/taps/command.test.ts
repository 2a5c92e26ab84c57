import { expect, test } from 'vitest'
import { chooseTap } from '../../../../src/protocols/ssh/taps/choose-tap.ts'
import type { TapChoice } from '../../../../src/protocols/ssh/taps/choose-tap.ts'
import { HandClock } from '../../../clock.ts'
import { KeptRecorder } from './recorded.ts'
import { sha256 } from './talk.ts'

function heard(choice: Partial<TapChoice>) {
  const recorder = new KeptRecorder()
  const given = { ch: 1, command: '', hasTerminal: false, recordInput: false, clock: new HandClock() }
  const tap = chooseTap({ what: 'exec', recorder, ...given, ...choice })
  tap.fromClient(Buffer.from('in'))
  tap.fromTarget(Buffer.from('out'))
  tap.errorsFromTarget(Buffer.from('err'))
  tap.close()
  return { codes: recorder.lines.map(([code, data]) => `${code} ${String(data['text'])}`), summary: tap.summary?.() }
}

test('of a command output and errors are recorded, and input is hashed', () => {
  const expected = { codes: ['=o out', '=e err'], summary: { sha256Up: sha256('in') } }
  expect(heard({ command: 'cat' })).toEqual(expected)
  expect(heard({ what: 'shell' })).toEqual(expected)
  expect(heard({ what: 'subsystem', command: 'netconf' })).toEqual(expected)
})

test('of a terminal input leaves no trace, unless the role says so', () => {
  expect(heard({ what: 'shell', hasTerminal: true })).toEqual({ codes: ['=o out', '=e err'], summary: {} })
  const typed = heard({ what: 'shell', hasTerminal: true, recordInput: true })
  expect(typed).toEqual({ codes: ['=i in', '=o out', '=e err'], summary: {} })
})

test('behind a terminal nothing counts as SFTP or SCP', () => {
  for (const choice of [{ what: 'subsystem', command: 'sftp' } as const, { command: 'scp -t x' }]) {
    expect(heard({ ...choice, hasTerminal: true }).codes).toEqual(['=o out', '=e err'])
  }
})

test('of forwarded connections nothing is recorded', () => {
  expect(heard({ what: 'forward' })).toEqual({ codes: [], summary: undefined })
})

test('more than a recorder takes at once is recorded in parts', () => {
  const recorder = new KeptRecorder()
  const choice = { ch: 1, command: 'cat', hasTerminal: false, recordInput: false, clock: new HandClock() }
  chooseTap({ what: 'exec', recorder, ...choice }).fromTarget(Buffer.alloc(2_500_000, 65))
  expect(recorder.text('=o')).toHaveLength(2_500_000)
})
