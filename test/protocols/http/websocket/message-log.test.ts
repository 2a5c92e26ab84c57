import { expect, test } from 'vitest'
import { batchMessagesMax, batchMsMax, MessageLog } from '../../../../src/protocols/http/websocket/message-log.ts'
import { HandClock } from '../../../clock.ts'
import { HandRecorder } from './relayed.ts'

function start() {
  const clock = new HandClock()
  const recorder = new HandRecorder()
  return { clock, recorder, log: new MessageLog(recorder, clock, 7) }
}

test('messages are written after a while, with the time since the line before', () => {
  const { clock, recorder, log } = start()
  clock.pass(5000)
  log.passed('up', true, 1, 5, true)
  clock.pass(40)
  log.passed('down', true, 2, 9, true)
  clock.pass(batchMsMax - 41)
  expect(recorder.lines).toEqual([])
  clock.pass(1)
  log.passed('down', true, 10, 0, true)
  log.flush()
  expect(recorder.lines).toEqual([
    {
      n: 7,
      messages: [
        [5000, 'up', 1, 5],
        [5040, 'down', 2, 9],
      ],
    },
    { n: 7, messages: [[0, 'down', 10, 0]] },
  ])
  expect(clock.timers).toBe(0)
})

test('many messages are written before the while is over', () => {
  const { clock, recorder, log } = start()
  for (let at = 0; at < 2 * batchMessagesMax + 1; at++) log.passed('up', true, 1, at, true)
  expect(recorder.lines.map(({ messages }) => messages.length)).toEqual([batchMessagesMax, batchMessagesMax])
  expect(clock.timers).toBe(1)
  log.flush()
  expect(recorder.messages).toHaveLength(2 * batchMessagesMax + 1)
  log.flush()
  expect(recorder.lines).toHaveLength(3)
})

test('fragments make one message, with what came between them beside it', () => {
  const { recorder, log } = start()
  log.passed('up', false, 1, 10, true)
  log.passed('down', true, 2, 3, true)
  log.passed('up', true, 9, 2, false)
  log.passed('up', true, 9, 1, true)
  log.passed('up', false, 0, 5, true)
  log.passed('up', true, 0, 0, true)
  log.passed('up', true, 2, 1, true)
  log.flush()
  expect(recorder.messages).toEqual(['down 2 3', 'up 9 3', 'up 1 15', 'up 2 1'])
})

test('of a message that goes on each line has what passed', () => {
  const { clock, recorder, log } = start()
  log.passed('up', true, 2, 100, false)
  clock.pass(batchMsMax)
  log.passed('up', true, 2, 50, false)
  log.passed('up', true, 2, 50, false)
  clock.pass(batchMsMax)
  clock.pass(10 * batchMsMax)
  log.passed('up', true, 2, 1, true)
  log.passed('up', true, 1, 4, true)
  log.flush()
  expect(recorder.messages).toEqual(['up 2 100', 'up 0 100', 'up 0 1', 'up 1 4'])
})

test('where nothing is recorded nothing is kept', () => {
  const { clock, recorder, log } = start()
  recorder.active = false
  log.passed('up', true, 1, 5, true)
  expect(clock.timers).toBe(0)
  log.flush()
  expect(recorder.events).toEqual([])
})
