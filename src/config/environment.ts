import { homedir } from 'node:os'
import { join } from 'node:path'

/** The process's environment. Nobody else reads it. */
export function readEnvironment(): NodeJS.ProcessEnv {
  return process.env
}

/** Where the CLI keeps what it remembers for its user. @see XDG Base Directory Specification */
export function userFolder(environment: NodeJS.ProcessEnv): string {
  const base = environment['XDG_CONFIG_HOME']
  // The specification says to ignore a relative one.
  return join(base?.startsWith('/') === true ? base : join(homedir(), '.config'), 'curfew')
}
