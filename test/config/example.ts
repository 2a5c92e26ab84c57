import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { checkConfig } from '../../src/config/load.ts'
import type { CheckedConfig } from '../../src/config/load.ts'
import { ConfigProblems, formatProblem } from '../../src/config/problems.ts'

/** A file without a fault; tests spoil one thing in it. */
export const goodConfig = `gateway:
  publicUrl: https://gw.example.com
listen:
  web: { port: 8443, tls: { certificate: gw.pem, key: file:gw.key } }
  postgres:
    - port: 6432
      tls: { certificate: gw.pem, key: file:gw.key }
identity:
  issuer: https://login.example.com
  clientId: curfew
  clientSecret: env:OIDC_SECRET
resources:
  shop:
    kind: postgres
    host: shop.internal
    labels: { env: production }
    tls: { ca: ca.pem }
    roles:
      readonly: { login: r, password: env:SHOP_PASSWORD, databases: [shop] }
      admin: { login: a, password: file:admin.txt, databases: [shop, postgres] }
  wiki:
    kind: postgres
    host: wiki.internal
    labels: { env: staging }
    roles:
      readonly: { login: r, password: env:SHOP_PASSWORD, databases: [wiki] }
policies:
  - name: read
    who: { groups: [engineering] }
    what: { roles: [readonly] }
    approval: none
  - name: change
    who: { groups: [engineering] }
    what: { resources: [shop], labels: { env: production }, roles: [admin] }
    for: { default: 15m, most: 1h }
    ticket: { pattern: 'OPS-[0-9]+', link: 'https://tickets.example.com/{ticket}' }
    approval: { people: 2, from: [approvers] }
`

export const environment = { OIDC_SECRET: 'oidc-hunter2', SHOP_PASSWORD: 'shop-hunter2' }

export interface ConfigFolder extends AsyncDisposable {
  readonly folder: string
  /** Writes the text as curfew.yaml and checks it. @throws ConfigProblems */
  check(text: string, env?: NodeJS.ProcessEnv): Promise<CheckedConfig>
  /** Each problem as it is printed, without folder and line break. */
  problems(text: string, env?: NodeJS.ProcessEnv): Promise<readonly string[]>
  /** The same for what is only worth knowing. */
  notices(text: string): Promise<readonly string[]>
}

/** A folder with certificates, keys and secrets, as `goodConfig` names them. */
export async function makeConfigFolder(): Promise<ConfigFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-config-'))
  const authority = await makeAuthority('Test authority')
  const server = await issue(authority, { names: ['gw.example.com'] })
  const files = { 'gw.pem': server.certificate, 'gw.key': server.key, 'ca.pem': authority.certificate }
  for (const [name, text] of Object.entries({ ...files, 'admin.txt': 'admin-hunter2\n' })) {
    await writeFile(join(folder, name), text, { mode: 0o600 })
  }
  const file = join(folder, 'curfew.yaml')
  const check = async (text: string, env: NodeJS.ProcessEnv = environment) => {
    await writeFile(file, text)
    return checkConfig(file, env)
  }
  const shown = (text: string) => text.replaceAll(`${folder}/`, '').replaceAll('\n    ', ' | ')
  return {
    folder,
    check,
    problems: async (text, env) => {
      const error = await check(text, env).then(
        () => new ConfigProblems([]),
        (reason: unknown) => reason,
      )
      if (!(error instanceof ConfigProblems)) throw error
      return error.problems.map((problem) => shown(formatProblem(problem)))
    },
    notices: async (text) => (await check(text)).notices.map((notice) => shown(formatProblem(notice))),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
