/** Somebody else's server as a child of a test: on a free port of loopback, with a folder of its own, gone with the test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../scripts/ports.ts'
import { Program, type ProgramOptions } from '../clients/program.ts'

export interface ServerProgram extends AsyncDisposable {
  readonly port: number
  /** As a resource's `addresses` have it: `http://127.0.0.1:8080`. */
  readonly address: string
  readonly url: URL
  readonly folder: string
  readonly program: Program
}

export interface ServerProgramWish {
  /** Part of the folder's name. */
  readonly name: string
  readonly command: string
  /** Its arguments; files that it needs may be written here. */
  readonly args: (place: {
    readonly port: number
    readonly folder: string
  }) => Promise<readonly string[]> | readonly string[]
  readonly tls?: boolean
  readonly options?: ProgramOptions
}

const attemptsMax = 5
const stopMsMax = 5000

/** @returns when its port answers. @throws Error with what it wrote, when it ends before. */
export async function startServerProgram(wish: ServerProgramWish): Promise<ServerProgram> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), `curfew-${wish.name}-`))
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const args = await wish.args({ port, folder })
    const program = new Program(wish.command, args, { cwd: folder, ...wish.options })
    try {
      await untilListening(port, program)
    } catch (error) {
      await stop(program)
      // Somebody may have taken the port since we looked.
      if (attempt === attemptsMax || !/address already in use/i.test(program.stderr)) throw error
      continue
    }
    stack.defer(() => stop(program))
    const all = stack.move()
    const url = new URL(`${wish.tls === true ? 'https://localhost' : 'http://127.0.0.1'}:${port}`)
    return { port, address: url.origin, url, folder, program, [Symbol.asyncDispose]: () => all.disposeAsync() }
  }
}

async function untilListening(port: number, program: Program): Promise<void> {
  while (!(await answers(port))) {
    if (!program.isRunning) throw new Error(`ended before it listened:\n${program.stdout}${program.stderr}`)
    await sleep(20)
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false // nobody listens yet
  } finally {
    socket.destroy()
  }
}

/** By SIGTERM, so that those who have processes of their own end them, too. */
async function stop(program: Program): Promise<void> {
  program.kill('SIGTERM')
  const patience = new AbortController()
  const late = sleep(stopMsMax, undefined, { signal: patience.signal }).then(
    () => program.kill('SIGKILL'),
    () => undefined, // it stopped in time
  )
  await program.exited().catch(() => undefined) // one that could not be started has nothing to stop
  patience.abort()
  await late
}
