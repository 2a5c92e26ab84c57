// Goal: an application with several names works the same at each of them.
// Method: the real curl, one session for all names, and the tests' target, which redirects to itself.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway

beforeAll(async () => {
  gateway = stack.use(await startHttpTestGateway({ app: { hosts: ['second.localhost'] } }))
  await gateway.httpGrant('alice', 'open')
})
afterAll(() => stack.disposeAsync())

test('a redirect to the target’s own address leads to the name that was typed, wherever the session began', async () => {
  const headers = Object.entries(await gateway.bearer('alice', 'open'))
  const token = headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  for (const host of ['app.localhost', 'second.localhost', 'app.localhost']) {
    const at = (path: string) => Object.assign(gateway.appUrl(path), { hostname: host })
    for (const version of ['--http1.1', '--http2']) {
      const self = await gateway.curl(at('/redirect?to=self'), [version, ...token])
      expect(self.headers['location']).toEqual([at('/hello').href])
      const bare = await gateway.curl(at(`/redirect?to=http://${host}/x`), [version, ...token])
      expect(bare.headers['location']).toEqual([at('/x').href])
    }
  }
})
