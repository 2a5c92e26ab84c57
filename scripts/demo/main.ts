/** `npm run demo`: the whole story on one machine. See --help. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigProblems } from '../../src/config/problems.ts'
import { asFault } from '../../src/kernel/fault.ts'
import { DemoProblem } from './data-folder.ts'
import { demoFacts, storyText } from './story.ts'

const checkout = resolve(import.meta.dirname, '../..')

const help = `npm run demo [-- OPTIONS]

Starts an identity provider with four people, a PostgreSQL with a small shop, a web application, an sshd where this
machine has one, and the gateway in front of them; then says what to type and what to open. Everything listens on loopback. Ctrl-C stops it and leaves nothing running.

  --data FOLDER  where everything is kept (default: data/demo in this checkout)
  --reset        clears that folder first
  --json         prints, when ready, one line of JSON instead (addresses, ports, people, files, commands)
  --help         this text
`

interface Arguments {
  readonly dataFolder: string
  readonly reset: boolean
  readonly json: boolean
}

process.exit(await main())

async function main(): Promise<number> {
  const read = readArguments()
  if (typeof read === 'number') return read
  const stop = whenToStop()
  hushProvider()
  try {
    const { startDemo } = await import('./start.ts')
    await using demo = await startDemo({
      ...read,
      stopping: stop,
      step: read.json ? (_title, work) => work() : showStep,
    })
    process.stdout.write(read.json ? `${JSON.stringify(demoFacts(demo, checkout))}\n` : storyText(demo, checkout))
    await aborted(stop)
    if (!read.json) process.stdout.write('\nStopping …\n')
  } catch (error) {
    if (!stop.aborted) return explain(error)
  }
  return 0
}

function readArguments(): Arguments | number {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: 'string', default: join(checkout, 'data', 'demo') },
        reset: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (!values.help) return { dataFolder: resolve(values.data), reset: values.reset, json: values.json }
    process.stdout.write(help)
    return 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return 2
  }
}

/** The provider's library speaks on the console, of Node releases that it does not list; our output is for people and scripts. */
function hushProvider(): void {
  for (const name of ['info', 'warn'] as const) {
    const speak = console[name].bind(console)
    console[name] = (...words: unknown[]) => {
      if (!String(words[0]).includes('oidc-provider ')) speak(...words)
    }
  }
}

/** Ctrl-C, SIGTERM, a closed terminal, or the end of whoever started us. A second signal does not wait. */
function whenToStop(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort(signal)))
  }
  const starter = process.ppid
  const watch = setInterval(() => process.ppid !== starter && stop.abort('orphaned'), 500)
  watch.unref()
  return stop.signal
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }))
}

async function showStep<T>(title: string, work: () => Promise<T>): Promise<T> {
  process.stdout.write(`${title} … `)
  const startedMs = performance.now()
  try {
    const result = await work()
    process.stdout.write(`ready (${((performance.now() - startedMs) / 1000).toFixed(1)} s)\n`)
    return result
  } catch (error) {
    process.stdout.write('failed\n')
    throw error
  }
}

/** @returns the exit code. */
function explain(error: unknown): number {
  const fault = asFault(error)
  const { code, port } = error as { readonly code?: unknown; readonly port?: unknown }
  if (fault !== undefined) process.stderr.write(`${fault.message}\n${fault.hint}\n`)
  else if (error instanceof DemoProblem || error instanceof ConfigProblems) process.stderr.write(`${error.message}\n`)
  else if (code === 'EADDRINUSE') {
    process.stderr.write(`Somebody else took port ${String(port)} while the demo started. Run it again.\n`)
  } else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return 1
}
