import { createHmac } from 'node:crypto'
import { readPublicLine } from '../../identity/ssh/public-key.ts'
import { SshWireError } from '../../identity/ssh/wire.ts'

/** What a known_hosts file says about one host. Public key blobs. */
export interface KnownHost {
  readonly keys: readonly Buffer[]
  readonly authorities: readonly Buffer[]
  readonly revoked: readonly Buffer[]
}

interface Line {
  readonly kind: keyof KnownHost
  readonly hosts: string
  readonly key: Buffer
}

const defaultPort = 22
const patternsMax = 64

/**
 * Reads what a known_hosts text says about `host`: by name, `[name]:port`, wildcards and hashed names. Like OpenSSH, a
 * key that is known without a port counts for every port. Lines that cannot be read say nothing.
 * @see sshd(8), SSH_KNOWN_HOSTS FILE FORMAT
 */
export function readKnownHosts(text: string, host: string, port: number): KnownHost {
  const name = host.toLowerCase()
  const names = port === defaultPort ? [name] : [`[${name}]:${port}`, name]
  const lines = text.split(/\r?\n/u).flatMap((line) => readLine(line))
  const about = lines.filter((line) => names.some((each) => isAbout(line.hosts, each)))
  const blobs = (kind: keyof KnownHost) => about.filter((line) => line.kind === kind).map((line) => line.key)
  return { keys: blobs('keys'), authorities: blobs('authorities'), revoked: blobs('revoked') }
}

const kinds: Readonly<Record<string, keyof KnownHost>> = { '@cert-authority': 'authorities', '@revoked': 'revoked' }

function readLine(line: string): Line[] {
  const parts = /^\s*(?:(@[a-z-]+)\s+)?([^\s#@]\S*)\s+(\S.*)$/u.exec(line)
  if (parts === null) return []
  const kind = parts[1] === undefined ? 'keys' : kinds[parts[1]]
  if (kind === undefined) return []
  try {
    return [{ kind, hosts: parts[2]!, key: readPublicLine(parts[3]!).key.blob }]
  } catch (error) {
    if (error instanceof SshWireError) return []
    throw error
  }
}

/** A pattern with `!` that matches rules the whole line out. */
function isAbout(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return isHashOf(hosts, name)
  const patterns = hosts.toLowerCase().split(',').slice(0, patternsMax)
  const isMatch = (pattern: string) => matches(pattern, name)
  const isExcluded = patterns.some((pattern) => pattern.startsWith('!') && isMatch(pattern.slice(1)))
  return !isExcluded && patterns.some(isMatch)
}

function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt, hash] = hashed.split('|')
  if (version !== '1' || salt === undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

/** `*`: any characters; `?`: one. In one pass, as a pattern of many stars must not take long. */
function matches(pattern: string, name: string): boolean {
  let [at, star, retry] = [0, -1, 0]
  for (let index = 0; index < name.length;) {
    if (pattern[at] === '*') [star, retry] = [at++, index]
    else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[index]))
      [at, index] = [at + 1, index + 1]
    else if (star >= 0) [at, index] = [star + 1, ++retry]
    else return false
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}
