import type { SshAllowance, SshRole } from '../../../resources/catalogue.ts'

/** What something needs, in a role's words; `never`: no role can allow it. */
export type Needed = SshAllowance | 'never'

/** What it takes to open a channel from the client's side; undefined: the type is unknown here. */
export function neededToOpen(type: string): Needed | 'session' | undefined {
  switch (type) {
    case 'session':
      return 'session'
    case 'direct-tcpip':
    case 'direct-streamlocal@openssh.com':
      return 'forward-local'
    case 'x11':
      return 'never'
    default:
      return undefined
  }
}

/** What it takes to run something on a session channel. A subsystem other than SFTP is a program like another. */
export function neededToRun(what: 'shell' | 'exec' | 'subsystem', command: string): SshAllowance {
  if (what !== 'subsystem') return what
  return command === 'sftp' ? 'sftp' : 'exec'
}

const words: Readonly<Record<SshAllowance, string>> = {
  shell: 'a shell',
  exec: 'commands',
  sftp: 'SFTP',
  'forward-local': 'forwarding to the target (-L, -D, -W, -J)',
  'forward-remote': 'forwarding from the target (-R)',
  agent: 'agent forwarding',
}

/** Why the role does not allow it, for the person; null when it does. */
export function refusalOf(role: SshRole, needed: Needed, what: string): string | null {
  if (needed === 'never') return `${what} is not passed on by this gateway`
  if (role.allow.includes(needed)) return null
  const allowed = role.allow.map((one) => words[one]).join(', ')
  return `the role ${role.name} does not allow ${words[needed]}; it allows: ${allowed === '' ? 'nothing' : allowed}`
}
