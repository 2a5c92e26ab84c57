import { Program } from './program.ts'

export interface Agent extends AsyncDisposable {
  /** Leads programs to it. */
  readonly env: { readonly SSH_AUTH_SOCK: string }
}

/** An ssh-agent that holds these private keys. @param socket a path that is free. */
export async function startAgent(socket: string, ...keyFiles: readonly string[]): Promise<Agent> {
  const agent = new Program('ssh-agent', ['-D', '-a', socket])
  await agent.until(/SSH_AUTH_SOCK/)
  const env = { SSH_AUTH_SOCK: socket }
  if (keyFiles.length > 0) {
    await using adding = new Program('ssh-add', ['-q', ...keyFiles], { env })
    const { status, stderr } = await adding.exited()
    if (status !== 0) throw new Error(`ssh-add: ${stderr}`)
  }
  return { env, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() }
}
