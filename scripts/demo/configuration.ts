import { shopLogins } from './shop.ts'

export interface DemoPorts {
  /** The pages, HTTPS. */
  readonly web: number
  /** PostgreSQL clients. */
  readonly postgres: number
  readonly ops: number
  /** The identity provider, plain HTTP on loopback. */
  readonly provider: number
}

/** The client that the provider knows the gateway as. */
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

/**
 * The demo's configuration file.
 * @param targetPort where the PostgreSQL to be protected listens.
 * @param caFile absolute: what people write as `sslrootcert`.
 */
export function configurationText(ports: DemoPorts, targetPort: number, caFile: string): string {
  return `# Written by the demo at each start. config/curfew.yaml shows every setting.
gateway:
  name: demo
  publicUrl: https://localhost:${ports.web}
  # What the pages tell people to write as sslrootcert: the demo's own authority.
  clientRootCertificate: ${JSON.stringify(caFile)}
  data: gateway
  drainFor: 1s

# Everything listens on loopback only.
listen:
  web:
    port: ${ports.web}
    tls: { certificate: ${files.certificate}, key: 'file:${files.key}' }
  postgres:
    - port: ${ports.postgres}
      tls: { certificate: ${files.certificate}, key: 'file:${files.key}' }
  ops:
    port: ${ports.ops}

identity:
  issuer: http://127.0.0.1:${ports.provider}
  clientId: ${clientId}
  clientSecret: file:${files.clientSecret}
  # offline_access brings a refresh token, so that groups are looked up again while people work.
  scopes: [openid, email, profile, groups, offline_access]
  rememberFor: 1h
  refreshEvery: 1m

staff:
  reviewers: [security]
  operators: [operations]

access:
  waitFor: 10m
  # Grants are short here, so the warnings come late.
  warnBefore: [1m, 15s]

resources:
  prod-db:
    kind: postgres
    description: Customers and invoices of the shop
    labels: { env: production, data: personal }
    host: localhost
    port: ${targetPort}
    tls: { mode: verify-full, ca: ${files.ca} }
    roles:
      readonly:
        description: Read every table
        login: shop_readonly
        password: file:${files.password('shop_readonly')}
        databases: [shop]
      reporting:
        description: Revenue by month, no personal data
        login: shop_reporting
        password: file:${files.password('shop_reporting')}
        databases: [shop]
      admin:
        description: Change data and tables
        login: shop_admin
        password: file:${files.password('shop_admin')}
        databases: [shop]

# The first that matches decides; without a match the answer is no.
policies:
  - name: Reports need nobody
    who: { groups: [engineering] }
    what: { resources: [prod-db], roles: [reporting] }
    for: { default: 1h, most: 8h }
    reason: optional
    approval: none
  - name: Engineers read production for a while
    who: { groups: [engineering] }
    what: { labels: { env: production }, roles: [readonly] }
    for: { default: 2m, most: 30m }
    approval: { people: 1, from: [approvers] }
  - name: Changes need two people and a ticket
    who: { groups: [engineering] }
    what: { labels: { env: production }, roles: [admin] }
    for: { default: 5m, most: 15m }
    ticket: { pattern: 'SHOP-[0-9]+' }
    approval: { people: 2, from: [approvers, operations] }
`
}
