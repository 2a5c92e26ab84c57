import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { environment, goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'
import { stepOf } from '../../src/policy/approval.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

/** The good file with one thing spoilt. */
function spoilt(from: string, to: string): string {
  if (!goodConfig.includes(from)) throw new Error(`the example has no ${from}`)
  return goodConfig.replace(from, to)
}

test('a good file becomes one frozen value with lengths in milliseconds and references read', async () => {
  const { config, notices } = await folder.check(goodConfig)
  expect(notices).toEqual([])
  expect(config.gateway).toMatchObject({ name: 'gw-1', clientHost: 'gw.example.com', drainMs: 10_000 })
  expect(config.gateway.dataFolder).toBe(join(folder.folder, 'data'))
  expect(config.listen.web.tls.certificate).toContain('BEGIN CERTIFICATE')
  expect(config.listen.ops).toEqual({ address: '127.0.0.1', port: 9090 })
  expect(config.identity.oidc.clientSecret.reveal()).toBe('oidc-hunter2')
  const [shop] = config.resources
  if (shop?.kind !== 'postgres') throw new Error('the first is a PostgreSQL server')
  expect(await shop.roles['admin']!.password!.reveal()).toBe('admin-hunter2')
  expect(shop.tls.ca).toContain('BEGIN CERTIFICATE')
  expect(config.policies[1]).toMatchObject({
    length: { defaultMs: 900_000, mostMs: 3_600_000 },
    approval: { kind: 'people', steps: [stepOf(2, ['approvers'])] },
  })
  expect(config.policies[1]!.ticket!.pattern.test('x OPS-1')).toBe(false)
  expect(() => Object.assign(shop.labels, { env: 'test' })).toThrow(TypeError)
  expect(() => Object.assign(config.gateway, { name: 'other' })).toThrow(TypeError)
})

test('no secret shows when the value is printed', async () => {
  const { config } = await folder.check(goodConfig)
  expect(JSON.stringify(config)).not.toMatch(/hunter2|PRIVATE KEY/)
})

test('a file that is not there is one problem with a hint', async () => {
  const { checkConfig } = await import('../../src/config/load.ts')
  await expect(checkConfig('/nowhere/curfew.yaml', {})).rejects.toThrow(
    '/nowhere/curfew.yaml:1:1: cannot read the configuration: there is no such file\n    Say which with --config FILE',
  )
})

test('a mistake hides no other one near it: neither what it refers to, nor who refers to it', async () => {
  const text = goodConfig
    .replace('port: 8443', 'port: 84430')
    .replace('certificate: gw.pem', 'certificate: gone.pem')
    .replace('clientId: curfew', 'clientId: 7')
    .replace('env:OIDC_SECRET', 'env:ABSENT')
    .replace('host: shop.internal', 'host: 7')
    .replace('file:admin.txt', 'file:gone.txt')
    .replace('ca: ca.pem', 'ca: gone-ca.pem')
    .replace('what: { roles: [readonly] }', 'what: { roles: [readnly], labels: { env: prodction } }')
  expect((await folder.problems(text)).map((line) => line.split(' ')[1])).toEqual([
    'listen.web.port:',
    'listen.web.tls.certificate:',
    'identity.clientId:',
    'identity.clientSecret:',
    'resources.shop.host:',
    'resources.shop.tls.ca:',
    'resources.shop.roles.admin.password:',
    'policies[0].what.roles[0]:',
    'policies[0].what.labels.env:',
  ])
})

test('everything that is wrong comes at once, in the order of the file', async () => {
  const text = spoilt('port: 8443', 'port: 84430')
    .replace('issuer: https://login.example.com', 'issuer: http://login.example.com')
    .replace('env:OIDC_SECRET', 'env:ABSENT')
    .replace('resources: [shop]', 'resources: [shopp]')
  expect((await folder.problems(text)).map((line) => line.split(' ')[1])).toEqual([
    'listen.web.port:',
    'identity.issuer:',
    'identity.clientSecret:',
    'policies[1].what.resources[0]:',
  ])
})

const yaml: readonly (readonly [string, string, string])[] = [
  [
    'broken YAML',
    goodConfig.replace('labels: { env: production }', 'labels: { env: ['),
    'curfew.yaml:17:5: this is not YAML',
  ],
  ['an empty file', '', 'curfew.yaml:1:1: the file is empty'],
  ['two documents', `${goodConfig}---\na: 1\n`, 'curfew.yaml:38:1: a second document'],
  [
    'a resource that is there twice',
    spoilt('  wiki:', '  shop:'),
    'curfew.yaml:21:3: this key is there already | Rename it, or join the two.',
  ],
  [
    'aliases that unfold',
    spoilt(
      'labels: { env: staging }',
      `labels: &a { ${Array.from({ length: 120 }, (_, n) => `k${n}: *a`).join(', ')} }`,
    ),
    'curfew.yaml',
  ],
]

const schema: readonly (readonly [string, string, string])[] = [
  [
    'an unknown key',
    spoilt('publicUrl:', 'publicUlr: x\n  publicUrl:'),
    'curfew.yaml:2:3 gateway.publicUlr: there is no such key | Did you mean `publicUrl`?',
  ],
  [
    'an unknown key like nothing',
    spoilt('clientId: curfew', 'clientId: curfew\n  zzz: 1'),
    'curfew.yaml:11:3 identity.zzz: there is no such key | Known here: issuer',
  ],
  [
    'a missing key',
    spoilt('  clientId: curfew\n', ''),
    'curfew.yaml:8:1 identity.clientId: expected text, got nothing | The client that',
  ],
  [
    'a missing section',
    goodConfig.replace(/^identity:\n(?: .*\n)+/m, ''),
    'curfew.yaml:1:1 identity: expected a map, got nothing | Who people are.',
  ],
  ['a wrong type', spoilt('port: 8443', 'port: web'), 'curfew.yaml:4:16 listen.web.port: expected a number, got "web"'],
  [
    'a number out of range',
    spoilt('port: 8443', 'port: 70000'),
    'curfew.yaml:4:16 listen.web.port: expected a number of at most 65535, got 70000',
  ],
  [
    'a word that is not one of them',
    spoilt('kind: postgres', 'kind: postgrse'),
    'curfew.yaml:14:11 resources.shop.kind: expected `postgres`, `ssh`, `http`, got "postgrse" | Did you mean `postgres`?',
  ],
  [
    'a length without unit',
    spoilt('default: 15m', 'default: 15'),
    'curfew.yaml:35:21 policies[1].for.default: expected a length of time such as 90s, 30m, 8h or 2d, got 15',
  ],
  [
    'a length beyond reason',
    spoilt('most: 1h', 'most: 99999d'),
    'curfew.yaml:35:32 policies[1].for.most: expected a length of time of at most 3650d, got "99999d"',
  ],
  [
    'a plain http page',
    spoilt('https://gw.example.com', 'http://gw.example.com'),
    'curfew.yaml:2:14 gateway.publicUrl: expected an address that begins with https://, got "http://gw.example.com"',
  ],
  [
    'a secret in the file',
    spoilt('env:OIDC_SECRET', 'hunter2'),
    'curfew.yaml:11:17 identity.clientSecret: expected a reference, env:NAME or file:PATH, as secrets are never written here, got something else',
  ],
  [
    'a name that clients cannot write',
    spoilt('  wiki:', '  Wiki/2:'),
    'curfew.yaml:21:3 resources."Wiki/2": expected a name of a-z',
  ],
  [
    'an approval of nobody',
    spoilt('people: 2', 'people: 0'),
    'curfew.yaml:37:25 policies[1].approval.people: expected a number of at least 1, got 0',
  ],
  [
    'an approval that is a word',
    spoilt('approval: { people: 2, from: [approvers] }', 'approval: someone'),
    'curfew.yaml:37:15 policies[1].approval: expected `none` or a map, got "someone"',
  ],
  [
    'an approval without groups',
    spoilt(', from: [approvers]', ''),
    'curfew.yaml:37:5 policies[1].approval: it names nobody',
  ],
  [
    'an empty list',
    spoilt('databases: [wiki]', 'databases: []'),
    'curfew.yaml:26:69 resources.wiki.roles.readonly.databases: expected at least 1 entry, got an empty list',
  ],
]

const settings: readonly (readonly [string, string, string])[] = [
  [
    'an address with a path',
    spoilt('https://gw.example.com', 'https://gw.example.com/curfew'),
    'curfew.yaml:2:14 gateway.publicUrl: expected only scheme, host and port, such as https://gw.example.com, got more than that',
  ],
  [
    'an http provider elsewhere',
    spoilt('https://login', 'http://login'),
    'curfew.yaml:9:11 identity.issuer: expected an address that begins with https://, got http:// for login.example.com | Plain http',
  ],
  [
    'scopes without openid',
    spoilt('clientId: curfew', 'clientId: curfew\n  scopes: [email]'),
    'curfew.yaml:11:11 identity.scopes: `openid` is missing',
  ],
  [
    'access tokens for the audience of ID tokens',
    spoilt('clientId: curfew', 'clientId: curfew\n  oauth: { clientId: psql, audience: curfew }'),
    'curfew.yaml:11:38 identity.oauth.audience: ID tokens of that client are for this audience',
  ],
  [
    'a sign-in that cannot know the address where it must',
    spoilt('clientId: curfew', 'clientId: curfew\n  sameAddress: true\n  oauth: { clientId: psql, audience: gw }'),
    'curfew.yaml:12:3 identity.oauth: the provider does not tell from which address',
  ],
  [
    'a scope with a space',
    spoilt('clientId: curfew', "clientId: curfew\n  oauth: { clientId: psql, audience: gw, scopes: ['openid email'] }"),
    'curfew.yaml:11:51 identity.oauth.scopes[0]: expected a scope without spaces',
  ],
  [
    'a port twice',
    spoilt('port: 6432', 'port: 8443'),
    'curfew.yaml:6:13 listen.postgres[0].port: port 8443 is taken by listen.web',
  ],
  [
    'an address that is a name',
    spoilt('- port: 6432', '- address: gw.example.com\n      port: 6432'),
    'curfew.yaml:6:16 listen.postgres[0].address: expected an IP address',
  ],
  [
    'a listener nobody can use',
    spoilt('      tls: { certificate: gw.pem, key: file:gw.key }\n', ''),
    'curfew.yaml:6:7 listen.postgres[0]: nobody can connect',
  ],
  [
    'a length of nothing',
    spoilt('clientId: curfew', 'clientId: curfew\n  signInFor: 0s'),
    'curfew.yaml:11:14 identity.signInFor: expected a length of time above 0, got 0',
  ],
]

const references: readonly (readonly [string, string, string])[] = [
  [
    'a secret that is not set',
    spoilt('env:OIDC_SECRET', 'env:OIDC_SECRETS'),
    'curfew.yaml:11:17 identity.clientSecret: the environment variable OIDC_SECRETS is not set | Start with OIDC_SECRETS=… set.',
  ],
  [
    'a secret file that is not there',
    spoilt('file:admin.txt', 'file:gone.txt'),
    'curfew.yaml:20:36 resources.shop.roles.admin.password: cannot read gone.txt: there is no such file',
  ],
  [
    'a secret file that is a folder',
    spoilt('file:admin.txt', 'file:.'),
    'curfew.yaml:20:36 resources.shop.roles.admin.password: cannot read ',
  ],
  [
    'an authority that is not there',
    spoilt('ca: ca.pem', 'ca: gone.pem'),
    'curfew.yaml:17:16 resources.shop.tls.ca: cannot read gone.pem: there is no such file',
  ],
  [
    'an authority that is something else',
    spoilt('ca: ca.pem', 'ca: gw.key'),
    'curfew.yaml:17:16 resources.shop.tls.ca: expected PEM certificates, gw.key holds something else',
  ],
  [
    'a certificate that is not there',
    spoilt('certificate: gw.pem', 'certificate: gone.pem'),
    'curfew.yaml:4:42 listen.web.tls.certificate: cannot read gone.pem',
  ],
  [
    'a key that is none',
    spoilt('file:gw.key', 'file:gw.pem'),
    'curfew.yaml:4:55 listen.web.tls.key: expected a PEM private key without a passphrase, got something else',
  ],
]

const policies: readonly (readonly [string, string, string])[] = [
  [
    'a resource that is not there',
    spoilt('[shop], labels', '[shpo], labels'),
    'curfew.yaml:34:25 policies[1].what.resources[0]: there is no resource "shpo" | Did you mean "shop"?',
  ],
  [
    'a role that is not there',
    spoilt('roles: [admin]', 'roles: [root]'),
    'curfew.yaml:34:69 policies[1].what.roles[0]: there is no role "root" | There are: readonly, admin.',
  ],
  [
    'a label that nothing carries',
    spoilt('labels: { env: production }, roles', 'labels: { env: prod }, roles'),
    'curfew.yaml:34:47 policies[1].what.labels.env: no resource carries the label env: prod | Resources have env: production, staging.',
  ],
  [
    'a policy that can never match',
    spoilt('labels: { env: production }, roles', 'labels: { env: staging }, roles'),
    'curfew.yaml:34:5 policies[1].what: this policy can never match | No resource meets all',
  ],
  [
    'a resource that never matches',
    spoilt('resources: [shop]', 'resources: [shop, wiki]'),
    'curfew.yaml:34:31 policies[1].what.resources[1]: the resource "wiki" can never match here',
  ],
  [
    'a role that never matches',
    spoilt(
      'resources: [shop], labels: { env: production }, roles: [admin]',
      'resources: [wiki], roles: [readonly, admin]',
    ).replace('roles: [readonly] }\n    approval', 'resources: [shop] }\n    approval'),
    'curfew.yaml:34:50 policies[1].what.roles[1]: the role "admin" can never match here',
  ],
  [
    'a name twice',
    spoilt('name: change', 'name: read'),
    'curfew.yaml:32:11 policies[1].name: policies[0] is called "read", too',
  ],
  [
    'an offer above the most',
    spoilt('default: 15m', 'default: 2h'),
    'curfew.yaml:35:21 policies[1].for.default: the length that is offered is longer than `most`',
  ],
  [
    'a most of nothing',
    spoilt('default: 15m, most: 1h', 'default: 0, most: 0s').replace('default: 0,', "default: '0',"),
    'curfew.yaml:35:32 policies[1].for.most: expected a length of time above 0, got 0',
  ],
  [
    'a ticket pattern that is none',
    spoilt('OPS-[0-9]+', 'OPS-[0-9'),
    'curfew.yaml:36:24 policies[1].ticket.pattern: expected a regular expression, Invalid regular expression',
  ],
  [
    'a ticket link without the ticket',
    spoilt('/{ticket}', '/'),
    'curfew.yaml:36:44 policies[1].ticket.link: expected an http(s) address that contains {ticket}',
  ],
  [
    'a policy behind a wider one',
    spoilt('what: { roles: [readonly] }', 'what: {}'),
    'curfew.yaml:32:5 policies[1]: this policy can never match: policies[0] "read" always decides before it',
  ],
]

describe.each([
  ['YAML', yaml],
  ['schema', schema],
  ['settings', settings],
  ['references', references],
  ['policies', policies],
])('%s', (_kind, cases) => {
  test.each(cases)('%s is refused with its place', async (_what, text, expected) => {
    const [first] = await folder.problems(text)
    expect(first?.slice(0, expected.length)).toBe(expected)
  })
})

test('a policy behind several that together cover it is refused; one group more and it lives', async () => {
  const two = `policies:
  - { name: shop, who: { groups: [a, b] }, what: { resources: [shop] }, approval: none }
  - { name: rest, who: { groups: [a] }, what: { labels: { env: staging } }, approval: none }
  - { name: late, who: { groups: [a] }, what: { roles: [readonly] }, approval: none }
`
  const text = goodConfig.replace(/^policies:\n(?: .*\n)+/m, two)
  expect(await folder.problems(text)).toEqual([
    expect.stringContaining('policies[2]: this policy can never match: policies[0] "shop", policies[1] "rest" always'),
  ])
  expect(await folder.problems(text.replace('late, who: { groups: [a] }', 'late, who: { groups: [a, c] }'))).toEqual([])
})

test('a key that belongs to another certificate is refused', async () => {
  const other = await issue(await makeAuthority('Other'), { names: ['gw.example.com'] })
  await writeFile(join(folder.folder, 'other.key'), other.key, { mode: 0o600 })
  expect(await folder.problems(spoilt('file:gw.key', 'file:other.key'))).toEqual([
    expect.stringMatching(/^curfew\.yaml:4:55 listen\.web\.tls\.key: this key does not belong to the certificate/),
  ])
})

test('an empty secret is refused', async () => {
  expect(await folder.problems(goodConfig, { ...environment, OIDC_SECRET: '' })).toEqual([
    'curfew.yaml:11:17 identity.clientSecret: env:OIDC_SECRET is empty',
  ])
})

test('what is allowed but dangerous is said, not refused', async () => {
  await writeFile(join(folder.folder, 'open.txt'), 'x', { mode: 0o644 })
  const text = spoilt('file:admin.txt', 'file:open.txt')
    .replace('tls: { ca: ca.pem }', 'tls: { mode: disable }')
    .replace('databases: [wiki]', 'databases: [wiki], recording: off')
    .replace('- port: 6432', '- port: 6432\n      address: 0.0.0.0\n      plaintext: allow')
    .replace('what: { roles: [readonly] }', 'what: { resources: [shop], roles: [readonly] }')
  expect(await folder.notices(text)).toEqual([
    expect.stringContaining('listen.postgres[0].plaintext: passwords and rows cross the network readable on 0.0.0.0'),
    expect.stringContaining('resources.shop.tls.mode: the way to shop.internal is neither encrypted nor verified'),
    expect.stringContaining('resources.shop.roles.admin.password: everybody on this machine can read open.txt'),
    expect.stringContaining('resources.wiki.roles.readonly: no policy lets anybody ask for it'),
    expect.stringContaining('resources.wiki.roles.readonly.recording: sessions with this role leave no recording'),
  ])
})

// Goal: no text crashes the loader, and every problem points into the file. Method: the good file, cut and spliced at random.
test('any text is either a configuration or a list of problems with places in it', async () => {
  const pieces = goodConfig.split(/(?<=[\s{}[\]:,-])/)
  const junk = fc.constantFrom(
    '',
    '[',
    '}',
    ': ',
    '- ',
    '\n',
    '*a ',
    '&a ',
    '!!int ',
    '\t',
    '"',
    '0',
    'null',
    '__proto__: 1\n',
  )
  const splice = fc.record({ at: fc.nat(pieces.length - 1), drop: fc.nat(4), put: junk })
  await fc.assert(
    fc.asyncProperty(fc.array(splice, { minLength: 1, maxLength: 4 }), async (splices) => {
      const spliced = [...pieces]
      for (const { at, drop, put } of splices) spliced.splice(at, drop, put)
      const text = spliced.join('')
      const lines = text.split('\n').length
      for (const problem of await folder.problems(text)) {
        const [, line, column] = /^curfew\.yaml:(\d+):(\d+)/.exec(problem)!.map(Number)
        expect(line).toBeLessThanOrEqual(lines)
        expect(column).toBeGreaterThanOrEqual(1)
        expect(problem).not.toContain('hunter2')
      }
    }),
    { numRuns: 300 },
  )
})
