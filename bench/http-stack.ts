/**
 * The real parts of the HTTP benchmark: nginx as the target, an echo server for WebSockets, and in front of both nginx,
 * haproxy and the gateway, each with TLS towards clients, plain keep-alive connections to the target, and one core.
 */
import { execFile, fork, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { issue, makeAuthority } from '../scripts/certificates.ts'
import { freePort, untilListening } from '../scripts/ports.ts'
import { startGatewayProcess, type GatewayProcess } from './stack.ts'

const run = promisify(execFile)

export interface Door {
  readonly port: number
  /** What a client names, such as `app.localhost:8443`; it connects to 127.0.0.1. */
  readonly host: string
  /** `name: value`, for sign-in; empty where nobody asks. */
  readonly headers: readonly string[]
}

export interface Way {
  readonly name: 'straight' | 'nginx' | 'haproxy' | 'gateway'
  /** `/small`, and files below `/files/`: `big` is there to fetch, others may be put. */
  readonly web: Door
  /** `/socket` echoes. */
  readonly socket: Door
  /** Of the process in the middle; null for none. */
  readonly processId: number | null
}

export interface HttpStack extends AsyncDisposable {
  readonly ways: readonly Way[]
  readonly gateway: GatewayProcess
  /** What load generators are started with, so that they stay off the core of the process in the middle. */
  readonly elsewhere: readonly string[]
  readonly bigFile: string
}

const tools = ['/usr/sbin/nginx', '/usr/sbin/haproxy', '/usr/bin/wrk', '/usr/bin/h2load', '/usr/bin/curl']
const middleCore = '0'
export const small = 'ok '.repeat(66)

export async function startHttpStack(megabytes: number): Promise<HttpStack> {
  const missing = tools.filter((tool) => !existsSync(tool))
  if (missing.length > 0) {
    const hint = 'apt-get install -y --no-install-recommends nginx-light haproxy wrk nghttp2-client curl'
    throw new Error(`this benchmark needs ${missing.join(', ')}; on Debian: ${hint}`)
  }
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-http-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  await writeCertificates(folder)
  const files = stack.use(await makeFiles(megabytes))
  const target = stack.use(await startTarget(folder, files.path))
  const echo = stack.use(await startEcho(folder))
  const nginx = stack.use(await startNginx(folder, target, echo))
  const haproxy = stack.use(await startHaproxy(folder, target, echo))
  const gateway = stack.use(await startGateway(folder, target, echo))
  const elsewhere = await pin(
    [nginx.processId, haproxy.processId, gateway.processId],
    [target.processId, echo.processId],
  )
  const door = (port: number): Door => ({ port, host: `localhost:${port}`, headers: [] })
  const proxy = (name: Way['name'], { port, processId }: Server): Way => ({
    ...{ name, processId },
    ...{ web: door(port), socket: door(port) },
  })
  const ways = [
    { name: 'straight', processId: null, web: door(target.tlsPort), socket: door(echo.tlsPort) } as const,
    proxy('nginx', nginx),
    proxy('haproxy', haproxy),
    { name: 'gateway', processId: gateway.processId, ...(await gatewayDoors(gateway)) } as const,
  ]
  const all = stack.move()
  return { ways, gateway, elsewhere, bigFile: join(files.path, 'big'), [Symbol.asyncDispose]: () => all.disposeAsync() }
}

interface Server extends AsyncDisposable {
  readonly port: number
  readonly processId: number
}

interface Target extends Server {
  readonly tlsPort: number
}

async function writeCertificates(folder: string): Promise<void> {
  const authority = await makeAuthority('Curfew benchmark authority')
  const { certificate, key } = await issue(authority, { names: ['localhost', 'app.localhost', 'echo.localhost'] })
  await writeFile(join(folder, 'ca.pem'), authority.certificate)
  await writeFile(join(folder, 'server.pem'), certificate)
  await writeFile(join(folder, 'server.key'), key, { mode: 0o600 })
  await writeFile(join(folder, 'both.pem'), certificate + key, { mode: 0o600 })
}

/** In memory, so that no disk is measured; room for what is put there, too. */
async function makeFiles(megabytes: number): Promise<AsyncDisposable & { readonly path: string }> {
  const { bavail, bsize } = await statfs('/dev/shm')
  if (bavail * bsize < (2 * megabytes + 64) * 1e6) throw new Error(`/dev/shm has no room for ${2 * megabytes} MB`)
  const path = await mkdtemp('/dev/shm/curfew-bench-http-')
  await mkdir(join(path, 'temporary'))
  const piece = randomBytes(1e6)
  for (let written = 0; written < megabytes; written++) await writeFile(join(path, 'big'), piece, { flag: 'a' })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Everything that nginx would put into folders of the system. */
const nginxPlaces = (folder: string) =>
  ['proxy', 'fastcgi', 'uwsgi', 'scgi'].map((place) => `${place}_temp_path ${join(folder, `${place}_temp`)};`).join(' ')

const nginxText = (folder: string, name: string, http: string) => `daemon off;
master_process off;
pid ${join(folder, `${name}.pid`)};
error_log stderr error;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  ssl_certificate ${join(folder, 'server.pem')};
  ssl_certificate_key ${join(folder, 'server.key')};
  ${nginxPlaces(folder)}
  ${http}
}
`

async function startTarget(folder: string, files: string): Promise<Target> {
  const [port, tlsPort] = [await freePort(), await freePort()]
  const http = `client_body_temp_path ${join(files, 'temporary')};
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl http2;
    location = /small { default_type text/plain; return 200 '${small}'; }
    location /files/ { alias ${files}/; dav_methods PUT; }
  }`
  return { tlsPort, ...(await startNginxProcess(folder, 'target', http, port)) }
}

async function startNginx(folder: string, target: Server, echo: Server): Promise<Server> {
  const port = await freePort()
  const http = `client_body_temp_path ${join(folder, 'body_temp')};
  upstream target { server 127.0.0.1:${target.port}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    location / { proxy_set_header Connection ''; proxy_pass http://target; }
    location /socket {
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_pass http://127.0.0.1:${echo.port};
    }
  }`
  return startNginxProcess(folder, 'proxy', http, port)
}

async function startNginxProcess(folder: string, name: string, http: string, port: number): Promise<Server> {
  const file = join(folder, `${name}.nginx`)
  await writeFile(file, nginxText(folder, name, http))
  return startProgram('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', file], port)
}

async function startHaproxy(folder: string, target: Server, echo: Server): Promise<Server> {
  const port = await freePort()
  const file = join(folder, 'haproxy.cfg')
  await writeFile(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
  http-reuse always
frontend door
  bind 127.0.0.1:${port} ssl crt ${join(folder, 'both.pem')} alpn h2,http/1.1
  use_backend echo if { path /socket }
  default_backend target
backend target
  server target 127.0.0.1:${target.port}
backend echo
  server echo 127.0.0.1:${echo.port}
`,
  )
  return startProgram('/usr/sbin/haproxy', ['-db', '-q', '-f', file], port)
}

async function startEcho(folder: string): Promise<Target> {
  const child = fork(new URL('http-echo.ts', import.meta.url), [folder], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [ports] = (await once(child, 'message')) as [{ readonly port: number; readonly tlsPort: number }]
  return { ...ports, processId: child.pid!, [Symbol.asyncDispose]: () => stop(child) }
}

async function startProgram(program: string, args: readonly string[], port: number): Promise<Server> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  await untilListening(port, child)
  return { port, processId: child.pid!, [Symbol.asyncDispose]: () => stop(child) }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

async function startGateway(folder: string, target: Server, echo: Server): Promise<GatewayProcess> {
  const port = await freePort()
  await writeFile(
    join(folder, 'curfew.yaml'),
    `gateway: { name: bench, publicUrl: 'https://localhost:${port}', data: data, drainFor: '0' }
listen:
  web: { port: ${port}, tls: { certificate: server.pem, key: 'file:server.key' } }
  ops: { port: 0 }
limits: { sessionsPerPerson: 20000 }
identity: { issuer: 'http://127.0.0.1:9', clientId: bench, clientSecret: 'env:BENCH_UNUSED' }
staff: { operators: [operators] }
log: { level: error }
resources:
  app: { kind: http, url: 'http://127.0.0.1:${target.port}', roles: { bench: {} } }
  echo: { kind: http, url: 'http://127.0.0.1:${echo.port}', roles: { bench: {} } }
policies:
  - { name: bench, who: { groups: [engineers] }, what: { roles: [bench] }, for: { default: 1h, most: 8h }, reason: optional, approval: none }
`,
  )
  return startGatewayProcess(folder)
}

async function gatewayDoors(gateway: GatewayProcess): Promise<Pick<Way, 'web' | 'socket'>> {
  const door = async (resource: string): Promise<Door> => {
    const host = `${resource}.localhost:${gateway.webPort}`
    await gateway.ask({ kind: 'grant', resource, role: 'bench', lengthMs: 8 * 3_600_000 }, 'grant')
    const { text } = await gateway.ask({ kind: 'cookie', resource, role: 'bench', host }, 'cookie')
    // The origin, since a page of the application would send it with a WebSocket.
    return { port: gateway.webPort, host, headers: [`cookie: ${text}`, `origin: https://${host}`] }
  }
  return { web: await door('app'), socket: await door('echo') }
}

/** One core for whoever is in the middle, all others for the rest; nothing where there is only one. */
async function pin(middle: readonly number[], others: readonly number[]): Promise<readonly string[]> {
  const last = availableParallelism() - 1
  if (last === 0 || !existsSync('/usr/bin/taskset')) return []
  const rest = `1-${last}`
  const place = (id: number, cores: string) => run('taskset', ['-a', '-c', '-p', cores, String(id)])
  for (const id of middle) await place(id, middleCore)
  for (const id of [...others, process.pid]) await place(id, rest)
  return ['taskset', '-c', rest]
}

/** User and system time of a process so far, all its threads. */
export async function cpuMsOf(processId: number): Promise<number> {
  const text = await readFile(`/proc/${processId}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // Fields 14 and 15 of proc(5), in ticks of 10 ms; the name in brackets is the second.
  return (Number(fields[11]) + Number(fields[12])) * 10
}

export async function residentKibOf(processId: number): Promise<number> {
  const status = await readFile(`/proc/${processId}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])
}
