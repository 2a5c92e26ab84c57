import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { summarise } from '../../src/config/summary.ts'
import { sshKeyPair, sshPublicLine } from '../../src/identity/ssh/keys.ts'
import { goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const publicLine = sshPublicLine(sshKeyPair(privateKey), 'host-ca')
const fingerprint = `SHA256:${'A'.repeat(43)}`

/** The good file with an SSH listener on line 9, and from line 29 on an SSH resource. */
const sshConfig = goodConfig.replace('identity:\n', '  ssh:\n    - { port: 2222 }\nidentity:\n').replace(
  'policies:\n',
  `  web-1:
    kind: ssh
    host: web-1.internal
    labels: { env: staging }
    hostKeys:
      fingerprints: ['${fingerprint}']
    roles:
      shell: { login: deploy }
      files: { login: deploy, key: file:login.key, allow: [sftp], recordInput: true }
policies:
  - name: ssh
    who: { groups: [engineering] }
    what: { resources: [web-1] }
    approval: none
`,
)

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
  const files = {
    'login.key': pem,
    'encrypted.key': privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' }),
    'weak.key': generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs1', format: 'pem' }),
    'ca.pub': `# whose host certificates are believed\n${publicLine}\n`,
    'empty.pub': '# nobody\n',
    known_hosts: `# seen\n|1|salt=|hash= ${publicLine}\n`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.folder, name), text, { mode: 0o600 })
})
afterAll(() => folder[Symbol.asyncDispose]())

function spoilt(from: string, to: string): string {
  if (!sshConfig.includes(from)) throw new Error(`the example has no ${from}`)
  return sshConfig.replace(from, to)
}

function withHostKeys(hostKeys: string): string {
  return spoilt(`hostKeys:\n      fingerprints: ['${fingerprint}']\n`, `hostKeys: { ${hostKeys} }\n`)
}

async function web1(text: string) {
  const { config } = await folder.check(text)
  const resource = config.resources.find(({ name }) => name === 'web-1')
  if (resource?.kind !== 'ssh') throw new Error('web-1 is an SSH server')
  return { config, resource }
}

test('an SSH listener and an SSH resource are read, with what is usual filled in', async () => {
  const { config, resource } = await web1(sshConfig)
  const keepalives = { idleMs: 60_000, intervalMs: 10_000, count: 6 }
  expect(config.listen.ssh).toEqual([{ address: '127.0.0.1', port: 2222, keepalives }])
  expect(resource).toMatchObject({
    ...{ port: 22, keepalives },
    description: '',
    hostKeys: { fingerprints: [fingerprint], knownHosts: null, authorities: [] },
    roles: {
      shell: { kind: 'ssh', login: 'deploy', key: null, allow: ['shell', 'exec', 'sftp'], recordInput: false },
      files: { kind: 'ssh', name: 'files', allow: ['sftp'], recordInput: true, recording: 'strict' },
    },
  })
  expect(resource.roles['files']!.key!.reveal()).toBe(String(pem).trimEnd())
  expect(JSON.stringify(config)).not.toContain('PRIVATE KEY')
  expect(() => Object.assign(resource.hostKeys, { knownHosts: '' })).toThrow(TypeError)
  expect(await folder.notices(sshConfig)).toEqual([])
  expect((await folder.check(goodConfig)).config.listen.ssh).toEqual([])
})

test('the summary names them', async () => {
  const { listeners, resources } = summarise((await web1(sshConfig)).config)
  expect(listeners).toContain('ssh 127.0.0.1:2222')
  expect(resources).toContain('web-1 (ssh web-1.internal:22): shell, files')
})

test('authorities are lines or files of lines; known hosts are handed on as they are', async () => {
  const { resource } = await web1(withHostKeys(`authorities: ['${publicLine}', ca.pub], knownHosts: known_hosts`))
  expect(resource.hostKeys).toEqual({
    fingerprints: [],
    authorities: [publicLine, publicLine],
    knownHosts: await readFile(join(folder.folder, 'known_hosts'), 'utf8'),
  })
})

const at = 'curfew.yaml'
const refusals: readonly (readonly [string, string, string])[] = [
  [
    'no way to know the target',
    withHostKeys(''),
    `${at}:33:15 resources.web-1.hostKeys: expected at least one of \`fingerprints\`, \`knownHosts\`, \`authorities\`, got an empty map`,
  ],
  [
    'nothing said about the target’s keys',
    spoilt(`    hostKeys:\n      fingerprints: ['${fingerprint}']\n`, ''),
    `${at}:29:3 resources.web-1.hostKeys: expected a map, got nothing | How the target proves who it is: at least one of`,
  ],
  [
    'an empty list of fingerprints',
    withHostKeys('fingerprints: []'),
    `${at}:33:31 resources.web-1.hostKeys.fingerprints: expected at least 1 entry`,
  ],
  [
    'a fingerprint that is cut',
    spoilt(fingerprint, fingerprint.slice(0, -1)),
    `${at}:34:22 resources.web-1.hostKeys.fingerprints[0]: expected a fingerprint as \`ssh-keygen -l\` prints it: SHA256: and 43 characters`,
  ],
  [
    'a fingerprint of the old kind',
    spoilt(fingerprint, 'MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48'),
    `${at}:34:22 resources.web-1.hostKeys.fingerprints[0]: expected a fingerprint as`,
  ],
  [
    'an authority that is cut',
    withHostKeys(`authorities: ['${publicLine.slice(0, 60)}']`),
    `${at}:33:31 resources.web-1.hostKeys.authorities[0]: expected public keys such as`,
  ],
  [
    'an authority that is a certificate',
    withHostKeys(`authorities: ['ssh-ed25519-cert-v01@openssh.com AAAA']`),
    `${at}:33:31 resources.web-1.hostKeys.authorities[0]: expected public keys such as \`ssh-ed25519 AAAA…\`, or a file of them, got a certificate`,
  ],
  [
    'an authority whose file is not there',
    withHostKeys('authorities: [gone.pub]'),
    `${at}:33:31 resources.web-1.hostKeys.authorities[0]: cannot read gone.pub: there is no such file`,
  ],
  [
    'a file without authorities',
    withHostKeys('authorities: [empty.pub]'),
    `${at}:33:31 resources.web-1.hostKeys.authorities[0]: expected public keys such as \`ssh-ed25519 AAAA…\`, or a file of them, empty.pub holds none`,
  ],
  [
    'known hosts that are something else',
    withHostKeys('knownHosts: gw.pem'),
    `${at}:33:29 resources.web-1.hostKeys.knownHosts: expected a file in the form of known_hosts, gw.pem has no line`,
  ],
  [
    'a key that is none',
    spoilt('file:login.key', 'file:gw.pem'),
    `${at}:37:36 resources.web-1.roles.files.key: expected a private key (Ed25519, ECDSA, or RSA from 2048 bits), OpenSSH or PEM, without a passphrase, got something else`,
  ],
  [
    'a key that is weak',
    spoilt('file:login.key', 'file:weak.key'),
    `${at}:37:36 resources.web-1.roles.files.key: expected a private key (Ed25519, ECDSA, or RSA from 2048 bits)`,
  ],
  [
    'a key with a passphrase',
    spoilt('file:login.key', 'file:encrypted.key'),
    `${at}:37:36 resources.web-1.roles.files.key: expected a private key (Ed25519, ECDSA, or RSA from 2048 bits), OpenSSH or PEM, without a passphrase, this one has`,
  ],
  [
    'a key in the file',
    spoilt('file:login.key', 'secret'),
    `${at}:37:36 resources.web-1.roles.files.key: expected a reference, env:NAME or file:PATH`,
  ],
  [
    'an allowance that is none',
    spoilt('allow: [sftp]', 'allow: [sfpt]'),
    `${at}:37:60 resources.web-1.roles.files.allow[0]: expected \`shell\`, \`exec\`, \`sftp\`, \`forward-local\`, \`forward-remote\`, \`agent\`, got "sfpt" | Did you mean \`sftp\`?`,
  ],
  [
    'a role that may do nothing',
    spoilt('allow: [sftp]', 'allow: []'),
    `${at}:37:59 resources.web-1.roles.files.allow: expected at least 1 entry`,
  ],
  [
    'a key of another kind of role',
    spoilt('{ login: deploy }', '{ login: deploy, databases: [x] }'),
    `${at}:36:31 resources.web-1.roles.shell.databases: there is no such key | Known here: description, login, key, allow`,
  ],
  [
    'a key of another kind of resource',
    spoilt('    host: web-1.internal', '    tls: {}\n    host: web-1.internal'),
    `${at}:31:5 resources.web-1.tls: there is no such key | Known here: kind, description, labels, host, port, hostKeys, keepalives, roles`,
  ],
  [
    'a resource of no kind',
    spoilt('    kind: ssh\n', ''),
    `${at}:29:3 resources.web-1.kind: expected \`postgres\`, \`ssh\`, \`http\`, got nothing`,
  ],
  [
    'a resource of an unknown kind',
    spoilt('kind: ssh', 'kind: sshd'),
    `${at}:30:11 resources.web-1.kind: expected \`postgres\`, \`ssh\`, \`http\`, got "sshd" | Did you mean \`ssh\`?`,
  ],
  [
    'a port that another listener has',
    spoilt('{ port: 2222 }', '{ port: 6432 }'),
    `${at}:9:15 listen.ssh[0].port: port 6432 is taken by listen.postgres[0]`,
  ],
  [
    'a port twice',
    spoilt('- { port: 2222 }', "- { port: 2222 }\n    - { address: '::', port: 2222 }"),
    `${at}:10:30 listen.ssh[1].port: port 2222 is taken by listen.ssh[0]`,
  ],
  [
    'an address that is a name',
    spoilt('{ port: 2222 }', '{ port: 2222, address: gw.example.com }'),
    `${at}:9:30 listen.ssh[0].address: expected an IP address of this machine`,
  ],
]

describe('refuses', () => {
  test.each(refusals)('%s, with its place', async (_what, text, expected) => {
    const [first] = await folder.problems(text)
    expect(first?.slice(0, expected.length)).toBe(expected)
  })
})

test('a mistake hides no file that is missing beside it', async () => {
  const text = withHostKeys('authorities: [gone.pub], knownHosts: gone_hosts')
    .replace('file:login.key', 'file:gone.key')
    .replace('host: web-1.internal', 'host: 7')
  expect((await folder.problems(text)).map((line) => line.split(' ')[1])).toEqual([
    'resources.web-1.host:',
    'resources.web-1.hostKeys.authorities[0]:',
    'resources.web-1.hostKeys.knownHosts:',
    'resources.web-1.roles.files.key:',
  ])
})

test('what is allowed but worth knowing is said', async () => {
  const text = spoilt('{ login: deploy }', '{ login: deploy, allow: [shell, agent], recording: off }').replace(
    '  ssh:\n    - { port: 2222 }\n',
    '',
  )
  const narrow = text.replace('resources: [web-1] }', 'resources: [web-1], roles: [shell] }')
  expect(await folder.notices(narrow)).toEqual([
    expect.stringContaining('resources.web-1: nobody can reach it: there is no listener in `listen.ssh`'),
    expect.stringContaining('resources.web-1.roles.shell.allow[1]: root on web-1.internal can use the agents'),
    expect.stringContaining('resources.web-1.roles.shell.recording: sessions with this role leave no recording'),
    expect.stringContaining('resources.web-1.roles.files: no policy lets anybody ask for it'),
  ])
})

const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined

test.runIf(hasKeygen)(
  'keys as ssh-keygen writes them are taken, unless they have a passphrase (needs ssh-keygen)',
  async () => {
    const make = (name: string, passphrase: string) =>
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', join(folder.folder, name)])
    make('plain', '')
    make('locked', 'hunter2')
    const { resource } = await web1(
      spoilt('file:login.key', 'file:plain').replace(/fingerprints: .*/, 'authorities: [plain.pub]'),
    )
    expect(resource.roles['files']!.key!.reveal()).toContain('OPENSSH PRIVATE KEY')
    expect(resource.hostKeys.authorities).toHaveLength(1)
    expect(await folder.problems(spoilt('file:login.key', 'file:locked'))).toEqual([
      expect.stringMatching(/this one has a passphrase \| Copy it, and take the passphrase off the copy/),
    ])
  },
)
