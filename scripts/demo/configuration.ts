import { readFile } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import type { shopLogins } from './shop.ts'

export interface DemoPorts {
  /** The pages, HTTPS. */
  readonly web: number
  /** PostgreSQL clients. */
  readonly postgres: number
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
} as const

const source = new URL('../../config/curfew.yaml', import.meta.url)

/**
 * The demo's configuration: config/curfew.yaml, comments and all, with what only this start knows.
 * @param targetPort where the PostgreSQL to be protected listens.
 * @param caFile absolute: what people write as `sslrootcert`.
 */
export async function configurationText(ports: DemoPorts, targetPort: number, caFile: string): Promise<string> {
  const document = parseDocument(await readFile(source, 'utf8'))
  const settings: readonly [readonly (string | number)[], string | number][] = [
    [['gateway', 'publicUrl'], `https://localhost:${ports.web}`],
    [['gateway', 'clientRootCertificate'], caFile],
    [['listen', 'web', 'port'], ports.web],
    [['listen', 'postgres', 0, 'port'], ports.postgres],
    [['listen', 'ops', 'port'], ports.ops],
    [['identity', 'issuer'], `http://127.0.0.1:${ports.provider}`],
    [['resources', 'prod-db', 'port'], targetPort],
  ]
  for (const [path, value] of settings) {
    if (!document.hasIn(path)) throw new Error(`config/curfew.yaml has no ${path.join('.')}`)
    document.setIn(path, value)
  }
  document.commentBefore = ' Written by the demo at each start, from config/curfew.yaml. Changes here are lost.'
  return document.toString({ lineWidth: 0 })
}
