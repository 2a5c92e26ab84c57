import { once } from 'node:events'
import { mkdir, rm, stat } from 'node:fs/promises'
import { connect as connectTo, type AddressInfo, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { Option } from 'commander'
import type { Command } from 'commander'
import { prepareConnection, type Connection } from './postgres/connection.ts'
import { createForwarder } from './postgres/forwarder.ts'
import { addWishOptions, wishAsOptions, type Wish } from './postgres/wish.ts'
import { asUsage } from './options.ts'
import { complain, note, print, printJson } from './print.ts'
import { CliProblem } from './problem.ts'
import { shellWord } from './shell-words.ts'

interface Options extends Wish {
  readonly port: number
  readonly socket?: string
  readonly json?: true
}

export function addConnect(program: Command): void {
  const command = program
    .command('connect')
    .summary('open a local port or socket for PostgreSQL clients')
    .description(
      'Opens a port on this machine, or a unix socket, that leads through the gateway to a PostgreSQL resource, for programs that know neither TLS nor certificates. User, database and password do not matter there. It stays open until Ctrl-C, and gets new certificates while your session lasts.',
    )
    .showHelpAfterError('  See what there is: curfew psql. Or try --help.')
    .argument('<resource>', 'resource, or resource/database')
    .argument('[role]', 'role (default: the only one, or the only one that is open now)')
    .addOption(
      new Option('--port <number>', 'port on 127.0.0.1 (0: any that is free)')
        .argParser(asUsage(portNumber))
        .default(0),
    )
    .addOption(
      new Option('--socket <folder>', 'a unix socket in this folder instead; only you can use it').conflicts('port'),
    )
  addWishOptions(command)
    .option('--json', 'print one line of JSON when it is open')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew connect prod-db --port 6000\n  curfew connect prod-db readonly --socket ~/.curfew-prod\n\nEverybody who is logged in to this machine can use the port while it is open, as you. The socket is for you alone.\n',
    )
    .action(connect)
}

function portNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new Error('expected a port from 0 to 65535')
}

async function connect(place: string, role: string | undefined, options: Options): Promise<void> {
  const first = await prepareConnection(place, role, 'curfew connect')
  const { server, endAll } = createForwarder({
    connection: keptConnection(first, place),
    options: wishAsOptions(options),
    onRefused: (message) => complain(`a connection was refused: ${message}`),
  })
  const stopped = untilStopped()
  if (options.socket === undefined) await listenOnPort(server, options.port)
  else await listenOnSocket(server, resolve(options.socket))
  tell(server, first, options)
  await stopped
  server.close()
  endAll()
}

/** As it was, until its certificate is near its end; then with a new one. The role stays, whatever opens or closes. */
function keptConnection(first: Connection, place: string): () => Promise<Connection> {
  let kept = first
  return async () => {
    if (Date.now() < kept.renewAtMs) return kept
    kept = await prepareConnection(place, kept.user, 'curfew connect')
    return kept
  }
}

async function untilStopped(): Promise<void> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  await Promise.race(signals.map((signal) => once(process, signal)))
}

async function listenOnPort(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await listening(server, `port ${port}`)
}

const socketName = '.s.PGSQL.5432'

/** Mode 0600 from its first moment on. A socket that nobody listens on any more is replaced. */
async function listenOnSocket(server: Server, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, socketName)
  if (await isAbandoned(file)) await rm(file)
  const before = process.umask(0o177)
  try {
    server.listen(file)
    await listening(server, file)
  } finally {
    process.umask(before)
  }
}

async function listening(server: Server, name: string): Promise<void> {
  try {
    await once(server, 'listening')
  } catch (cause) {
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE' ? 'it is taken' : String(cause)
    throw new CliProblem(`${name} cannot be opened: ${reason}`, { cause })
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  if (found?.isSocket() !== true) return false
  const knock = connectTo(file)
  try {
    await once(knock, 'connect')
    return false
  } catch {
    return true // refused: its owner is gone
  } finally {
    knock.destroy()
  }
}

function tell(server: Server, { user, database }: Connection, { socket, json }: Options): void {
  const host = socket === undefined ? '127.0.0.1' : resolve(socket)
  const port = socket === undefined ? (server.address() as AddressInfo).port : 5432
  if (json) return printJson({ host, port, role: user, database })
  const words = socket === undefined ? ['-h', host, '-p', String(port)] : ['-h', host]
  print(`psql ${words.map(shellWord).join(' ')}`)
  const whose = socket === undefined ? ' Everybody on this machine can use the port, as you.' : ''
  note(`Open to ${database} as ${user} until Ctrl-C.${whose}`)
}
