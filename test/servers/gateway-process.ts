/** Runs a gateway; `separate-gateway.ts` starts it. Its configuration file is the first argument. */
import type { Person } from '../../src/identity/person.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway, type Gateway } from '../../src/gateway.ts'
import type { Entry, Order, Reply } from './separate-gateway.ts'

const alice: Person = {
  id: 'person-alice',
  issuer: 'http://127.0.0.1:9',
  subject: 'alice',
  email: 'alice@shop.example',
  name: 'Alice Chen',
  groups: ['engineering'],
  seenAt: 0 as Instant,
}

const [configFile = ''] = process.argv.slice(2)
const gateway = await startGateway(await loadConfig(configFile, {}))
await gateway.state.identity.transact((tx) => tx.savePerson(alice))
process.on('message', (order: Order) => void answer(gateway, order).then(send))
process.on('disconnect', () => void stop())
send({ kind: 'ready' })

async function answer(running: Gateway, order: Order): Promise<Reply> {
  if (order.kind === 'enter') return { kind: 'entry', ...(await enter(running, order.lengthMs)) }
  await globalThis.gc!({ execution: 'async' })
  const { heapUsed, external } = process.memoryUsage()
  return { kind: 'weight', heldBytes: heapUsed + external }
}

async function enter({ identity, access }: Gateway, lengthMs: number): Promise<Entry> {
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs, reason: '', ticket: null, startsAt: null }
  const request = await access.ask(alice, { ...wish, origin: 'test' })
  const grant = (await access.livingGrants(alice.id)).find((one) => one.request === request.id)
  const { text } = await identity.tokens.make(alice, { label: 'test', kind: 'access', lengthMs: 3_600_000 })
  return { grant: grant!.id, token: text }
}

function send(reply: Reply): void {
  process.send!(reply)
}

async function stop(): Promise<void> {
  await gateway[Symbol.asyncDispose]()
  process.exit(0)
}
