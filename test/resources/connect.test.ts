import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { HttpRole, PostgresRole, SshAllowance, SshRole } from '../../src/resources/catalogue.ts'
import { connectCommands, type ConnectPlace } from '../../src/resources/connect.ts'
import { plainRole } from '../postgres-role.ts'

const place: ConnectPlace = { clientHost: 'gw.example.com', postgresPort: () => 5432, sshPort: () => 22 }

const postgresRole = (name: string): PostgresRole => ({
  kind: 'postgres',
  ...plainRole,
  ...{ name, description: '', login: name, recording: 'strict' },
  password: null,
  databases: ['shop'],
})

const sshRole = (...allow: SshAllowance[]): SshRole => ({
  kind: 'ssh',
  ...{ name: 'shell', description: '', login: 'deploy', recording: 'strict' },
  key: null,
  allow,
  recordInput: false,
})

test('the psql line leaves out what is usual and quotes what needs it', () => {
  const one = (where: Partial<ConnectPlace>, resource: string, role: string) =>
    connectCommands({ ...place, ...where }, resource, postgresRole(role))
  expect(one({}, 'prod-db', 'readonly')).toEqual([
    'psql "host=gw.example.com user=readonly dbname=prod-db sslmode=verify-full"',
  ])
  expect(one({ postgresPort: () => 6432, caHint: "/my ca's/ca.pem" }, 'a', 'b')).toEqual([
    String.raw`psql "host=gw.example.com port=6432 user=b dbname=a sslmode=verify-full sslrootcert='/my ca\'s/ca.pem'"`,
  ])
  const oauth = { issuer: 'https://login.example.com', clientId: 'curfew-psql' }
  expect(one({ oauth }, 'prod-db', 'readonly')).toEqual([
    'psql "host=gw.example.com user=readonly dbname=prod-db sslmode=verify-full"',
    'psql "host=gw.example.com user=readonly.oauth dbname=prod-db sslmode=verify-full oauth_issuer=https://login.example.com oauth_client_id=curfew-psql"',
  ])
  expect(one({ postgresPort: () => undefined }, 'a', 'b')).toEqual([])
})

test.each<[SshAllowance[], string[]]>([
  [['shell'], ['ssh shell@web-1@gw.example.com']],
  [
    ['exec', 'sftp', 'shell'],
    ['ssh shell@web-1@gw.example.com', 'sftp shell@web-1@gw.example.com'],
  ],
  [['sftp'], ['sftp shell@web-1@gw.example.com']],
  [['exec'], ['ssh shell@web-1@gw.example.com COMMAND']],
  [['forward-local'], ['ssh -N shell@web-1@gw.example.com']],
])('a role that allows %s is reached by %j', (allow, commands) => {
  expect(connectCommands(place, 'web-1', sshRole(...allow))).toEqual(commands)
})

const httpRole: HttpRole = {
  ...{ kind: 'http', name: 'viewer', description: '', recording: 'strict' },
  ...{ allow: [], deny: [], headers: {}, credentials: null, recordBodies: null },
}

test('an application is reached by its address, when it has one', () => {
  const appOrigin = (resource: string) => (resource === 'grafana' ? 'https://grafana.gw.example.com' : undefined)
  expect(connectCommands({ ...place, appOrigin }, 'grafana', httpRole)).toEqual(['https://grafana.gw.example.com/'])
  expect(connectCommands({ ...place, appOrigin }, 'wiki', httpRole)).toEqual([])
  expect(connectCommands(place, 'grafana', httpRole)).toEqual([])
})

test('without an SSH listener there is nothing to type', () => {
  expect(connectCommands({ ...place, sshPort: () => undefined }, 'web-1', sshRole('shell'))).toEqual([])
})

const hasOpenSsh = spawnSync('ssh', ['-V']).status === 0 && spawnSync('sftp', ['-h']).error === undefined

// Goal: the lines mean to OpenSSH what they say. Method: ssh prints what it made of one; sftp runs a script in ssh's place.
test.runIf(hasOpenSsh).each(['gw.example.com', '[::1]', '::1'])(
  'OpenSSH reads role, resource, host and port out of the lines for %s',
  async (clientHost) => {
    const folder = await mkdtemp(join(tmpdir(), 'curfew-connect-'))
    try {
      const where = { ...place, clientHost, sshPort: () => 2222 }
      const [ssh, sftp] = connectCommands(where, 'web-1', sshRole('shell', 'sftp')).map((line) => line.split(' '))
      const host = clientHost.replaceAll(/[[\]]/g, '')
      const understood = spawnSync('ssh', ['-F', 'none', '-G', ...ssh!.slice(1)], { encoding: 'utf8' }).stdout
      expect(understood.split('\n')).toEqual(
        expect.arrayContaining(['user shell@web-1', `hostname ${host}`, 'port 2222']),
      )
      const stand = join(folder, 'ssh')
      await writeFile(stand, `#!/bin/sh\necho "$@" >'${folder}/words'\n`)
      await chmod(stand, 0o700)
      spawnSync('sftp', ['-S', stand, ...sftp!.slice(1)], { input: '' })
      expect(await readFile(join(folder, 'words'), 'utf8')).toMatch(
        new RegExp(`Port[ =]2222 .*-l shell@web-1 .*-- ${host} sftp|-p 2222 .*-l shell@web-1 .*${host}`),
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  },
)
