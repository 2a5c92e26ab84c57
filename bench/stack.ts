/** The real parts that a benchmark runs against: PostgreSQL and a gateway process in front of it. */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issue, makeAuthority } from '../scripts/certificates.ts'
import { startPostgres, type RunningPostgres } from '../scripts/demo/postgres.ts'
import type { Command, Reply } from './gateway-messages.ts'

export interface Stack extends AsyncDisposable {
  readonly folder: string
  readonly target: RunningPostgres
  readonly login: { readonly user: string; readonly password: string; readonly database: string }
  readonly gateway: GatewayProcess
}

export class GatewayProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly webPort: number
  readonly postgresPort: number
  readonly sshPort: number
  readonly processId: number

  constructor(child: ChildProcess, ports: Extract<Reply, { kind: 'ready' }>) {
    this.#child = child
    this.webPort = ports.webPort
    this.postgresPort = ports.postgresPort
    this.sshPort = ports.sshPort
    this.processId = child.pid!
  }

  async ask<Kind extends Reply['kind']>(command: Command, expected: Kind): Promise<Extract<Reply, { kind: Kind }>> {
    const answered = nextReply(this.#child)
    this.#child.send(command)
    const reply = await answered
    if (reply.kind !== expected) throw new Error(`the gateway process answered ${reply.kind} to ${command.kind}`)
    return reply as Extract<Reply, { kind: Kind }>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}

async function nextReply(child: ChildProcess): Promise<Reply> {
  const patience = new AbortController()
  const gone = once(child, 'exit', { signal: patience.signal }).then(([status]) => {
    throw new Error(`the gateway process ended with status ${String(status)}; its log is above`)
  })
  try {
    const [reply] = (await Promise.race([once(child, 'message', { signal: patience.signal }), gone])) as [Reply]
    return reply
  } finally {
    gone.catch(() => undefined) // it is only called off
    patience.abort()
  }
}

/** @param sessionsMax how many sessions the target must bear at once. */
export async function startStack(sessionsMax: number): Promise<Stack> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const authority = await makeAuthority('Curfew benchmark authority')
  const tls = { ...(await issue(authority, { names: ['localhost', '127.0.0.1'] })), ca: authority.certificate }
  const target = stack.use(
    await startPostgres({
      folder: join(folder, 'postgres'),
      tls,
      plaintext: true,
      superuserPassword: randomBytes(16).toString('hex'),
      settings: { max_connections: sessionsMax + 20, shared_buffers: '256MB', io_method: 'sync' },
    }),
  )
  const login = { user: 'bench', password: randomBytes(16).toString('hex'), database: 'bench' }
  await makeDatabase(target, login)
  await writeConfig(folder, target, tls, login.password)
  const gateway = stack.use(await startGatewayProcess(folder))
  const all = stack.move()
  return { folder, target, login, gateway, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function makeDatabase(target: RunningPostgres, login: Stack['login']): Promise<void> {
  const superuser = await target.connect()
  try {
    await superuser.query(`create role ${login.user} login password '${login.password}'`)
    await superuser.query(`create database ${login.database} owner ${login.user}`)
  } finally {
    await superuser.end()
  }
}

/** @param folder holds `curfew.yaml`. */
export async function startGatewayProcess(folder: string): Promise<GatewayProcess> {
  const child = fork(new URL('gateway-process.ts', import.meta.url), [join(folder, 'curfew.yaml')], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, BENCH_UNUSED: 'unused' },
  })
  const reply = await nextReply(child)
  if (reply.kind !== 'ready') throw new Error(`the gateway process began with ${reply.kind}`)
  return new GatewayProcess(child, reply)
}

async function writeConfig(
  folder: string,
  target: RunningPostgres,
  tls: { certificate: string; key: string },
  password: string,
): Promise<void> {
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 })
  await write('server.pem', tls.certificate)
  await write('server.key', tls.key)
  await write('password', password)
  await write('curfew.yaml', configText(target.port))
}

function configText(targetPort: number): string {
  return `gateway: { name: bench, publicUrl: 'https://localhost:8443', data: data, drainFor: '0' }
listen:
  web: { port: 0, tls: { certificate: server.pem, key: 'file:server.key' } }
  postgres: [{ port: 0, plaintext: allow, tls: { certificate: server.pem, key: 'file:server.key' } }]
  ops: { port: 0 }
limits: { sessionsPerPerson: 20000, unauthenticatedPerAddress: 10000, unauthenticated: 10000, handshake: 60s }
identity: { issuer: 'http://127.0.0.1:9', clientId: bench, clientSecret: 'env:BENCH_UNUSED' }
staff: { operators: [operators] }
log: { level: error }
resources:
  bench-db:
    kind: postgres
    host: localhost
    port: ${targetPort}
    tls: { mode: disable }
    roles:
      bench: { login: bench, password: 'file:password', databases: [bench] }
      unrecorded: { login: bench, password: 'file:password', databases: [bench], recording: 'off' }
      guarded:
        login: bench
        password: 'file:password'
        databases: [bench]
        serverFiles: refuse
        guard:
          rules:
            - { name: full-tables, when: { kinds: [update, delete], where: missing }, then: refuse }
            - { name: schema, when: { kinds: [ddl, truncate], tables: [public.*] }, then: refuse }
            - { name: code, when: { kinds: [do, call, set-role] }, then: refuse }
            - { name: naps, when: { functions: [pg_sleep*, pg_terminate_backend] }, then: refuse }
policies:
  - { name: bench, who: { groups: [engineers] }, what: { resources: [bench-db] }, for: { default: 1h, most: 8h }, reason: optional, approval: none }
`
}
