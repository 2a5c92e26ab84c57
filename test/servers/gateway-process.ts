/** Runs a gateway; `separate-gateway.ts` starts it. Its configuration file is the first argument. */
import type { GrantId } from '../../src/kernel/ids.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway, type Gateway } from '../../src/gateway.ts'
import { LoopWatch } from './loop-watch.ts'
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
let loop: LoopWatch | undefined
send({ kind: 'ready' })

async function answer(running: Gateway, order: Order): Promise<Reply> {
  if (order.kind === 'enter') return { kind: 'entry', ...(await enter(running, order)) }
  if (order.kind === 'loop') return { kind: 'loop', ...(loop ??= new LoopWatch()).take() }
  if (order.kind === 'enter-ssh') {
    return { kind: 'ssh-entry', certificate: await enterBySsh(running, order.publicKey, order.lengthMs) }
  }
  await globalThis.gc!({ execution: 'async' })
  const { heapUsed, external } = process.memoryUsage()
  return { kind: 'weight', heldBytes: heapUsed + external }
}

async function enter(
  gateway: Gateway,
  { lengthMs, resource, role }: Extract<Order, { kind: 'enter' }>,
): Promise<Entry> {
  const grant = await askFor(gateway, resource, role, lengthMs)
  const wish = { label: 'test', kind: 'access', lengthMs: Math.max(3_600_000, lengthMs) } as const
  const { text } = await gateway.identity.tokens.make(alice, wish)
  return { grant, token: text }
}

async function enterBySsh(gateway: Gateway, publicKey: string, lengthMs: number): Promise<string> {
  const { identity, access } = gateway
  const living = await access.livingGrants(alice.id)
  if (!living.some(({ resource }) => resource === 'web-1')) await askFor(gateway, 'web-1', 'open', lengthMs)
  const { token } = await identity.tokens.make(alice, { label: 'test', kind: 'cli', lengthMs: 3_600_000 })
  return (await identity.ssh.issueCertificate({ person: alice, token }, publicKey)).certificate
}

async function askFor({ access }: Gateway, resource: string, role: string, lengthMs: number): Promise<GrantId> {
  const wish = { resource, role, lengthMs, reason: '', ticket: null, startsAt: null }
  const request = await access.ask(alice, { ...wish, origin: 'test' })
  return (await access.livingGrants(alice.id)).find((one) => one.request === request.id)!.id
}

function send(reply: Reply): void {
  process.send!(reply)
}

async function stop(): Promise<void> {
  await gateway[Symbol.asyncDispose]()
  process.exit(0)
}
