/** TCP ports for servers that are started for tests, benchmarks and the demo. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The system may name a port again that was free a moment ago, and that somebody here is about to take. */
const named = new Set<number>()

/** A port that nobody listens on now, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    if (named.has(port)) continue
    named.add(port)
    return port
  }
}

/** Waits until somebody listens on a port of this machine. @throws Error when the program that should has ended. */
export async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const canConnect = () => {
    const socket = connect(port, '127.0.0.1')
    return once(socket, 'connect').then(
      () => (socket.destroy(), true),
      () => false,
    )
  }
  while (!(await canConnect())) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} did not start`)
    await sleep(20)
  }
}
