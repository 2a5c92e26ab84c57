/** What an SSH session may be doing when its end comes. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../scripts/ports.ts'
import { Program } from '../clients/program.ts'
import type { SshTestGateway } from '../servers/ssh-gateway.ts'

export interface SshEntry {
  /** Ends what the situation has started. */
  readonly stack: AsyncDisposableStack
  readonly gateway: SshTestGateway
  /** Private file of the key that the client comes in by. */
  readonly keyFile: string
  /** Unique; in the command lines of what runs at the target. */
  readonly mark: string
}

export interface SshEntered {
  /** Each of them will be told of the end. */
  readonly clients: readonly Program[]
  /** A connection that goes through the session. */
  readonly through?: { readonly closed: Promise<unknown> }
}

export interface SshSituation {
  readonly name: string
  /** Brings a session into the situation. Resolves when it is there. */
  readonly enter: (entry: SshEntry) => Promise<SshEntered>
}

export const sshSituations: readonly SshSituation[] = [
  { name: 'a shell at a prompt', enter: atPrompt },
  { name: 'a full-screen program', enter: fullScreen },
  { name: 'a command that sleeps', enter: sleeping },
  { name: 'a command that ignores HUP and TERM', enter: stubborn },
  { name: 'a big download that nobody reads', enter: unread },
  { name: 'sftp in the middle of a get', enter: getting },
  { name: 'sftp in the middle of a put', enter: putting },
  { name: 'a connection through -L', enter: forwardedLocally },
  { name: 'a connection through -R', enter: forwardedRemotely },
  { name: 'a ControlMaster with many channels', enter: multiplexed },
]

function ssh({ gateway, keyFile, stack }: SshEntry, ...args: readonly string[]): Program {
  return stack.use(new Program('ssh', [...options(gateway, keyFile), '-p', String(gateway.sshPort), ...args]))
}

function options(gateway: SshTestGateway, keyFile: string): readonly string[] {
  const settings = {
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: gateway.knownHostsFile,
    ExitOnForwardFailure: 'yes',
  }
  return [
    '-F',
    'none',
    '-i',
    keyFile,
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
  ]
}

const where = ['-l', 'open@web-1', 'localhost'] as const

async function atPrompt(entry: SshEntry): Promise<SshEntered> {
  const client = ssh(entry, '-tt', ...where)
  client.send(`PS1='ready> ' exec -a ${entry.mark} bash --norc -i`)
  await client.until(/\nready> \s*$/)
  return { clients: [client] }
}

async function fullScreen(entry: SshEntry): Promise<SshEntered> {
  const text = join(entry.gateway.sshd.folder, `${entry.mark}.txt`)
  await writeFile(text, 'first line\n'.repeat(1000))
  const client = ssh(entry, '-tt', ...where, `TERM=xterm LESS= less ${text}`)
  await client.until(/(first line\s+){5}/)
  return { clients: [client] }
}

async function sleeping(entry: SshEntry): Promise<SshEntered> {
  const client = ssh(entry, ...where, `echo begun; exec -a ${entry.mark} sleep 600`)
  await client.until(/begun/)
  return { clients: [client] }
}

async function stubborn(entry: SshEntry): Promise<SshEntered> {
  const client = ssh(entry, ...where, `trap '' HUP TERM; echo begun; while :; do sleep 0.2; done; : ${entry.mark}`)
  await client.until(/begun/)
  return { clients: [client] }
}

/** The client's standard output is a pipe that nobody empties: one that it holds both ends of. */
async function unread(entry: SshEntry): Promise<SshEntered> {
  const { gateway, keyFile, mark, stack } = entry
  const pipe = join(gateway.sshd.folder, `${mark}.pipe`)
  const args = [...options(gateway, keyFile), '-p', String(gateway.sshPort), ...where, `cat /dev/zero; : ${mark}`]
  const client = stack.use(new Program('bash', ['-c', 'mkfifo "$0" && exec ssh "$@" 1<>"$0"', pipe, ...args]))
  await untilStuck(gateway)
  return { clients: [client] }
}

async function getting(entry: SshEntry): Promise<SshEntered> {
  return transfer(entry, (file) => `get ${file} /dev/null`)
}

async function putting(entry: SshEntry): Promise<SshEntered> {
  return transfer(entry, (file) => `put ${file} /dev/null`)
}

/** A file of 100 GB without a block on the disk. */
async function transfer(entry: SshEntry, command: (file: string) => string): Promise<SshEntered> {
  const { gateway, keyFile, mark } = entry
  const file = join(gateway.sshd.folder, `${mark}.big`)
  const handle = await open(file, 'w')
  await handle.truncate(100e9)
  await handle.close()
  const client = entry.stack.use(
    new Program('sftp', [
      ...options(gateway, keyFile),
      ...['-P', String(gateway.sshPort), '-b', '-', `sftp://open%40web-1@localhost`],
    ]),
  )
  client.send(command(file))
  await untilBusy(gateway)
  return { clients: [client] }
}

/** An address at "the target's side" (it is one machine here) that answers and then keeps the connection open. */
async function startPeer(stack: AsyncDisposableStack): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).write('hello\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function forwardedLocally(entry: SshEntry): Promise<SshEntered> {
  const { stack } = entry
  const [peer, entrance] = [await startPeer(stack), await freePort()]
  const client = ssh(entry, '-N', '-L', `127.0.0.1:${entrance}:127.0.0.1:${peer}`, ...where)
  return { clients: [client], through: await through(client, entrance, stack) }
}

async function forwardedRemotely(entry: SshEntry): Promise<SshEntered> {
  const { stack } = entry
  const [peer, entrance] = [await startPeer(stack), await freePort()]
  const client = ssh(entry, '-N', '-R', `127.0.0.1:${entrance}:127.0.0.1:${peer}`, ...where)
  return { clients: [client], through: await through(client, entrance, stack) }
}

/** Connects as soon as somebody listens, and reads the peer's word. @returns what resolves when it is closed again. */
async function through(
  client: Program,
  port: number,
  stack: AsyncDisposableStack,
): Promise<{ closed: Promise<unknown> }> {
  const socket = await until(
    () => tryConnect(port),
    () => client.stderr,
  )
  stack.defer(() => void socket.destroy())
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  await once(socket, 'data')
  return { closed }
}

async function tryConnect(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    return undefined // not listening yet
  }
}

async function multiplexed(entry: SshEntry): Promise<SshEntered> {
  const control = join(entry.gateway.sshd.folder, `${entry.mark}.ctl`)
  const master = ssh(entry, '-M', '-S', control, '-tt', ...where, `echo begun; exec -a ${entry.mark} sleep 600`)
  await master.until(/begun/)
  const others = Array.from({ length: 5 }, () =>
    ssh(entry, '-S', control, ...where, `echo begun; exec -a ${entry.mark} sleep 600`),
  )
  await Promise.all(others.map((other) => other.until(/begun/)))
  return { clients: [master, ...others] }
}

/** Waits until the target's end has moved many bytes. */
async function untilBusy({ sshd }: SshTestGateway): Promise<void> {
  const enoughBytes = 3 << 20
  await until(async () => (await sshd.traffic()) > enoughBytes || undefined)
}

/** Waits until nothing moves any more at the target's end: every window and every pipe on the way is full. */
async function untilStuck({ sshd }: SshTestGateway): Promise<void> {
  const enoughBytes = 2 << 20
  let before = 0
  await until(async () => {
    const now = await sshd.traffic()
    const isStuck = now > enoughBytes && now === before
    before = now
    return isStuck || undefined
  })
}

const tries = { waitMsMax: 15_000, pauseMs: 50 }

async function until<T>(look: () => Promise<T | undefined>, tell = () => ''): Promise<T> {
  const endMs = performance.now() + tries.waitMsMax
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > endMs) throw new Error(`the situation was not reached in time; ${tell()}`)
    await sleep(tries.pauseMs)
  }
}
