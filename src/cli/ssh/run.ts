import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { CliProblem } from '../problem.ts'

const passedOn = ['SIGTERM', 'SIGHUP'] as const

/**
 * Runs the system's ssh on this terminal until it ends.
 * @returns its exit status; 128 and the signal's number when one ended it, as shells say it.
 * @throws CliProblem when there is none.
 */
export async function runSsh(words: readonly string[]): Promise<number> {
  const child = spawn('ssh', [...words], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both of us: it is for ssh, and for what runs behind it.
  const ignore = () => undefined
  const pass = (signal: NodeJS.Signals) => void child.kill(signal)
  process.on('SIGINT', ignore).on('SIGQUIT', ignore)
  for (const signal of passedOn) process.on(signal, pass)
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return status ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (cause) {
    throw noSsh(cause)
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore)
    for (const signal of passedOn) process.off(signal, pass)
  }
}

function noSsh(cause: unknown): unknown {
  if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'ENOENT') return cause
  return new CliProblem('there is no ssh on this machine', { cause, hint: 'Install the OpenSSH client.' })
}
