import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SessionId } from '../../../../src/kernel/ids.ts'
import type { Log } from '../../../../src/kernel/log.ts'
import type { Metrics } from '../../../../src/kernel/metrics.ts'
import type { Clock } from '../../../../src/kernel/time.ts'
import type { AnswerSink, HttpTargets, InFlight, TargetRequest } from '../../../../src/protocols/http/targets/target.ts'
import { createHttpTargets } from '../../../../src/protocols/http/targets/targets.ts'
import {
  createCatalogue,
  type HttpAddress,
  type HttpResource,
  type HttpRole,
} from '../../../../src/resources/catalogue.ts'
import type { Admission } from '../../../../src/sessions/admission.ts'
import { systemClock } from '../../../../src/system.ts'

export const role: HttpRole = {
  kind: 'http',
  name: 'viewer',
  description: '',
  allow: [],
  deny: [],
  headers: {},
  credentials: null,
  recordBodies: null,
  recording: 'strict',
}

export function plainAt(port: number, host = '127.0.0.1'): HttpAddress {
  return { text: `http://${host}:${port}`, tls: false, host, port, socketPath: null }
}

export function tlsAt(port: number, host = 'localhost'): HttpAddress {
  return { text: `https://${host}:${port}`, tls: true, host, port, socketPath: null }
}

export function socketAt(path: string): HttpAddress {
  return { text: `unix:${path}`, tls: false, host: 'localhost', port: 80, socketPath: path }
}

export async function portOf(server: Server | HttpServer): Promise<number> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** The ways to one resource, with what they logged and measured. */
export interface Way extends AsyncDisposable {
  readonly targets: HttpTargets
  readonly lines: Record<string, unknown>[]
  readonly healthy: Map<string, number>
  start(request?: Partial<TargetRequest>, options?: StartOptions): Heard & { readonly flight: InFlight }
  ask(request?: Partial<TargetRequest>, options?: StartOptions): Promise<Heard>
}

export interface StartOptions {
  readonly session?: string
  readonly role?: HttpRole
  readonly sink?: Partial<AnswerSink>
}

export function resourceAt(
  addresses: HttpAddress | readonly [HttpAddress, ...HttpAddress[]],
  changes: Partial<HttpResource> = {},
): HttpResource {
  return {
    kind: 'http',
    name: 'app',
    description: '',
    labels: {},
    addresses: 'text' in addresses ? [addresses] : addresses,
    tls: { ca: null, serverName: null },
    version: 'http1',
    hosts: [],
    hostHeader: 'keep',
    health: null,
    cors: null,
    recordHeaders: [],
    maskQuery: [],
    roles: { viewer: role },
    ...changes,
  }
}

export function wayTo(
  addresses: HttpAddress | readonly [HttpAddress, ...HttpAddress[]],
  changes: Partial<HttpResource> = {},
  clock: Clock = systemClock,
): Way {
  const resource = resourceAt(addresses, changes)
  const lines: Record<string, unknown>[] = []
  const healthy = new Map<string, number>()
  const targets = createHttpTargets({
    catalogue: createCatalogue([resource]),
    clock,
    log: logInto(lines),
    metrics: metricsInto(healthy),
  })
  const start: Way['start'] = (request = {}, { session = 'session-1', role: as = role, sink = {} } = {}) => {
    const heard = new Heard()
    const flight = targets
      .to(resource, as)
      .send(admissionOf(session), { ...simple, ...request }, Object.assign(sinkOf(heard), sink))
    return Object.assign(heard, { flight })
  }
  return {
    targets,
    lines,
    healthy,
    start,
    ask: async (request, options) => {
      const heard = start(request, options)
      await heard.over
      return heard
    },
    [Symbol.asyncDispose]: () => targets[Symbol.asyncDispose](),
  }
}

export const simple: TargetRequest = {
  method: 'GET',
  path: '/',
  host: 'app.example',
  headers: [],
  body: null,
  bodyBytes: null,
  trailers: null,
  upgrade: null,
}

/** Everything that a sink was told. */
export class Heard {
  readonly informational: [number, readonly string[]][] = []
  status = 0
  headers: readonly string[] = []
  chunks: Buffer[] = []
  trailers: readonly string[] | null = null
  connection: Duplex | null = null
  first: Buffer | null = null
  error: Error | null = null
  /** How often something final was said. */
  ends = 0
  readonly #over = Promise.withResolvers<void>()
  readonly #head = Promise.withResolvers<void>()
  readonly over: Promise<void> = this.#over.promise
  readonly head: Promise<void> = this.#head.promise

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }
  get code(): string {
    return this.error !== null && 'code' in this.error ? String(this.error.code) : ''
  }
  header(name: string): string | undefined {
    const at = this.headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name)
    return at < 0 ? undefined : this.headers[at + 1]
  }
  headCame(): void {
    this.#head.resolve()
  }
  finish(): void {
    this.ends += 1
    this.#head.resolve()
    this.#over.resolve()
  }
}

export function sinkOf(heard: Heard): AnswerSink {
  return {
    informational: (status, headers) => heard.informational.push([status, headers]),
    head: (status, headers) => {
      Object.assign(heard, { status, headers })
      heard.headCame()
    },
    body: (chunk) => heard.chunks.push(chunk) > 0,
    end: (trailers) => {
      heard.trailers = trailers
      heard.finish()
    },
    upgraded: (headers, connection, first) => {
      Object.assign(heard, { headers, connection, first })
      heard.finish()
    },
    failed: (error) => {
      heard.error = error
      heard.finish()
    },
  }
}

export function admissionOf(session: string): Admission {
  return { session: { id: session as SessionId } } as Admission
}

function logInto(lines: Record<string, unknown>[]): Log {
  const write = (fields: Readonly<Record<string, unknown>>, message: string) => void lines.push({ ...fields, message })
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log }
  return log
}

function metricsInto(healthy: Map<string, number>): Metrics {
  return {
    add: () => undefined,
    observe: () => undefined,
    forget: (_name, labels) => void healthy.delete((labels as { address: string }).address),
    set: (_name, labels, value) => void healthy.set((labels as { address: string }).address, value),
  }
}

/** What a person could read must not say where the target is. */
export function tells(error: Error | null, ...secrets: readonly string[]): boolean {
  return secrets.some((secret) => error?.message.includes(secret))
}
