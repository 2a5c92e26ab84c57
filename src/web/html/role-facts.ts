import type { Role, SshAllowance, SshRole } from '../../resources/catalogue.ts'

const allowanceWords: Readonly<Record<SshAllowance, string>> = {
  shell: 'shell',
  exec: 'commands',
  sftp: 'files (SFTP)',
  'forward-local': 'local forwards',
  'forward-remote': 'remote forwards',
  agent: 'agent forwarding',
}

/** `shell, commands, files (SFTP)` */
function allowed(allow: readonly SshAllowance[]): string {
  return [...new Set(allow)].map((one) => allowanceWords[one]).join(', ')
}

/** What a role can do and what of it is kept, on one line. */
export function roleFacts(role: Role): string {
  if (role.kind === 'ssh') return sshFacts(role)
  const kept = role.recording === 'off' ? 'not recorded' : 'every statement recorded'
  return `database ${role.databases.join(', ')} · ${kept}`
}

/** `login deploy · shell, commands · recorded, but not what is typed` */
export function sshFacts({ login, allow, recording, recordInput }: SshRole): string {
  const isTyped = allow.includes('shell') || allow.includes('exec')
  const typed = recordInput ? ', with what is typed' : ', but not what is typed'
  const kept = `recorded${isTyped ? typed : ''}`
  return [`login ${login}`, allowed(allow), recording === 'off' ? 'not recorded' : kept].join(' · ')
}
