import type { HttpRole, HttpRule, RecordingMode, Role, SshAllowance, SshRole } from '../../resources/catalogue.ts'

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
  switch (role.kind) {
    case 'postgres':
      return `database ${role.databases.join(', ')} · ${kept(role.recording, 'every statement recorded')}`
    case 'ssh':
      return sshFacts(role)
    case 'http':
      return httpFacts(role)
  }
}

/** `login deploy · shell, commands · recorded, but not what is typed` */
export function sshFacts({ login, allow, recording, recordInput }: SshRole): string {
  const isTyped = allow.includes('shell') || allow.includes('exec')
  const typed = recordInput ? ', with what is typed' : ', but not what is typed'
  return [`login ${login}`, allowed(allow), kept(recording, `recorded${isTyped ? typed : ''}`)].join(' · ')
}

/** `GET, HEAD below /api/; POST /login · but not DELETE · every request recorded` */
export function httpFacts({ allow, deny, credentials, recording, recordBodies }: HttpRole): string {
  const bodies = recordBodies === null ? '' : ', with bodies'
  return [
    ...(credentials?.kind === 'basic' ? [`login ${credentials.user}`] : []),
    allow.length === 0 ? 'every page and call' : allow.map(ruleWords).join('; '),
    ...(deny.length === 0 ? [] : [`but not ${deny.map(ruleWords).join('; ')}`]),
    kept(recording, `every request recorded${bodies}`),
  ].join(' · ')
}

function ruleWords({ methods, paths }: HttpRule): string {
  return [methods.join(', '), paths.map(pathWords).join(', ')].filter(Boolean).join(' ') || 'anything'
}

/** `/api/**` as people say it; other globs as they are. */
function pathWords(glob: string): string {
  const [, folder] = /^(\/(?:[^*]*\/)?)\*\*$/.exec(glob) ?? []
  return folder === undefined ? glob : `below ${folder}`
}

function kept(recording: RecordingMode, words: string): string {
  return recording === 'off' ? 'not recorded' : words
}
