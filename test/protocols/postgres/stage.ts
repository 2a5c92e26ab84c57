/** A PostgreSQL listener in front of a real server, with a gate made by hand; and psql. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresListener } from '../../../src/config/config.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { createCancelKeys } from '../../../src/protocols/postgres/cancel-keys.ts'
import { listenPostgres, type PostgresDeps } from '../../../src/protocols/postgres/listener.ts'
import { networksOf } from '../../../src/policy/networks.ts'
import { createStatementReader } from '../../../src/protocols/postgres/guard/reader.ts'
import { createCatalogue, type PostgresResource } from '../../../src/resources/catalogue.ts'
import type { StatementGuard } from '../../../src/resources/guard.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { issue, makeAuthority } from '../../../scripts/certificates.ts'
import type { TestPostgres } from '../../servers/postgres.ts'
import {
  CountingMetrics,
  HandAccess,
  HandGate,
  HandIdentity,
  HandQuestions,
  listLog,
  type LogLine,
} from './hand-made.ts'
import { plainRole } from '../../postgres-role.ts'

export type Stage = Awaited<ReturnType<typeof openStage>>

export interface StageOptions {
  readonly waitMs?: number
  readonly handshakeMs?: number
  readonly signInMs?: number
  readonly perAddressMax?: number
  readonly plaintext?: boolean
  /** What else its listener is like. */
  readonly listener?: Partial<Pick<PostgresListener, 'minTlsVersion' | 'keepalives'>>
  /** Networks of load balancers. */
  readonly balancers?: readonly string[]
  readonly tls?: PostgresResource['tls']
  readonly port?: number
  /** Of every role. */
  readonly guard?: StatementGuard
}

export function resourceOf(
  postgres: TestPostgres,
  tls?: PostgresResource['tls'],
  port?: number,
  guard: StatementGuard | null = null,
): PostgresResource {
  const role = (login: keyof TestPostgres['passwords']) => ({
    kind: 'postgres' as const,
    ...plainRole,
    guard,
    name: login.replace('shop_', ''),
    description: '',
    login,
    password: new Secret(postgres.passwords[login]),
    databases: ['shop', 'postgres'] as const,
    recording: 'strict' as const,
  })
  const roles = [role('shop_readonly'), role('shop_admin'), role('shop_reporting')]
  return {
    kind: 'postgres',
    name: 'shop',
    description: '',
    labels: {},
    host: postgres.host,
    port: port ?? postgres.port,
    others: [],
    targetSession: 'any',
    connectMs: 15_000,
    minTlsVersion: 'TLSv1.2',
    keepalives: null,
    logins: ['scram-sha-256', 'md5', 'none'],
    tls: tls ?? { mode: 'verify-full', ca: postgres.ca, serverName: null, identity: null },
    roles: Object.fromEntries(roles.map((each) => [each.name, each])),
  }
}

export async function openStage(postgres: TestPostgres, options: StageOptions = {}) {
  const authority = await makeAuthority('Curfew stage authority')
  const issued = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  const folder = await mkdtemp(join(tmpdir(), 'curfew-stage-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.certificate)
  const gate = new HandGate()
  for (const role of ['readonly', 'admin', 'reporting']) gate.grants.add(`shop/${role}`)
  const [identity, access, metrics] = [new HandIdentity(), new HandAccess(), new CountingMetrics()]
  const questions = new HandQuestions()
  const statements = createStatementReader(systemClock)
  identity.remembered = true
  const logged: LogLine[] = []
  const limits = {
    unauthenticatedPerAddressMax: options.perAddressMax ?? 64,
    unauthenticatedMax: 2048,
    handshakeMs: options.handshakeMs ?? 10_000,
  }
  const settings = {
    limits,
    access: { waitMs: options.waitMs ?? 0 },
    identity: { signInMs: options.signInMs ?? 300_000 },
  }
  const deps: PostgresDeps = {
    gate,
    identity: identity.parts,
    access: access.parts,
    catalogue: createCatalogue([resourceOf(postgres, options.tls, options.port, options.guard)]),
    ...{ statements, questions: questions.parts },
    settings: settings as PostgresDeps['settings'],
    clock: systemClock,
    random: systemRandom,
    log: listLog(logged),
    metrics,
    cancelKeys: createCancelKeys({ clock: systemClock }),
    databaseUsers: noDatabaseUsers,
  }
  const tls = { certificate: issued.certificate, key: new Secret(issued.key) }
  const plaintext = options.plaintext ?? false
  const balancers = options.balancers === undefined ? null : networksOf(options.balancers)
  const listener = { address: '127.0.0.1', port: 0, tls, plaintext, balancers }
  const listening = await listenPostgres(
    { ...listener, minTlsVersion: 'TLSv1.2', keepalives: null, ...options.listener },
    deps,
  )
  const { port } = listening
  const conninfo = (user = 'readonly', more = '') =>
    `host=localhost port=${port} user=${user} dbname=shop sslmode=verify-full sslrootcert=${caFile} connect_timeout=20 ${more}`
  return {
    gate,
    identity,
    access,
    questions,
    metrics,
    logged,
    port,
    ca: authority.certificate,
    conninfo,
    listening,
    deps,
    psql: (args: readonly string[], user?: string, more?: string) => startPsql(conninfo(user, more), args),
    raw: () => connect({ host: '127.0.0.1', port }),
    async [Symbol.asyncDispose]() {
      for (const admission of gate.admissions) if (admission.ends.length === 0) admission.cut('SHUTTING_DOWN')
      await listening[Symbol.asyncDispose]()
      await statements[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export class Psql {
  readonly process: ChildProcess
  out = ''
  err = ''
  readonly exited: Promise<number | null>
  readonly #changed = new Set<() => void>()

  constructor(process: ChildProcess) {
    this.process = process
    const note = (add: (text: string) => void) => (text: Buffer) => {
      add(text.toString())
      for (const changed of this.#changed) changed()
    }
    process.stdout!.on(
      'data',
      note((text) => (this.out += text)),
    )
    process.stderr!.on(
      'data',
      note((text) => (this.err += text)),
    )
    process.stdin!.on('error', () => undefined)
    this.exited = new Promise((resolve) => process.on('close', (code) => resolve(code)))
  }

  type(text: string): void {
    this.process.stdin!.write(text)
  }

  /** Resolves when standard output or error contains it; rejects when psql ends before. */
  async until(text: string): Promise<void> {
    const gone = this.exited.then(() => 'gone' as const)
    while (!`${this.out}${this.err}`.includes(text)) {
      const changed = new Promise<'changed'>((resolve) => {
        const once = () => {
          this.#changed.delete(once)
          resolve('changed')
        }
        this.#changed.add(once)
      })
      if ((await Promise.race([changed, gone])) === 'gone' && !`${this.out}${this.err}`.includes(text)) {
        throw new Error(`psql ended without "${text}": ${this.out}${this.err}`)
      }
    }
  }
}

function startPsql(conninfo: string, args: readonly string[]): Psql {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', PGPASSWORD: process.env['STAGE_PASSWORD'] }
  return new Psql(spawn('psql', [conninfo, '-X', '-v', 'ON_ERROR_STOP=0', ...args], { env }))
}

/** No role of the stage has users of its own. */
const noDatabaseUsers: PostgresDeps['databaseUsers'] = {
  lend: () => Promise.reject(new Error('no role makes users')),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

export function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(chunks))))
}
