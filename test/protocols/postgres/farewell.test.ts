// Goal: a session is over although its client's socket never says that it is closed.
// Method: a socket that breaks and says nothing, a clock turned by hand.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { farewell, goodbyeMs } from '../../../src/protocols/postgres/farewell.ts'
import { HandClock } from '../../clock.ts'

test('a socket that broke and never says that it is closed is waited for no longer than others', async () => {
  const clock = new HandClock()
  const socket = new Duplex({ destroy: () => undefined }) as unknown as Socket
  socket.destroy()
  let isOver = false
  void farewell(socket, clock).then(() => (isOver = true))
  clock.pass(goodbyeMs)
  await setImmediate()
  expect(isOver).toBe(true)
})
