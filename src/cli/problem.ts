import { ConfigProblems, formatProblem } from '../config/problems.ts'
import { asFault } from '../kernel/fault.ts'
import { complain, note } from './print.ts'

/** 0: done. 1: it failed. 2: the command line or the configuration is wrong. */
export type ExitCode = 0 | 1 | 2

/** A failure of the CLI itself that is not one of the gateway's faults, with what to do about it. */
export class CliProblem extends Error {
  override readonly name = 'CliProblem'
  readonly hint: string | null
  readonly exitCode: ExitCode
  constructor(message: string, options: ErrorOptions & { hint?: string; exitCode?: ExitCode } = {}) {
    super(message, options)
    this.hint = options.hint ?? null
    this.exitCode = options.exitCode ?? 1
  }
}

/** Says on standard error what went wrong. Only a bug shows its stack. */
export function explain(error: unknown): ExitCode {
  if (error instanceof ConfigProblems) return explainConfig(error)
  if (error instanceof CliProblem) {
    complain(error.message, error.hint)
    return error.exitCode
  }
  const fault = asFault(error)
  if (fault !== undefined) {
    complain(fault.message, fault.hint === fault.message ? null : fault.hint)
    return fault.code === 'CONFIG_INVALID' ? 2 : 1
  }
  const system = systemProblem(error)
  if (system !== undefined) {
    complain(system.message, system.hint)
    return 1
  }
  complain('internal error; this is a bug in Curfew', 'Please report it with the lines below.')
  note(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return 1
}

function explainConfig({ problems }: ConfigProblems): ExitCode {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  complain(`the configuration has ${count}`)
  for (const problem of problems) note(formatProblem(problem))
  return 2
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall?: string
  readonly path?: string
  readonly address?: string
  readonly port?: number
}

/** Failures of the operating system that an operator can mend, in words. */
function systemProblem(error: unknown): { readonly message: string; readonly hint: string } | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const failure = error as SystemError
  if (failure.syscall === 'listen') return listenProblem(failure)
  const what = failure.path ?? (failure.code === 'EISDIR' ? 'what should be a file' : (failure.syscall ?? 'the system'))
  switch (failure.code) {
    case 'EACCES':
    case 'EPERM':
      return { message: `no permission for ${what}`, hint: 'Give it to the user that runs this, or run as another.' }
    case 'EROFS':
      return {
        message: `${what} is on a read-only file system`,
        hint: 'Set gateway.data to a folder that can be written.',
      }
    case 'ENOSPC':
      return { message: 'the disk is full', hint: 'Make room where gateway.data lies.' }
    case 'ENOENT':
      return { message: `there is no ${what}`, hint: 'Check the path.' }
    case 'EISDIR':
      return { message: `${what} is a folder`, hint: 'Give a file.' }
    case 'ENOTDIR':
      return { message: `${what}: a part of this path is a file`, hint: 'Give a folder.' }
    case 'EMFILE':
      return { message: 'too many open files', hint: 'Raise the limit, for example LimitNOFILE=65536.' }
    default:
      return undefined
  }
}

function listenProblem({ code, address, port }: SystemError): { message: string; hint: string } | undefined {
  const where = `${address ?? ''}:${port ?? ''}`
  switch (code) {
    case 'EADDRINUSE':
      return {
        message: `${where} is in use by another program`,
        hint: `See which: ss -ltnp 'sport = :${port}'. Or choose another port.`,
      }
    case 'EACCES':
      return {
        message: `no permission to listen on ${where}`,
        hint: 'Ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE).',
      }
    case 'EADDRNOTAVAIL':
      return {
        message: `this machine has no address ${address ?? ''}`,
        hint: 'Use 0.0.0.0 or :: for all of its addresses.',
      }
    default:
      return undefined
  }
}
