import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { IncomingMessage } from 'node:http'
import { expect, test, vi } from 'vitest'
import { Program } from '../clients/program.ts'
import { startHttpTestGateway } from '../servers/http-gateway.ts'

const docs = join(import.meta.dirname, '../../docs')

// Goal: what the documentation tells applications to do keeps everybody out whom the gateway did not send.
// Method: the example runs behind a real gateway, and is asked around it, too.
test('the example in docs/protocols.md knows whom the gateway sends, and believes nobody else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-example-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  const socketPath = join(folder, 'wiki.sock')
  const gateway = stack.use(await startHttpTestGateway({ others: { wiki: { address: `unix:${socketPath}` } } }))
  const env = { CURFEW: gateway.url.origin, RESOURCE: 'wiki', LISTEN: socketPath, NODE_EXTRA_CA_CERTS: gateway.caFile }
  stack.use(new Program(process.execPath, [join(docs, 'examples/assertion.mjs')], { env }))
  await vi.waitFor(() => reach(socketPath), { timeout: 10_000 })

  await gateway.httpGrant('alice', 'open', 3_600_000, 'wiki')
  await gateway.httpGrant('alice', 'open')
  const { authorization } = await gateway.bearer('alice', 'open')
  const as = ['-H', `Authorization: ${authorization}`]
  const inside = await gateway.curl(gateway.appUrl('/', 'wiki'), as)
  expect([inside.status, inside.body]).toEqual([200, 'alice@shop.example is open here\n'])

  await gateway.curl('/headers', as)
  const forAnother = String(gateway.target.last('/headers').headers['curfew-assertion'])
  const refused = { status: 401, body: 'come in through the gateway\n' }
  expect(await askDirectly(socketPath, {})).toEqual(refused)
  expect(await askDirectly(socketPath, { 'curfew-assertion': forAnother })).toEqual(refused)
})

test.each(['assertion.mjs', 'assertion.py'])('docs/protocols.md shows docs/examples/%s as it is', async (name) => {
  const example = await readFile(join(docs, 'examples', name), 'utf8')
  expect(await readFile(join(docs, 'protocols.md'), 'utf8')).toContain(`\n${example}\`\`\``)
})

async function reach(socketPath: string): Promise<void> {
  const socket = connect(socketPath)
  await once(socket, 'connect')
  socket.destroy()
}

async function askDirectly(socketPath: string, headers: Readonly<Record<string, string>>) {
  const [answer] = (await once(request({ socketPath, headers }).end(), 'response')) as [IncomingMessage]
  return { status: answer.statusCode, body: await text(answer) }
}
