/** TCP ports for servers that are started for tests, benchmarks and the demo. */
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Below those that systems usually take for connections and for servers that leave the choice to them: one of these could
 * be somebody else's before whoever asked for it listens.
 */
const portMin = 20_000
const portMax = 29_999

const named = new Set<number>()

/** A port that nobody listens on now, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(portMin, portMax + 1)
    if (named.has(port) || !(await isFree(port))) continue
    named.add(port)
    return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false // somebody has it
  }
  server.close()
  await once(server, 'close')
  return true
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
