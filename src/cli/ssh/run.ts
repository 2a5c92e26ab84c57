import { runProgram } from '../run-program.ts'

/** @returns its exit status. @throws CliProblem when there is no ssh. */
export function runSsh(words: readonly string[]): Promise<number> {
  return runProgram({ command: 'ssh', words, hint: 'Install the OpenSSH client.' })
}
