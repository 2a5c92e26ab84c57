import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { readEnvironment } from '../config/environment.ts'
import { CliProblem } from './problem.ts'

const passedOn = ['SIGTERM', 'SIGHUP'] as const

export interface ProgramOnTerminal {
  readonly command: string
  readonly words: readonly string[]
  /** Changes of the environment; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** What to do where there is no such program. */
  readonly hint: string
}

/**
 * Runs a program of the system on this terminal until it ends.
 * @returns its exit status; 128 and the signal's number when one ended it, as shells say it.
 * @throws CliProblem when there is none.
 */
export async function runProgram({ command, words, environment, hint }: ProgramOnTerminal): Promise<number> {
  const child = spawn(command, [...words], { stdio: 'inherit', env: { ...readEnvironment(), ...environment } })
  // A terminal sends Ctrl-C to both of us: it is for the program, and for what runs behind it.
  const ignore = () => undefined
  const pass = (signal: NodeJS.Signals) => void child.kill(signal)
  process.on('SIGINT', ignore).on('SIGQUIT', ignore)
  for (const signal of passedOn) process.on(signal, pass)
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return status ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'ENOENT') throw cause
    throw new CliProblem(`there is no ${command} on this machine`, { cause, hint })
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore)
    for (const signal of passedOn) process.off(signal, pass)
  }
}
