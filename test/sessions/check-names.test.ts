import { describe, expect, test } from 'vitest'
import type { Policy } from '../../src/policy/rules.ts'
import {
  createCatalogue,
  type HttpRole,
  type PostgresRole,
  type Resource,
  type SshRole,
} from '../../src/resources/catalogue.ts'
import type { Ask } from '../../src/sessions/admission.ts'
import { checkNames } from '../../src/sessions/check-names.ts'
import { people } from '../access/world.ts'
import { plainRole } from '../postgres-role.ts'

const { alice, mallory } = people
const common = { description: '', recording: 'strict' } as const

const postgresRole = (name: string): PostgresRole => ({
  ...{ kind: 'postgres', ...plainRole, name, login: name, password: null, databases: ['shop'] },
  ...common,
})
const sshRole = (name: string): SshRole => ({
  ...{ kind: 'ssh', name, login: name, key: null, allow: ['shell'], recordInput: false },
  ...common,
})
const httpRole = (name: string): HttpRole => ({
  ...{ kind: 'http', name, allow: [], deny: [], headers: {}, credentials: null, recordBodies: null },
  ...common,
})
const byName = <Role extends { readonly name: string }>(...roles: readonly Role[]) =>
  Object.fromEntries(roles.map((role) => [role.name, role]))

const database = (name: string): Resource => ({
  ...{ kind: 'postgres', name, description: '', labels: {}, host: name, port: 5432 },
  ...{
    others: [],
    targetSession: 'any',
    connectMs: 15_000,
    minTlsVersion: 'TLSv1.2',
    keepalives: null,
    logins: ['scram-sha-256'],
  },
  tls: { mode: 'verify-full', ca: null, serverName: null, identity: null },
  roles: byName(postgresRole('readonly'), postgresRole('admin')),
})
const server = (name: string): Resource => ({
  ...{ kind: 'ssh', name, description: '', labels: {}, host: name, port: 22 },
  hostKeys: { fingerprints: [], knownHosts: null, authorities: [] },
  keepalives: null,
  roles: byName(sshRole('files'), sshRole('shell'), sshRole('root')),
})

const application = (name: string): Resource => ({
  ...{ kind: 'http', name, description: '', labels: {}, hosts: [], version: 'http1', hostHeader: 'keep' },
  addresses: [{ text: `http://${name}`, tls: false, host: name, port: 80, socketPath: null }],
  tls: { ca: null, serverName: null },
  ...{ health: null, cors: null, recordHeaders: [], maskQuery: [], roles: byName(httpRole('viewer')) },
})

const policy: Policy = {
  name: 'all',
  who: { groups: ['engineers'] },
  what: {
    resources: ['web-1', 'web-db', 'prod-db', 'wiki'],
    labels: {},
    roles: ['readonly', 'files', 'shell', 'viewer'],
  },
  length: { defaultMs: 60_000, mostMs: 60_000 },
  reason: 'optional',
  ticket: null,
  approval: { kind: 'none' },
}

function check(
  protocol: Ask['client']['protocol'],
  resource: string,
  role: string,
  more: { person?: typeof alice } = {},
) {
  const ask: Ask = {
    identified: { person: alice.id, personName: '', credential: 'token-one', browserSession: null },
    ...{ resource, role, database: null },
    client: { protocol, address: '127.0.0.1', port: 5, application: '', tls: false },
  }
  checkNames(ask, more.person ?? alice, {
    catalogue: createCatalogue([
      database('prod-db'),
      database('web-db'),
      server('web-1'),
      server('web-2'),
      application('wiki'),
    ]),
    rules: { policies: [policy] },
    connectCommand: (name, { kind, name: as }) =>
      ({ ssh: `ssh ${as}@${name}@gw`, http: `https://${name}.gw/`, postgres: undefined })[kind],
  })
}

const refused = (code: string, message: string, hint: string) =>
  expect.objectContaining({ code, message, hint }) as Error

describe('a client reaches resources of its own protocol', () => {
  test.each([
    ['postgres', 'prod-db', 'readonly'],
    ['ssh', 'web-1', 'shell'],
    ['http', 'wiki', 'viewer'],
  ] as const)('%s reaches %s', (protocol, resource, role) => {
    expect(() => check(protocol, resource, role)).not.toThrow()
  })

  test('psql is told how to reach an SSH target, with the role that it asked for where there is one', () => {
    const message = 'There is no PostgreSQL target "web-1".'
    expect(() => check('postgres', 'web-1', 'shell')).toThrow(
      refused('RESOURCE_UNKNOWN', message, 'web-1 is an SSH target: ssh shell@web-1@gw'),
    )
    expect(() => check('postgres', 'web-1', 'readonly')).toThrow(
      refused('RESOURCE_UNKNOWN', message, 'web-1 is an SSH target: ssh files@web-1@gw'),
    )
    expect(() => check('postgres', 'web-1', 'root')).toThrow(
      refused('RESOURCE_UNKNOWN', message, 'web-1 is an SSH target: ssh files@web-1@gw'),
    )
  })

  test('ssh is told what a database is, also when nothing listens for psql', () => {
    expect(() => check('ssh', 'prod-db', 'readonly')).toThrow(
      refused('RESOURCE_UNKNOWN', 'There is no SSH target "prod-db".', 'prod-db is a PostgreSQL target.'),
    )
  })

  test('a terminal is told where an application is, and a browser what is none', () => {
    expect(() => check('ssh', 'wiki', 'viewer')).toThrow(
      refused('RESOURCE_UNKNOWN', 'There is no SSH target "wiki".', 'wiki is a web application: https://wiki.gw/'),
    )
    expect(() => check('http', 'web-1', 'shell')).toThrow(
      refused('RESOURCE_UNKNOWN', 'There is no web application "web-1".', 'web-1 is an SSH target: ssh shell@web-1@gw'),
    )
  })

  test('what would fit is named from the same protocol only', () => {
    const message = 'There is no resource "web-3" that you may use.'
    expect(() => check('ssh', 'web-3', 'shell')).toThrow(refused('RESOURCE_UNKNOWN', message, 'Did you mean "web-1"?'))
    expect(() => check('postgres', 'web-3', 'shell')).toThrow(
      refused('RESOURCE_UNKNOWN', message, expect.not.stringContaining('web-1') as string),
    )
    expect(() => check('ssh', 'web-1', 'shel')).toThrow(
      refused('ROLE_UNKNOWN', 'There is no role "shel" that you may use.', 'Did you mean "shell"?'),
    )
  })
})

test.each([
  ['a resource that no policy opens', 'postgres', 'web-2', alice],
  ['a resource of the other protocol, for somebody whom no policy names', 'postgres', 'web-1', mallory],
  ['a resource of the same protocol, for somebody whom no policy names', 'ssh', 'web-1', mallory],
] as const)('%s is as unknown as one that does not exist', (_, protocol, resource, person) => {
  const caught = (name: string) => {
    try {
      check(protocol, name, 'shell', { person })
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint: string }
      return { code, message: message.replace(name, 'NAME'), hint: hint.replace(name, 'NAME') }
    }
    throw new Error(`${name} was not refused`)
  }
  expect(caught(resource)).toEqual(caught('web-9'))
})
