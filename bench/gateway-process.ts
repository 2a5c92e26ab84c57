/**
 * A gateway in a process of its own, steered by messages from the benchmark that started it.
 * Sign-in and approval are not what is measured, so the person, grants and tokens are made through the rooms directly.
 */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadConfig } from '../src/config/load.ts'
import { startGateway, type Gateway } from '../src/gateway.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GrantId } from '../src/kernel/ids.ts'
import type { BrowserSession } from '../src/identity/store.ts'
import type { Command, Reply } from './gateway-messages.ts'
import { benchPerson as person } from './person.ts'

const [configFile = ''] = process.argv.slice(2)
const gateway = await startGateway(await loadConfig(configFile, process.env))
await gateway.state.identity.transact((tx) => tx.savePerson(person))
process.on('message', (command: Command) => void answer(gateway, command))
process.on('disconnect', () => void stop())
send({
  kind: 'ready',
  webPort: gateway.web.port,
  postgresPort: gateway.postgres[0]?.port ?? 0,
  sshPort: gateway.ssh[0]?.port ?? 0,
})

async function answer(running: Gateway, command: Command): Promise<void> {
  switch (command.kind) {
    case 'token': {
      const { text } = await running.identity.tokens.make(person, {
        label: 'bench',
        kind: 'access',
        lengthMs: 3_600_000,
      })
      return send({ kind: 'token', text })
    }
    case 'certificate': {
      const wish = { label: 'bench', kind: 'cli', lengthMs: 3_600_000 } as const
      const { token } = await running.identity.tokens.make(person, wish)
      const { certificate } = await running.identity.ssh.issueCertificate({ person, token }, command.publicKey)
      return send({ kind: 'certificate', certificate })
    }
    case 'grant':
      return send(await grant(running, command))
    case 'cookie':
      return send({ kind: 'cookie', text: await cookie(running, command) })
    case 'revoke': {
      const startedAt = Date.now()
      const monotonicMs = performance.now()
      await running.access.revoke({ ...person, groups: ['operators'] }, command.grant, 'benchmark')
      return send({ kind: 'revoked', startedAt, callMs: performance.now() - monotonicMs })
    }
    case 'ends':
      return send({ kind: 'ends', toldMs: await toldMs(running, command.grant, command.count) })
    case 'remember':
      await remember(running, command.address)
      return send({ kind: 'remembered' })
    case 'usage': {
      if (command.collect === true) await collectGarbage()
      const { user, system } = process.cpuUsage()
      const { rss: rssBytes, heapUsed: heapBytes, external: externalBytes } = process.memoryUsage()
      return send({
        kind: 'usage',
        cpuMs: (user + system) / 1000,
        ...{ rssBytes, heapBytes, externalBytes },
        live: running.gate.liveCount,
      })
    }
  }
}

/** More than once: what is freed in one pass lets go of more in the next. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let pass = 0; pass < 4; pass++) {
    collect()
    await sleep(50)
  }
}

async function grant(running: Gateway, wanted: Extract<Command, { kind: 'grant' }>): Promise<Reply> {
  const { resource, role, lengthMs } = wanted
  const wish = { resource, role, lengthMs, reason: 'bench', ticket: null, startsAt: null, origin: 'bench' }
  const request = await running.access.ask(person, wish)
  const given = await running.state.access.grantOf(request.id)
  return { kind: 'grant', grant: given!.id, expiresAt: given!.expiresAt }
}

/** A browser's session, and from there the way into the application that a browser takes, without the browser. */
async function cookie(running: Gateway, wanted: Extract<Command, { kind: 'cookie' }>): Promise<string> {
  const browserSession = await signIn(running)
  const { apps } = running.identity
  const place = { resource: wanted.resource, host: wanted.host }
  const begun = apps.begin(place, '/')
  const ticket = apps.ticket({ person, browserSession }, place, wanted.role, begun.state)
  const entered = apps.enter(place, ticket, (name) => (name === begun.cookie.name ? begun.cookie.value : undefined))
  return `${entered.cookie.name}=${entered.cookie.value}`
}

/** What is left of a sign-in whose link somebody opened, and chose to be remembered. */
async function remember(running: Gateway, address: string): Promise<void> {
  const { inBand } = running.identity
  const browserSession = await signIn(running)
  const of = {
    purpose: 'postgres',
    address,
    application: 'bench',
    resource: null,
    role: null,
    secretHash: null,
  } as const
  const asked = await inBand.begin(of)
  await inBand.confirm(asked, { person, browserSession }, { address }, true)
}

async function signIn(running: Gateway): Promise<BrowserSession> {
  const now = Date.now() as BrowserSession['createdAt']
  const browserSession: BrowserSession = {
    id: `browser-bench-${now}`,
    person: person.id,
    secretHash: randomBytes(32).toString('base64url'),
    ...{ providerSession: null, idToken: null, sealedRefreshToken: null, endedAt: null },
    ...{ address: '127.0.0.1', userAgent: 'bench', createdAt: now },
    expiresAt: (now + 8 * 3_600_000) as BrowserSession['expiresAt'],
  }
  await running.state.identity.transact((tx) => tx.insertBrowserSession(browserSession))
  return browserSession
}

/** Waits until all ends are written. */
async function toldMs(running: Gateway, grantId: GrantId, count: number): Promise<number[]> {
  for (;;) {
    const rows = await running.state.sessions.sessions({ live: false, limit: count * 2 })
    const told = rows.filter(({ session }) => session.grant === grantId).flatMap(({ end }) => end?.cutLatencyMs ?? [])
    if (told.length >= count) return told
    await sleep(200)
  }
}

function send(reply: Reply): void {
  process.send!(reply)
}

async function stop(): Promise<void> {
  await gateway[Symbol.asyncDispose]()
  process.exit(0)
}
