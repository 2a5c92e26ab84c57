import { readFile } from 'node:fs/promises'
import { parseDocument, type Document, type YAMLMap, type YAMLSeq } from 'yaml'
import type { shopLogins } from './shop.ts'

export interface DemoPorts {
  /** The pages, HTTPS. */
  readonly web: number
  /** PostgreSQL clients. */
  readonly postgres: number
  /** SSH clients; nobody listens there when there is no SSH target. */
  readonly ssh: number
  readonly ops: number
  /** The identity provider, plain HTTP on loopback. */
  readonly provider: number
}

/** The client that the provider knows the gateway as; the configuration file says the same. */
export const clientId = 'curfew-demo'

/** Where the demo keeps what the configuration refers to, relative to its data folder. */
export const files = {
  configuration: 'curfew.yaml',
  ca: 'ca.pem',
  certificate: 'server.pem',
  key: 'secrets/server.key',
  clientSecret: 'secrets/oidc-client-secret',
  password: (login: (typeof shopLogins)[number]) => `secrets/${login}`,
  gatewayLog: 'gateway.log',
  /** `gateway.data` */
  gatewayData: 'gateway',
  knownHosts: 'known_hosts',
} as const

const source = new URL('../../config/curfew.yaml', import.meta.url)

/** What stands behind the gateway. */
export interface DemoTargets {
  readonly postgres: { readonly port: number }
  readonly board: { readonly port: number }
  /** `web-1`; undefined on a machine without sshd. */
  readonly ssh: { readonly port: number; readonly login: string; readonly hostKeyFingerprint: string } | undefined
}

type Settings = readonly (readonly [path: readonly (string | number)[], value: string | number])[]

/**
 * The demo's configuration: config/curfew.yaml, comments and all, with what only this start knows.
 * @param caFile absolute: what people write as `sslrootcert`.
 */
export async function configurationText(ports: DemoPorts, targets: DemoTargets, caFile: string): Promise<string> {
  const document = parseDocument(await readFile(source, 'utf8'))
  const settings = [...usualSettings(ports, targets, caFile), ...sshSettings(ports, targets)]
  for (const [path, value] of settings) {
    if (!document.hasIn(path)) throw new Error(`config/curfew.yaml has no ${path.join('.')}`)
    document.setIn(path, value)
  }
  if (targets.ssh === undefined) leaveOutSsh(document)
  document.commentBefore = ' Written by the demo at each start, from config/curfew.yaml. Changes here are lost.'
  return document.toString({ lineWidth: 0 })
}

function usualSettings(ports: DemoPorts, { postgres, board }: DemoTargets, caFile: string): Settings {
  return [
    [['gateway', 'publicUrl'], `https://localhost:${ports.web}`],
    [['gateway', 'clientRootCertificate'], caFile],
    [['listen', 'web', 'port'], ports.web],
    [['listen', 'postgres', 0, 'port'], ports.postgres],
    [['listen', 'ops', 'port'], ports.ops],
    [['identity', 'issuer'], `http://127.0.0.1:${ports.provider}`],
    [['resources', 'prod-db', 'port'], postgres.port],
    [['resources', 'board', 'url'], `http://127.0.0.1:${board.port}`],
  ]
}

function sshSettings(ports: DemoPorts, { ssh }: DemoTargets): Settings {
  if (ssh === undefined) return []
  const target = ['resources', 'web-1']
  return [
    [['listen', 'ssh', 0, 'port'], ports.ssh],
    [[...target, 'port'], ssh.port],
    [[...target, 'hostKeys', 'fingerprints', 0], ssh.hostKeyFingerprint],
    [[...target, 'roles', 'shell', 'login'], ssh.login],
    [[...target, 'roles', 'files', 'login'], ssh.login],
  ]
}

interface Written {
  readonly resources: Readonly<Record<string, { readonly kind: string; readonly roles: object }>>
}

/** The listener, the target, and the policies that are about nothing else. */
function leaveOutSsh(document: Document): void {
  const { resources } = document.toJS() as Written
  const left = Object.values(resources).filter(({ kind }) => kind !== 'ssh')
  const roles = new Set(left.flatMap((resource) => Object.keys(resource.roles)))
  const policies = document.get('policies') as YAMLSeq<YAMLMap>
  policies.items = policies.items.filter((policy) =>
    (policy.getIn(['what', 'roles']) as YAMLSeq).items.some((role) => roles.has(String(role))),
  )
  for (const [name, { kind }] of Object.entries(resources)) if (kind === 'ssh') document.deleteIn(['resources', name])
  document.deleteIn(['listen', 'ssh'])
  for (const bundle of (document.get('bundles') as YAMLSeq<YAMLMap>).items) {
    const items = bundle.get('items') as YAMLSeq<YAMLMap>
    items.items = items.items.filter((item) =>
      left.some((resource) => resource === resources[String(item.get('resource'))]),
    )
  }
}
