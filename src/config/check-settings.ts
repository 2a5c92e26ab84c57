import { isIP } from 'node:net'
import { oauthFindings } from './check-oauth.ts'
import { readPostgresPlace } from './postgres-place.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import type { ConfigFile } from './schema.ts'

/** What is wrong with addresses, ports and lengths although each fits its type. */
export function settingsFindings(parts: Salvaged): readonly Finding[] {
  return [
    ...(parts.gateway === undefined ? [] : gatewayFindings(parts.gateway)),
    ...(parts.listen === undefined ? [] : listenFindings(parts.listen)),
    ...(parts.identity === undefined ? [] : identityFindings(parts.identity)),
    ...(parts.risk === undefined ? [] : riskFindings(parts.risk)),
    ...lengthFindings(parts),
  ]
}

/** What is allowed, but worth knowing. */
export function settingsNotices(parts: Salvaged): readonly Finding[] {
  const resources = Object.entries(parts.resources)
  return [
    ...(parts.listen?.postgres ?? []).flatMap(readableTraffic),
    ...resources.flatMap(([name, resource]) => [
      ...unreachable(['resources', name], resource, parts.listen),
      ...untrusted(['resources', name], resource),
      ...roleNotices(['resources', name, 'roles'], resource),
      ...agentNotices(['resources', name, 'roles'], resource),
    ]),
  ]
}

type ResourceInFile = Salvaged['resources'][string]
type PostgresInFile = Extract<ResourceInFile, { kind: 'postgres' }>
type RoleInFile = ResourceInFile['roles'][string]

function readableTraffic(listener: ConfigFile['listen']['postgres'][number], index: number): readonly Finding[] {
  if (listener.plaintext === 'refuse' || isLoopback(listener.address)) return []
  return [
    {
      path: ['listen', 'postgres', index, 'plaintext'],
      message: `passwords and rows cross the network readable on ${listener.address}`,
      hint: 'Listen on 127.0.0.1, or set `tls` and `plaintext: refuse`.',
    },
  ]
}

function unreachable(path: ConfigPath, { kind }: ResourceInFile, listen: Salvaged['listen']): readonly Finding[] {
  if (kind === 'http' || listen === undefined || listen[kind].length > 0) return []
  return [{ path, message: `nobody can reach it: there is no listener in \`listen.${kind}\``, at: 'key' }]
}

function untrusted(path: ConfigPath, resource: ResourceInFile): readonly Finding[] {
  if (resource.kind !== 'postgres' || resource.tls.mode === 'verify-full') return []
  const { mode, ca } = resource.tls
  const far = placesOf(resource).filter(({ host }) => !isLoopback(host) && !host.startsWith('/'))
  if (far.length === 0) return []
  const how = {
    disable: 'is neither encrypted nor verified',
    allow: 'may be neither encrypted nor verified',
    prefer: 'may be neither encrypted nor verified',
    require: ca === undefined ? 'is encrypted, but not verified' : 'is verified but for the name',
    'verify-ca': 'is verified but for the name',
  }[mode]
  return [
    {
      path: [...path, 'tls', 'mode'],
      message: `the way to ${far.map(({ host }) => host).join(', ')} ${how}`,
      hint: 'Use `mode: verify-full`, with `ca` where the target has an authority of its own.',
    },
  ]
}

function placesOf({ host, port }: PostgresInFile) {
  const texts = typeof host === 'string' ? [host] : host
  return texts.flatMap((text) => readPostgresPlace(text, port) ?? [])
}

function roleNotices(path: ConfigPath, resource: ResourceInFile): readonly Finding[] {
  return Object.entries<RoleInFile>(resource.roles).flatMap(([name, role]) => [
    ...(role.recording === 'off'
      ? [{ path: [...path, name, 'recording'], message: 'sessions with this role leave no recording' }]
      : []),
  ])
}

function agentNotices(path: ConfigPath, resource: ResourceInFile): readonly Finding[] {
  if (resource.kind !== 'ssh') return []
  return Object.entries(resource.roles)
    .filter(([, { allow }]) => allow.includes('agent'))
    .map(([name, { allow }]) => ({
      path: [...path, name, 'allow', allow.indexOf('agent')],
      message: `root on ${resource.host} can use the agents of people who forward them`,
      hint: 'Prefer `ssh -J` through the gateway, which leaves keys where they are.',
    }))
}

/** Whether a host name or address can only mean this machine. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

function gatewayFindings(gateway: ConfigFile['gateway']): readonly Finding[] {
  const url = new URL(gateway.publicUrl)
  const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  if (bare) return []
  const path = ['gateway', 'publicUrl']
  return [{ path, expected: `only scheme, host and port, such as ${url.origin}`, message: 'got more than that' }]
}

function identityFindings(identity: ConfigFile['identity']): readonly Finding[] {
  const issuer = new URL(identity.issuer)
  const findings: Finding[] = []
  if (issuer.protocol === 'http:' && !isLoopback(issuer.hostname)) {
    findings.push({
      path: ['identity', 'issuer'],
      expected: 'an address that begins with https://',
      message: `got http:// for ${issuer.hostname}`,
      hint: 'Plain http is only for a provider on this machine (127.0.0.1, ::1 or localhost).',
    })
  }
  if (!identity.scopes.includes('openid')) {
    findings.push({
      path: ['identity', 'scopes'],
      message: '`openid` is missing',
      hint: 'Without it there is no sign-in.',
    })
  }
  return [...findings, ...oauthFindings(identity)]
}

function riskFindings({ levels }: ConfigFile['risk']): readonly Finding[] {
  if (levels.medium < levels.high) return []
  const expected = `a score above ${levels.medium}, from which on it is \`medium\``
  return [{ path: ['risk', 'levels', 'high'], expected, message: `got ${levels.high}` }]
}

interface PlacedAddress {
  readonly path: ConfigPath
  readonly address: string
  readonly port: number
}

function listenFindings(listen: ConfigFile['listen']): readonly Finding[] {
  const all: readonly PlacedAddress[] = [
    { path: ['listen', 'web'], ...listen.web },
    ...listen.postgres.map((listener, index) => ({ path: ['listen', 'postgres', index], ...listener })),
    ...listen.ssh.map((listener, index) => ({ path: ['listen', 'ssh', index], ...listener })),
    { path: ['listen', 'ops'], ...listen.ops },
  ]
  return [
    ...all.filter(({ address }) => isIP(address) === 0 && address !== 'localhost').map(badAddress),
    ...all.flatMap((one, index) => portTaken(one, all.slice(0, index))),
    ...listen.postgres.flatMap((listener, index) =>
      listener.tls === undefined && listener.plaintext === 'refuse' ? [nobodyCanConnect(index)] : [],
    ),
  ]
}

function badAddress({ path, address }: PlacedAddress): Finding {
  return { path: [...path, 'address'], expected: 'an IP address of this machine', message: `got "${address}"` }
}

function portTaken(one: PlacedAddress, before: readonly PlacedAddress[]): readonly Finding[] {
  const wide = (address: string) => address === '0.0.0.0' || address === '::'
  const other = before.find(
    ({ address, port }) =>
      port === one.port && port !== 0 && (address === one.address || wide(address) || wide(one.address)),
  )
  if (other === undefined) return []
  const [, kind, index] = other.path
  const name = index === undefined ? String(kind) : `${String(kind)}[${index}]`
  return [
    { path: [...one.path, 'port'], message: `port ${one.port} is taken by listen.${name}`, hint: 'Choose another.' },
  ]
}

function nobodyCanConnect(index: number): Finding {
  return {
    path: ['listen', 'postgres', index],
    message: 'nobody can connect: there is no `tls`, and `plaintext` is refused',
    hint: 'Give it `tls`; for a sidecar on loopback set `plaintext: allow`.',
    at: 'key',
  }
}

/** Lengths of which 0 makes no sense. */
function lengthFindings({ limits, identity, access }: Salvaged): readonly Finding[] {
  const lengths: readonly (readonly [ConfigPath, number | undefined])[] = [
    [['limits', 'handshake'], limits?.handshake],
    [['identity', 'sessionFor'], identity?.sessionFor],
    [['identity', 'signInFor'], identity?.signInFor],
    [['identity', 'refreshEvery'], identity?.refreshEvery],
    [['identity', 'tokenFor'], identity?.tokenFor],
    [['access', 'httpIdle'], access?.httpIdle],
    [['access', 'requestFor'], access?.requestFor],
  ]
  return lengths
    .filter(([, lengthMs]) => lengthMs === 0)
    .map(([path]) => ({ path, expected: 'a length of time above 0', message: 'got 0' }))
}
