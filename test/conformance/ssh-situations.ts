/** What an SSH session may be doing when its end comes. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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

export interface SshSituation {
  readonly name: string
  /** Brings a session into the situation. Resolves when it is there, with the clients that will be told of its end. */
  readonly enter: (entry: SshEntry) => Promise<readonly Program[]>
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

async function atPrompt(entry: SshEntry): Promise<readonly Program[]> {
  const client = ssh(entry, '-tt', ...where)
  client.send(`PS1='ready> ' exec -a ${entry.mark} bash --norc -i`)
  await client.until(/\nready> \s*$/)
  return [client]
}

async function fullScreen(entry: SshEntry): Promise<readonly Program[]> {
  const text = join(entry.gateway.sshd.folder, `${entry.mark}.txt`)
  await writeFile(text, 'first line\n'.repeat(1000))
  const client = ssh(entry, '-tt', ...where, `TERM=xterm LESS= less ${text}`)
  await client.until(/(first line\s+){5}/)
  return [client]
}

async function sleeping(entry: SshEntry): Promise<readonly Program[]> {
  const client = ssh(entry, ...where, `echo begun; exec -a ${entry.mark} sleep 600`)
  await client.until(/begun/)
  return [client]
}

async function stubborn(entry: SshEntry): Promise<readonly Program[]> {
  const client = ssh(entry, ...where, `trap '' HUP TERM; echo begun; while :; do sleep 0.2; done; : ${entry.mark}`)
  await client.until(/begun/)
  return [client]
}

/** The client's standard output is a pipe that nobody empties. */
async function unread(entry: SshEntry): Promise<readonly Program[]> {
  const reading = [
    ...options(entry.gateway, entry.keyFile),
    ...['-p', String(entry.gateway.sshPort), ...where],
    `head -c 8000000000 /dev/zero; : ${entry.mark}`,
  ]
  const quoted = reading.map((one) => `'${one.replaceAll("'", String.raw`'\''`)}'`).join(' ')
  const client = entry.stack.use(new Program('bash', ['-c', `exec ssh ${quoted} > >(exec sleep 30)`]))
  await untilBusy(entry.gateway)
  return [client]
}

async function getting(entry: SshEntry): Promise<readonly Program[]> {
  return transfer(entry, (file) => `get ${file} /dev/null`)
}

async function putting(entry: SshEntry): Promise<readonly Program[]> {
  return transfer(entry, (file) => `put ${file} /dev/null`)
}

/** A file of 100 GB without a block on the disk. */
async function transfer(entry: SshEntry, command: (file: string) => string): Promise<readonly Program[]> {
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
  return [client]
}

/** An address at "the target's side" (it is one machine here) that answers and then keeps the connection open. */
async function startPeer(stack: AsyncDisposableStack): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).write('hello\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function forwardedLocally(entry: SshEntry): Promise<readonly Program[]> {
  const { stack } = entry
  const [peer, entrance] = [await startPeer(stack), await freePort()]
  const client = ssh(entry, '-N', '-L', `127.0.0.1:${entrance}:127.0.0.1:${peer}`, ...where)
  await through(client, entrance, stack)
  return [client]
}

async function forwardedRemotely(entry: SshEntry): Promise<readonly Program[]> {
  const { stack } = entry
  const [peer, entrance] = [await startPeer(stack), await freePort()]
  const client = ssh(entry, '-N', '-R', `127.0.0.1:${entrance}:127.0.0.1:${peer}`, ...where)
  await through(client, entrance, stack)
  return [client]
}

/** Connects as soon as somebody listens, and reads the peer's word; the socket must be closed when the test is over. */
async function through(client: Program, port: number, stack: AsyncDisposableStack): Promise<void> {
  for (;;) {
    const socket = await tryConnect(port)
    if (socket === undefined) {
      await Promise.race([client.until(/./s).catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 20))])
      continue
    }
    socket.on('error', () => undefined)
    await once(socket, 'data')
    const closed = once(socket, 'close')
    stack.defer(() => closed.then(() => undefined))
    return
  }
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

async function multiplexed(entry: SshEntry): Promise<readonly Program[]> {
  const control = join(entry.gateway.sshd.folder, `${entry.mark}.ctl`)
  const master = ssh(entry, '-M', '-S', control, '-tt', ...where, `echo begun; exec -a ${entry.mark} sleep 600`)
  await master.until(/begun/)
  const others = Array.from({ length: 5 }, () =>
    ssh(entry, '-S', control, ...where, `echo begun; exec -a ${entry.mark} sleep 600`),
  )
  await Promise.all(others.map((other) => other.until(/begun/)))
  return [master, ...others]
}

/** Waits until the target's end has moved many bytes. */
async function untilBusy({ sshd }: SshTestGateway): Promise<void> {
  const enoughBytes = 3 << 20
  while ((await sshd.traffic()) < enoughBytes) await new Promise((resolve) => setTimeout(resolve, 20))
}
