import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type pg from 'pg'
import { connectionString } from '../../test/clients/psql.ts'
import { startPostgres, type TestPostgres } from '../../test/servers/postgres.ts'
import { startSeparateGateway, type SeparateGateway } from '../../test/servers/separate-gateway.ts'
import { freePort } from '../ports.ts'
import type { Scene } from './cases.ts'
import { recordClients } from './corpus.ts'
import { startEvilTarget } from './evil-target.ts'

/** A gateway in a process of its own in front of a real server and an evil one, and a session that must not be disturbed. */
export interface OpenScene extends AsyncDisposable {
  readonly scene: Scene
  readonly gateway: SeparateGateway
  readonly healthy: Healthy
  /** Waits until nothing is left of what was sent. @returns what is wrong. */
  wrong(): Promise<readonly string[]>
}

type Configure = NonNullable<Parameters<typeof startSeparateGateway>[0]['configure']>

const grantMs = 7_200_000
const patienceMs = 20_000

export async function openScene(seed: number): Promise<OpenScene> {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await startPostgres())
  const ports = { plaintext: await freePort(), balanced: await freePort(), evil: await freePort() }
  const gateway = stack.use(await startSeparateGateway({ postgres, configure: configure(ports) }))
  const { token } = await gateway.enter(grantMs)
  const guarded = (await gateway.enter(grantMs, 'guarded')).token
  const atEvil = (await gateway.enter(grantMs, 'reporting', 'evil')).token
  const place = { port: ports.plaintext, user: 'reporting.token', database: 'prod-db', password: token }
  const talks = await recordClients(place)
  stack.use(await startEvilTarget(seed, talks, ports.evil))
  const healthy = stack.use(new Healthy((await gateway.connect(token)).client, postgres, gateway, token))
  const scene: Scene = {
    seed,
    talks,
    ca: gateway.ca,
    ports: { tls: gateway.postgresPort, plaintext: ports.plaintext, balanced: ports.balanced },
    tokens: { reporting: token, guarded, evil: atEvil },
    victim: healthy.processId,
  }
  const all = stack.move()
  return { scene, gateway, healthy, wrong: () => healthy.look(), [Symbol.asyncDispose]: () => all.disposeAsync() }
}

function configure(ports: { readonly plaintext: number; readonly balanced: number; readonly evil: number }): Configure {
  return (config) => {
    config.identity.signInFor = '1s'
    config.access = { waitFor: '0' }
    config.limits = { handshake: '3s', unauthenticatedPerAddress: 300, unauthenticated: 2048 }
    const [listener] = config.listen.postgres!
    config.listen.postgres!.push(
      { ...listener!, port: ports.plaintext, plaintext: 'allow' },
      { ...listener!, port: ports.balanced, plaintext: 'allow', proxyProtocol: { from: ['127.0.0.0/8'] } },
    )
    const login = { login: 'shop_reporting', password: 'file:secrets/shop_reporting', databases: ['shop'] as [string] }
    const parameters = { statement_timeout: '3s' }
    const { roles } = config.resources['prod-db'] as { roles: Record<string, unknown> }
    roles['reporting'] = { ...login, parameters, recordRows: {} }
    roles['guarded'] = { ...login, parameters, serverFiles: 'refuse', guard: 'read-only' }
    config.resources['evil'] = {
      ...{ kind: 'postgres', host: '127.0.0.1', port: ports.evil, tls: { mode: 'disable' }, connectTimeout: '2s' },
      roles: { reporting: { ...login, recordRows: {} } },
    }
    config.policies[0]!.what = { roles: ['reporting', 'guarded'] }
  }
}

/** One round trip after the other, and a psql now and then. What goes wrong is remembered. */
export class Healthy implements AsyncDisposable {
  count = 0
  longestMs = 0
  readonly processId: number
  readonly #client: pg.Client
  readonly #postgres: TestPostgres
  readonly #gateway: SeparateGateway
  readonly #token: string
  readonly #wrong: string[] = []
  readonly #work: Promise<void>
  #isStopped = false
  #readLogBytes = 0
  #looks = 0

  constructor(client: pg.Client, postgres: TestPostgres, gateway: SeparateGateway, token: string) {
    this.#client = client
    this.#postgres = postgres
    this.#gateway = gateway
    this.#token = token
    this.processId = (client as unknown as { readonly processID: number }).processID
    this.#work = this.#beat().catch(
      (error: unknown) => void this.#wrong.push(`the healthy session failed: ${String(error)}`),
    )
  }

  async look(): Promise<readonly string[]> {
    await this.#nothingLeft()
    await this.#readLog()
    this.#looks += 1
    if (this.#looks % 10 === 1) await this.enters()
    return this.#wrong.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#work
    await this.#client.end().catch(() => undefined) // it may have ended; that was told
  }

  async #beat(): Promise<void> {
    while (!this.#isStopped) {
      const askedMs = performance.now()
      const { rows } = await this.#client.query<{ n: number; x: string }>(
        "select $1::int as n, repeat('x', 100) as x",
        [++this.count],
      )
      if (rows[0]?.n !== this.count || rows[0].x.length !== 100) throw new Error('another answer than was asked for')
      this.longestMs = Math.max(this.longestMs, performance.now() - askedMs)
      await sleep(20)
    }
  }

  async #nothingLeft(): Promise<void> {
    const endMs = performance.now() + patienceMs
    let left = ''
    do {
      left = await this.#left()
      if (left === '') return
      await sleep(50)
    } while (performance.now() < endMs)
    this.#wrong.push(`something is left: ${left}`)
  }

  async #left(): Promise<string> {
    const sql = "select count(*)::int as n from pg_stat_activity where usename = 'shop_reporting'"
    const { rows } = await this.#postgres.query(sql)
    const { n } = rows[0] as { n: number }
    const live = await this.#gateway.metric('curfew_sessions_live')
    const waiting = await this.#gateway.metric('curfew_unauthenticated_connections')
    return n === 1 && live === 1 && waiting === 0
      ? ''
      : `${n} at the target, ${live} sessions, ${waiting} before sign-in`
  }

  /** Bugs are logged as errors. An evil target that does not hang up is none. */
  async #readLog(): Promise<void> {
    const text = await this.#gateway.log()
    const lines = text
      .slice(this.#readLogBytes)
      .split('\n')
      .filter((line) => line !== '')
    this.#readLogBytes = text.length
    const isBad = (line: string) =>
      !line.startsWith('{') ||
      (line.includes('"level":"error"') &&
        !/a target session may go on.*evil|evil.*a target session may go on/.test(line))
    for (const line of lines) if (isBad(line)) this.#wrong.push(`the log says: ${line.slice(0, 1000)}`)
  }

  /** Somebody new gets in, and is answered. */
  async enters(): Promise<void> {
    const { postgresPort: port, caFile } = this.#gateway
    const words = connectionString({ port, user: 'reporting.token', database: 'prod-db', caFile })
    const env = { PATH: process.env['PATH'], PGPASSWORD: this.#token }
    const run = promisify(execFile)('psql', ['-XAt', '-c', 'select 6 * 7', words], { env })
    const read = await run.then(
      ({ stdout }) => stdout.trim(),
      (error: Error & { readonly stderr?: string }) => error.stderr ?? error.message,
    )
    if (read !== '42') this.#wrong.push(`psql read: ${read}`)
  }
}
