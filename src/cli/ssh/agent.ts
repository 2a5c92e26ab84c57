import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CliProblem } from '../problem.ts'
import type { Ready } from './certificate.ts'
import type { SshFiles } from './files.ts'

const run = promisify(execFile)
const agentMsMax = 10_000

/** Key and certificate, until the certificate ends. @throws CliProblem when there is no agent, or it refuses. */
export async function addToAgent({ files, endsAtMs }: Ready): Promise<void> {
  const lifetimeSeconds = Math.max(1, Math.floor((endsAtMs - Date.now()) / 1000))
  try {
    await run('ssh-add', ['-q', '-t', String(lifetimeSeconds), files.key], { timeout: agentMsMax })
  } catch (cause) {
    throw new CliProblem(`the key could not be added to the agent: ${reasonOf(cause)}`, {
      cause,
      hint: 'Is an agent running? Start one: eval "$(ssh-agent)". Without one, ssh still uses the files.',
    })
  }
}

/** Whether it was there or not. */
export async function removeFromAgent(files: SshFiles): Promise<void> {
  // No agent, no such key in it, no ssh-add, or no such file: then there is nothing to remove.
  await run('ssh-add', ['-q', '-d', files.key], { timeout: agentMsMax }).catch(() => undefined)
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if ('code' in cause && cause.code === 'ENOENT') return 'there is no ssh-add here'
  const said = 'stderr' in cause && typeof cause.stderr === 'string' ? cause.stderr.trim() : ''
  return said === '' ? cause.message : said
}
