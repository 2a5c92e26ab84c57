/** Which part carries requests to a target with the least work: the same small proxy of each, and of the gateway's own client, in interleaved rounds. */
import { execFile, fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, untilListening } from '../scripts/ports.ts'
import { parts, type Part, type PartReply } from './http-parts-proxy.ts'
import manifest from '../package.json' with { type: 'json' }
import { median, rounded } from './statistics.ts'

const run = promisify(execFile)

export interface HttpPartsOptions {
  readonly requests: number
  readonly pairs: number
}

/** Compared here and used nowhere, so they are no dependencies: newest versions, for as long as this runs. */
const compared: readonly Part[] = ['httpxy', 'http-proxy-3', 'http-proxy']

export async function* benchHttpParts({ requests, pairs }: HttpPartsOptions): AsyncGenerator<object> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-parts-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, ...compared])
  const target = stack.use(await startTarget(folder))
  const proxies: Proxy[] = []
  for (const part of parts) proxies.push(stack.use(await startProxy(part, target.port, folder)))
  const runs = new Map<Part, number[]>(parts.map((part) => [part, []]))
  // The first round warms up and does not count.
  for (let round = 0; round <= pairs; round++) {
    for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed()) {
      const cpuMs = await proxy.cost(requests)
      if (round > 0) runs.get(proxy.part)!.push(cpuMs / 1000)
    }
  }
  for (const [part, list] of runs) {
    const version = await versionOf(folder, part)
    yield {
      ...{ bench: 'http-parts', part, version, requests, cpuS: rounded(median(list)) },
      runs: list.map((one) => rounded(one)).join(' '),
    }
  }
}

async function versionOf(folder: string, part: Part): Promise<string> {
  if (part === 'node:http' || part === 'own client') return process.version
  if (part === 'undici dispatch') return manifest.dependencies.undici
  const text = await readFile(join(folder, 'node_modules', part, 'package.json'), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

async function startTarget(folder: string): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (place) => `${place}_temp_path ${folder}/${place};`,
  )
  await writeFile(
    file,
    `daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  ${places.join(' ')}
  server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 '${'ok '.repeat(66)}'; } }
}
`,
  )
  const child = spawn('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', file], { stdio: 'inherit' })
  await untilListening(port, child)
  return { port, [Symbol.asyncDispose]: () => stop(child) }
}

interface Proxy extends AsyncDisposable {
  readonly part: Part
  /** User and system time of its process for so many GETs over 32 connections, in ms. */
  cost(requests: number): Promise<number>
}

async function startProxy(part: Part, targetPort: number, folder: string): Promise<Proxy> {
  const script = new URL('http-parts-proxy.ts', import.meta.url)
  const child = fork(script, [part, String(targetPort), folder], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const { port } = await reply<{ readonly port: number }>(child)
  const cpuMs = async () => {
    child.send('usage')
    return (await reply<{ readonly cpuMs: number }>(child)).cpuMs
  }
  return {
    part,
    async cost(requests) {
      const before = await cpuMs()
      const words = ['--h1', '-t', '1', '-c', '32', '-n', String(requests), `http://127.0.0.1:${port}/`]
      const { stdout } = await run('h2load', words)
      if (!stdout.includes(`${requests} succeeded`)) throw new Error(`${part} did not answer everything:\n${stdout}`)
      return (await cpuMs()) - before
    },
    [Symbol.asyncDispose]: () => stop(child),
  }
}

async function reply<Kind extends PartReply>(child: ChildProcess): Promise<Kind> {
  const [message] = (await once(child, 'message')) as [Kind]
  return message
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}
