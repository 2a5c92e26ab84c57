import { expect, test } from 'vitest'
import { upgradeHead } from '../../../src/protocols/http/write-answer.ts'

test('the head of an upgrade has the bytes that the target sent', () => {
  const head = upgradeHead('websocket', ['X-Name', Buffer.from('Zoë').toString('latin1')])
  expect(head.toString('utf8')).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Name: Zoë\r\n\r\n',
  )
})
