// Goal: when a resource is another, or gone, what is under way to it goes on, and with the last who has a way there its
// connections are closed. Method: a real server that tells who is connected, and a catalogue that changes.
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLog } from '../../../../src/observability/log.ts'
import { createHttpTargets } from '../../../../src/protocols/http/targets/targets.ts'
import { createCatalogue, type HttpResource } from '../../../../src/resources/catalogue.ts'
import { systemClock } from '../../../../src/system.ts'
import { silent } from '../../../access/world.ts'
import { admissionOf, Heard, plainAt, portOf, resourceAt, role, simple, sinkOf } from './way.ts'

const server = createServer((request, response) => {
  if (request.url === '/wait') waiting.push(response)
  else response.end('answer')
})
let waiting: ServerResponse[]
let sockets: Set<Socket>
let resource: HttpResource
server.on('connection', (socket) => sockets.add(socket.on('close', () => sockets.delete(socket))))

beforeEach(async () => {
  waiting = []
  sockets = new Set()
  resource = resourceAt(plainAt(await portOf(server)))
})
afterEach(() => server.closeAllConnections())

function open() {
  const catalogue = createCatalogue([resource])
  const targets = createHttpTargets({
    catalogue,
    clock: systemClock,
    log: createLog({ level: 'error' }),
    metrics: silent,
  })
  const become = (resources: readonly HttpResource[]) => {
    catalogue.replace(resources)
    targets.lookAgain()
  }
  return { targets, become }
}

test.each([
  ['is another', () => [{ ...resource, description: 'another' }]],
  ['is gone', () => []],
] as const)('a resource that %s', async (_, changed) => {
  const { targets, become } = open()
  await using _targets = targets
  const [one, other] = [targets.to(resource, role), targets.to(resource, role)]
  const ask = async (path: string) => {
    const heard = new Heard()
    one.send(admissionOf('session-1'), { ...simple, path }, sinkOf(heard))
    return heard
  }
  const underWay = await ask('/wait')
  await expect.poll(() => waiting.length).toBe(1)
  become(changed())
  other[Symbol.dispose]()
  // Nobody counts twice.
  other[Symbol.dispose]()
  waiting[0]!.end('late')
  await underWay.over
  expect(underWay.text).toBe('late')
  const next = await ask('/')
  await next.over
  expect(next.text).toBe('answer')
  expect(sockets.size).toBe(1)
  const closed = once([...sockets][0]!, 'close')
  one[Symbol.dispose]()
  await closed
})

test('one that stays the same keeps its connections', async () => {
  const { targets, become } = open()
  await using _targets = targets
  const heard = new Heard()
  const way = targets.to(resource, role)
  way.send(admissionOf('session-1'), simple, sinkOf(heard))
  await heard.over
  way[Symbol.dispose]()
  become([resource])
  const again = new Heard()
  targets.to(resource, role).send(admissionOf('session-2'), simple, sinkOf(again))
  await again.over
  expect(again.text).toBe('answer')
  expect(sockets.size).toBe(1)
})
