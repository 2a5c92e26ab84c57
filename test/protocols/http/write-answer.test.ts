import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { endWith, upgradeHead, writeHead } from '../../../src/protocols/http/write-answer.ts'

test('the head of an upgrade has the bytes that the target sent', () => {
  const head = upgradeHead('websocket', ['X-Name', Buffer.from('Zoë').toString('latin1')])
  expect(head.toString('utf8')).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Name: Zoë\r\n\r\n',
  )
})

// Goal: names of files arrive in the bytes in which the application wrote them: browsers read UTF-8 there.
// Method: a real server and a socket that shows bytes. Values are Latin-1 here, a character for each byte.
test.each(['für.txt', '日本.txt', '€.txt', 'plain.txt'])('a file’s name passes as it is: %s', async (name) => {
  const line = Buffer.from(`Content-Disposition: attachment; filename="${name}"`, 'utf8').toString('latin1')
  const [header, value] = line.split(': ') as [string, string]
  const server = createServer((_request, response) => {
    const headers = ['X-First', '1', 'Content-Length', '2', header, value, 'X-Last', '2']
    try {
      writeHead(response, 200, headers, { version: '1.1', whole: false })
      endWith(response, Buffer.from('ok'), '1.1')
    } catch (error) {
      response.writeHead(502).end(String(error))
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const answer = await text(socket.setEncoding('latin1'))
  server.close()
  expect(answer.split('\r\n')).toEqual(expect.arrayContaining([line, 'X-First: 1', 'X-Last: 2', 'ok']))
})
