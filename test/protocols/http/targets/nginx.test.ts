import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startNginx } from './nginx.ts'
import { socketAt, wayTo } from './way.ts'

const big = randomBytes(5_000_000)
const digest = (chunks: readonly Buffer[]) => createHash('sha256').update(Buffer.concat(chunks)).digest('hex')

// A server that is not ours: nginx as Debian ships it.
test.skipIf(!existsSync('/usr/sbin/nginx'))(
  'nginx: files, ranges, conditions, errors and kept connections',
  async () => {
    await using nginx = await startNginx(
      { 'big.bin': big, 'small.txt': Buffer.from('hello') },
      'location /count { return 200 "$connection $connection_requests"; } location /gone { return 444; }',
    )
    await using way = wayTo(socketAt(nginx.socketPath))

    const whole = await way.ask({ path: '/big.bin' })
    expect([whole.status, whole.header('content-length')]).toEqual([200, `${big.length}`])
    expect(digest(whole.chunks)).toBe(digest([big]))
    const part = await way.ask({ path: '/big.bin', headers: ['range', 'bytes=1000000-1999999'] })
    expect([part.status, part.header('content-range')]).toEqual([206, `bytes 1000000-1999999/${big.length}`])
    expect(digest(part.chunks)).toBe(digest([big.subarray(1_000_000, 2_000_000)]))
    const same = await way.ask({ path: '/big.bin', headers: ['if-none-match', whole.header('etag')!] })
    expect([same.status, same.text]).toEqual([304, ''])
    expect((await way.ask({ path: '/nothing' })).status).toBe(404)
    expect((await way.ask({ method: 'PUT', path: '/small.txt' })).status).toBe(405)
    expect(await way.ask({ method: 'HEAD', path: '/big.bin' })).toMatchObject({ status: 200, text: '', ends: 1 })
    expect((await way.ask({ path: '/gone' })).code).toBe('UPSTREAM_UNREACHABLE')

    const counted: string[][] = []
    for (let n = 0; n < 10; n++) counted.push((await way.ask({ path: '/count' })).text.split(' '))
    expect(new Set(counted.map(([connection]) => connection)).size).toBe(1)
    expect(counted.at(-1)![1]).toBe('10')
  },
)

test.skipIf(!existsSync('/usr/sbin/nginx'))('nginx: no request is lost while it reloads', async () => {
  await using nginx = await startNginx({ 'small.txt': Buffer.from('hello') })
  await using way = wayTo(socketAt(nginx.socketPath))
  for (let reloads = 0; reloads < 3; reloads++) {
    nginx.reload()
    for (let n = 0; n < 30; n++) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => way.ask({ path: '/small.txt' })))
      expect(answers.map(({ text, error }) => error?.message ?? text)).toEqual(answers.map(() => 'hello'))
      await turn()
    }
  }
})
