import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { environment, goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'

/** The good file with a certificate for applications on line 4, and from line 27 on two applications. */
export const httpConfig = goodConfig
  .replace('file:gw.key } }', 'file:gw.key }, certificates: [{ certificate: apps.pem, key: file:apps.key }] }')
  .replace(
    'policies:\n',
    `  grafana:
    kind: http
    labels: { env: staging }
    urls: ['https://grafana-1.internal:3000', 'http://127.0.0.1:3000']
    tls: { ca: ca.pem }
    hosts: [dashboards.example.com]
    health: { path: /api/health }
    cors: { origins: ['https://app.example.com'], methods: [get], headers: [X-Trace], maxAge: 90s }
    recordHeaders: [X-Request-Id]
    maskQuery: [Ticket]
    roles:
      viewer:
        allow: [{ methods: [get, HEAD], paths: [/api/**] }]
        deny: [{ paths: [/admin/*] }]
        headers: { X-WEBAUTH-USER: email }
        credentials: { basic: { user: curfew, password: env:APP } }
        recordBodies: { types: [application/JSON], limit: 1KiB }
  wiki:
    kind: http
    labels: { env: staging }
    url: unix:/run/wiki.sock
    roles:
      reader: {}
policies:
  - name: web
    who: { groups: [engineering] }
    what: { resources: [grafana, wiki] }
    approval: none
`,
  )
  // The example has a database of that name.
  .replace(/ {2}wiki:\n {4}kind: postgres\n(?: {4}.*\n)+/, '')

export const httpEnvironment: NodeJS.ProcessEnv = {
  ...environment,
  APP: 'app-hunter2',
  CRLF: 'a\r\nb',
  SPACED: 'a b',
  BELL: 'a\u0007',
}

/** The folder of `goodConfig` with a certificate for applications. */
export async function makeHttpFolder(): Promise<ConfigFolder> {
  const folder = await makeConfigFolder()
  const authority = await makeAuthority('Applications')
  const apps = await issue(authority, { names: ['*.gw.example.com', 'dashboards.example.com'] })
  for (const [name, text] of Object.entries({ 'apps.pem': apps.certificate, 'apps.key': apps.key })) {
    await writeFile(join(folder.folder, name), text, { mode: 0o600 })
  }
  return folder
}

export function spoilt(from: string, to: string): string {
  if (!httpConfig.includes(from)) throw new Error(`the example has no ${from}`)
  return httpConfig.replace(from, to)
}

export const credentials = 'credentials: { basic: { user: curfew, password: env:APP } }'
export const withCredentials = (text: string): string => spoilt(credentials, `credentials: { ${text} }`)
export const addresses = "urls: ['https://grafana-1.internal:3000', 'http://127.0.0.1:3000']"
export const withUrl = (text: string): string => spoilt(addresses, `url: '${text}'`)

/** What is wrong, the file that shows it, and the problem as it is printed. */
export type Refusal = readonly [what: string, text: string, expected: string]

/** Each is the only problem of its file, and says nothing of a secret. */
export function testRefusals(folder: () => ConfigFolder, refusals: readonly Refusal[]): void {
  test.each(refusals)('%s is refused, with its place', async (_what, text, expected) => {
    const problems = await folder().problems(text, httpEnvironment)
    expect(problems).toEqual([expected])
    expect(problems.join('\n')).not.toContain('hunter2')
  })
}
