// Goal: a session is over although its client's socket never says that it is closed.
// Method: a socket that breaks and says nothing, a clock turned by hand.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { farewell, goodbyeMs } from '../../../src/protocols/postgres/farewell.ts'
import { HandClock } from '../../clock.ts'

test('a socket that broke and never says that it is closed is not waited for without end', async () => {
  const clock = new HandClock()
  const socket = new Duplex({ destroy: () => undefined }) as unknown as Socket
  socket.destroy()
  let isOver = false
  void farewell(socket, clock).then(() => (isOver = true))
  clock.pass(goodbyeMs)
  clock.pass(goodbyeMs)
  await setImmediate()
  expect(isOver).toBe(true)
})

test('who does not read in time is over when its socket is closed, not before', async () => {
  const clock = new HandClock()
  const socket = new Duplex({
    read: () => undefined,
    write: () => undefined,
    destroy: (_error, done) => void setTimeout(done, 20, null),
  }) as unknown as Socket
  socket.write('words that nobody reads')
  const order: string[] = []
  socket.once('close', () => order.push('closed'))
  const over = farewell(socket, clock).then(() => order.push('over'))
  clock.pass(goodbyeMs)
  await over
  expect(order).toEqual(['closed', 'over'])
})
