import type { Role, SshRole } from './catalogue.ts'

/** Where clients find the gateway. */
export interface ConnectPlace {
  /** The host that psql and ssh are told to connect to. */
  readonly clientHost: string
  /** Undefined while no listener of this kind is open. */
  readonly postgresPort: () => number | undefined
  readonly sshPort: () => number | undefined
  /** What psql must be told as `sslrootcert`; null when the system's authorities do. */
  readonly caHint?: string | null | undefined
  /** How psql 18 signs in by itself; undefined when it does not. */
  readonly oauth?: { readonly issuer: string; readonly clientId: string } | undefined
  /** Where browsers find an application: `https://grafana.gw.example.com`; undefined when it has no host name. */
  readonly appOrigin?: (resource: string) => string | undefined
}

/** Exactly what to type (of an application, the address), the most usual first; empty while nothing leads there. */
export function connectCommands(place: ConnectPlace, resource: string, role: Role): readonly string[] {
  switch (role.kind) {
    case 'postgres':
      return psqlCommands(place, resource, role.name)
    case 'ssh':
      return sshCommands(place, resource, role)
    case 'http':
      return addresses(place, resource)
  }
}

function addresses({ appOrigin }: ConnectPlace, resource: string): readonly string[] {
  const origin = appOrigin?.(resource)
  return origin === undefined ? [] : [`${origin}/`]
}

/** @see PostgreSQL manual, "Connection Strings", keyword/value form: values with spaces are single-quoted */
function psqlCommands(
  { clientHost, postgresPort, caHint, oauth }: ConnectPlace,
  resource: string,
  role: string,
): readonly string[] {
  const port = postgresPort()
  if (port === undefined) return []
  const words = (user: string) => [
    `host=${quoted(clientHost)}`,
    ...(port === 5432 ? [] : [`port=${port}`]),
    `user=${quoted(user)}`,
    `dbname=${quoted(resource)}`,
    'sslmode=verify-full',
    ...(caHint === undefined || caHint === null ? [] : [`sslrootcert=${quoted(caHint)}`]),
  ]
  const psql = (all: readonly string[]) => `psql "${all.join(' ')}"`
  if (oauth === undefined) return [psql(words(role))]
  const own = [`oauth_issuer=${quoted(oauth.issuer)}`, `oauth_client_id=${quoted(oauth.clientId)}`]
  return [psql(words(role)), psql([...words(`${role}.oauth`), ...own])]
}

function quoted(value: string): string {
  if (/^[\w./:@+-]+$/.test(value)) return value
  return `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`
}

function sshCommands(
  { clientHost, sshPort }: ConnectPlace,
  resource: string,
  { name, allow }: SshRole,
): readonly string[] {
  const port = sshPort()
  if (port === undefined) return []
  const host = clientHost.replace(/^\[(.*)\]$/, '$1')
  const at = `${name}@${resource}@`
  const portOf = (option: string) => (port === 22 ? '' : `${option} ${port} `)
  const files = allow.includes('sftp')
  const more = allow.some((one) => one !== 'sftp')
  return [
    ...(more ? [`ssh ${portOf('-p')}${waysIn(allow).options}${at}${host}${waysIn(allow).words}`] : []),
    // Unlike ssh, sftp takes what follows a colon for a path.
    ...(files ? [`sftp ${portOf('-P')}${at}${host.includes(':') ? `[${host}]` : host}`] : []),
  ]
}

/** What ssh needs to be told so that it asks for nothing that the role refuses. */
function waysIn(allow: SshRole['allow']): { readonly options: string; readonly words: string } {
  if (allow.includes('shell')) return { options: '', words: '' }
  return allow.includes('exec') ? { options: '', words: ' COMMAND' } : { options: '-N ', words: '' }
}
