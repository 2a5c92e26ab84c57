/** What size costs: listing what may be asked for among thousands of resources, and searching a long audit log. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issue, makeAuthority } from '../scripts/certificates.ts'
import type { AccessDeps } from '../src/access/deps.ts'
import { offersFor } from '../src/access/offers.ts'
import { auditEvent, theGateway } from '../src/audit/event.ts'
import { loadConfig } from '../src/config/load.ts'
import { createLog } from '../src/observability/log.ts'
import { createCatalogue } from '../src/resources/catalogue.ts'
import { openSqliteState } from '../src/store/sqlite/open.ts'
import type { State } from '../src/store/state.ts'
import { systemClock } from '../src/system.ts'
import { benchPerson } from './person.ts'
import { median, quantile, rounded } from './statistics.ts'

export interface LargeOptions {
  readonly resources: number
  readonly policies: number
  readonly events: number
  readonly repeats: number
}

export async function* benchLarge(options: LargeOptions): AsyncGenerator<object> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-large-'))
  try {
    yield await listing(folder, options)
    yield await searching(folder, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** All of a person's offers, on the thread that carries sessions: the first time, and after that. */
async function listing(folder: string, { resources, policies, repeats }: LargeOptions): Promise<object> {
  const file = join(folder, 'curfew.yaml')
  const { certificate, key } = await issue(await makeAuthority('Curfew benchmark authority'), { names: ['localhost'] })
  await writeFile(join(folder, 'server.pem'), certificate)
  await writeFile(join(folder, 'server.key'), key, { mode: 0o600 })
  await writeFile(file, configText(resources, policies))
  const config = await loadConfig(file, { BENCH_SECRET: 'none' })
  const catalogue = createCatalogue(config.resources)
  // What the list rests on, and nothing else of the room.
  const rules = { policies: config.policies, denials: config.denials ?? [] }
  const deps = { catalogue, rules, clock: systemClock } as unknown as AccessDeps
  const times: number[] = []
  let offers = 0
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const startedMs = performance.now()
    offers = offersFor(deps, benchPerson).length
    times.push(performance.now() - startedMs)
  }
  const [firstMs = 0, ...others] = times
  const shown = { firstMs: rounded(firstMs, 0), thenMs: rounded(median(others), 0) }
  return { bench: 'large', case: 'what may be asked for', resources, policies, offers, ...shown }
}

function configText(resources: number, policies: number): string {
  const roles = '{ reader: { login: reader }, writer: { login: writer } }'
  const servers = Array.from(
    { length: resources },
    (_, index) =>
      `  web-${index}: { kind: ssh, host: 127.0.0.1, hostKeys: { fingerprints: ['SHA256:${'A'.repeat(43)}'] }, labels: { team: t${index % policies} }, roles: ${roles} }`,
  )
  const rules = Array.from(
    { length: policies },
    (_, index) =>
      `  - { name: p${index}, who: { groups: [engineers] }, what: { labels: { team: t${index} } }, for: { default: 1h, most: 8h }, reason: optional, approval: none }`,
  )
  return `gateway: { name: bench, publicUrl: 'https://localhost:8443', data: data }
listen:
  web: { port: 8443, tls: { certificate: server.pem, key: 'file:server.key' } }
  ssh: [{ port: 2222 }]
identity: { issuer: 'http://127.0.0.1:9', clientId: bench, clientSecret: 'env:BENCH_SECRET' }
resources:
${servers.join('\n')}
policies:
${rules.join('\n')}
`
}

/** Looks for a text that no event holds; meanwhile what a connection asks for is read, again and again. */
async function searching(folder: string, { events }: LargeOptions): Promise<object> {
  await using state = await openSqliteState({ folder, clock: systemClock, log: createLog({ level: 'error' }) })
  await fill(state, events)
  const reads: number[] = []
  const startedMs = performance.now()
  let isOver = false
  const search = state.audit.search({ text: 'in none of them', limit: 100 }).then(() => (isOver = true))
  while (!isOver) {
    const readMs = performance.now()
    await state.sessions.session('session-none')
    reads.push(performance.now() - readMs)
  }
  await search
  const searchMs = rounded(performance.now() - startedMs, 0)
  const meanwhile = {
    reads: reads.length,
    readP99Ms: rounded(quantile(reads, 0.99), 1),
    readMaxMs: rounded(Math.max(...reads), 1),
  }
  return { bench: 'large', case: 'search of the audit log', events, searchMs, ...meanwhile }
}

const batch = 1000

async function fill(state: State, events: number): Promise<void> {
  for (let index = 0; index < events; index += batch) {
    const some = Array.from({ length: Math.min(batch, events - index) }, (_, at) =>
      auditEvent('session.started', systemClock.now(), theGateway, {
        session: `session-${index + at}`,
        role: 'reader',
      }),
    )
    await state.audit.append(some)
  }
}
