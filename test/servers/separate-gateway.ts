/**
 * A gateway in a process of its own, which a test may kill, weigh, or turn the clock of.
 * There is no provider: Alice's grants and tokens are made by the process itself.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { stringify } from 'yaml'
import type { GrantId } from '../../src/kernel/ids.ts'
import { configInput, freePorts, writeFiles, type ConfigInput } from './gateway.ts'
import type { LoopDelay } from './loop-watch.ts'
import type { TestPostgres } from './postgres.ts'

export interface SeparateGatewayOptions {
  readonly postgres: TestPostgres
  /** Changes the configuration before it is written. */
  readonly configure?: (config: ConfigInput) => void
  readonly env?: Readonly<Record<string, string>>
}

export type Order =
  | { readonly kind: 'enter'; readonly lengthMs: number; readonly resource: string; readonly role: string }
  | { readonly kind: 'loop' }
  /** `publicKey`: a line as in `id_ed25519.pub`. */
  | { readonly kind: 'enter-ssh'; readonly publicKey: string; readonly lengthMs: number }
  | { readonly kind: 'weigh' }

export interface Entry {
  readonly grant: GrantId
  readonly token: string
}

export type Reply =
  | { readonly kind: 'ready' }
  | ({ readonly kind: 'entry' } & Entry)
  | { readonly kind: 'ssh-entry'; readonly certificate: string }
  | { readonly kind: 'weight'; readonly heldBytes: number }
  | ({ readonly kind: 'loop' } & LoopDelay)

export interface SeparateGateway extends AsyncDisposable {
  readonly configFile: string
  readonly webUrl: URL
  readonly postgresPort: number
  readonly opsUrl: URL
  readonly ca: string
  readonly caFile: string
  /** Warnings and errors of the gateway so far. */
  log(): Promise<string>
  /** A grant to a role that needs nobody's approval (without one, `reporting`), and a token. */
  enter(lengthMs: number, role?: string, resource?: string): Promise<Entry>
  /** A grant to `open` on `web-1`, if there is none yet. @returns a certificate for the key, one line. */
  enterBySsh(publicKey: string, lengthMs: number): Promise<string>
  /** What the process needs when all garbage is gone. */
  heldBytes(): Promise<number>
  /** Since the last call; the first begins to watch. */
  loopDelay(): Promise<LoopDelay>
  /** A session of Alice. Its end is the first thing that goes wrong with it. */
  connect(token: string, application?: string): Promise<{ client: pg.Client; end: Promise<pg.DatabaseError> }>
  /** @throws Error when there is no such metric. */
  metric(name: string): Promise<number>
  /** SIGKILL; returns when there is no process any more. */
  kill(): Promise<void>
}

export async function startSeparateGateway(options: SeparateGatewayOptions): Promise<SeparateGateway> {
  await using stack = new AsyncDisposableStack()
  const { folder, authority } = await writeFiles(options.postgres, stack)
  const ports = await freePorts()
  const input = configInput({ folder, postgres: options.postgres, ports, issuer: new URL('http://127.0.0.1:9') })
  options.configure?.(input)
  const configFile = join(folder, 'curfew.yaml')
  await writeFile(configFile, stringify(input))
  const logFile = join(folder, 'gateway.log')
  const child = await run(configFile, logFile, options.env ?? {}, stack)
  const opsUrl = new URL(`http://127.0.0.1:${ports.ops}`)
  const all = stack.move()
  return {
    configFile,
    opsUrl,
    webUrl: new URL(`https://localhost:${ports.web}`),
    postgresPort: ports.postgres,
    ca: authority.certificate,
    caFile: join(folder, 'ca.pem'),
    log: () => readFile(logFile, 'utf8'),
    enter: (lengthMs, role = 'reporting', resource = 'prod-db') =>
      ask(child, { kind: 'enter', lengthMs, resource, role }, 'entry'),
    enterBySsh: async (publicKey, lengthMs) =>
      (await ask(child, { kind: 'enter-ssh', publicKey, lengthMs }, 'ssh-entry')).certificate,
    heldBytes: async () => (await ask(child, { kind: 'weigh' }, 'weight')).heldBytes,
    loopDelay: async () => {
      const { delayMs, busyMs } = await ask(child, { kind: 'loop' }, 'loop')
      return { delayMs, busyMs }
    },
    connect: (token, application = 'test') => connect(ports.postgres, authority.certificate, token, application),
    metric: (name) => readMetric(opsUrl, name),
    kill: () => end(child, () => child.kill('SIGKILL')),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

async function run(
  configFile: string,
  logFile: string,
  env: Readonly<Record<string, string>>,
  stack: AsyncDisposableStack,
): Promise<ChildProcess> {
  await using log = await open(logFile, 'a')
  const child = fork(new URL('gateway-process.ts', import.meta.url), [configFile], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    env: { PATH: process.env['PATH'], TZ: 'UTC', ...env },
  })
  stack.defer(() => end(child, () => child.disconnect()))
  await nextReply(child, 'ready').catch(async (cause: unknown) => {
    throw new Error(`the gateway did not start:\n${await readFile(logFile, 'utf8')}`, { cause })
  })
  return child
}

async function end(child: ChildProcess, ask: () => unknown): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  ask()
  await exited
}

async function ask<Kind extends Reply['kind']>(child: ChildProcess, order: Order, kind: Kind) {
  const answered = nextReply(child, kind)
  child.send(order)
  return answered
}

async function nextReply<Kind extends Reply['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<Reply, { kind: Kind }>> {
  const patience = new AbortController()
  const gone = once(child, 'exit', { signal: patience.signal }).then(([status]) => {
    throw new Error(`the gateway process ended with status ${String(status)}`)
  })
  try {
    const [reply] = (await Promise.race([once(child, 'message', { signal: patience.signal }), gone])) as [Reply]
    if (reply.kind !== kind) throw new Error(`the gateway process answered ${reply.kind}`)
    return reply as Extract<Reply, { kind: Kind }>
  } finally {
    gone.catch(() => undefined) // it is only called off
    patience.abort()
  }
}

async function connect(port: number, ca: string, token: string, application: string) {
  const client = new pg.Client({
    ...{ host: 'localhost', port, user: 'reporting.token', password: token, database: 'prod-db' },
    ...{ application_name: application, ssl: { ca } },
  })
  const { promise: ended, resolve } = Promise.withResolvers<pg.DatabaseError>()
  client.on('error', (error) => resolve(error as pg.DatabaseError))
  await client.connect()
  return { client, end: ended }
}

async function readMetric(opsUrl: URL, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', opsUrl))).text()
  const found = new RegExp(String.raw`^${name}(?:\{[^}]*\})? (\S+)$`, 'm').exec(text)
  if (found === null) throw new Error(`there is no metric ${name}`)
  return Number(found[1])
}
