// Makes a fresh machine ready and then runs a command with the pinned Node first on PATH.
//   node scripts/bootstrap.mjs [--packages] -- COMMAND [ARGUMENT...]
// Runs on Node 20 and uses nothing from node_modules, because that is what it installs.
// Everything it says goes to stderr: stdout belongs to the command.
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const binaries = join(root, 'node_modules', '.bin')
const nodeMajorMin = 26

const pythonModules = '/usr/lib/python3/dist-packages'

/**
 * What the tests call, and the Debian package that brings it. `probe`: Debian puts a wrapper there even without the
 * program. A program with slashes is a file that must be there, on PATH or not.
 */
const tools = [
  { program: 'psql', package: 'postgresql-client', probe: true },
  { program: 'pg_dump', package: 'postgresql-client', probe: true },
  { program: 'pg_restore', package: 'postgresql-client', probe: true },
  { program: 'pgbench', package: 'postgresql', probe: true },
  { program: 'pgbouncer', package: 'pgbouncer' },
  { program: 'chromium-headless-shell', package: 'chromium-headless-shell' },
  { program: 'tmux', package: 'tmux' },
  { program: 'curl', package: 'curl' },
  { program: 'openssl', package: 'openssl' },
  { program: 'faketime', package: 'faketime' },
  { program: 'ssh', package: 'openssh-client' },
  { program: 'sshd', package: 'openssh-server' },
  { program: '/usr/lib/openssh/sftp-server', package: 'openssh-sftp-server' },
  { program: 'plink', package: 'putty-tools' },
  { program: 'dbclient', package: 'dropbear-bin' },
  { program: 'rsync', package: 'rsync' },
  { program: 'git', package: 'git' },
  { program: 'socat', package: 'socat' },
  { program: 'ncat', package: 'ncat' },
  { program: 'expect', package: 'expect' },
  { program: 'less', package: 'less' },
  { program: 'pgrep', package: 'procps' },
  { program: 'asciinema', package: 'asciinema' },
  { program: `${pythonModules}/paramiko/__init__.py`, package: 'python3-paramiko' },
  { program: `${pythonModules}/asyncssh/__init__.py`, package: 'python3-asyncssh' },
  { program: 'ansible', package: 'ansible-core' },
  { program: 'nginx', package: 'nginx-light' },
  { program: 'prometheus', package: 'prometheus' },
  { program: 'mosquitto', package: 'mosquitto' },
  { program: `${pythonModules}/httpbin/__init__.py`, package: 'python3-httpbin' },
  { program: `${pythonModules}/gunicorn/__init__.py`, package: 'python3-gunicorn' },
  { program: `${pythonModules}/websockets/__init__.py`, package: 'python3-websockets' },
]

main(process.argv.slice(2))

function main(words) {
  const split = words.indexOf('--')
  const options = words.slice(0, split)
  const [command, ...rest] = words.slice(split + 1)
  if (split === -1 || command === undefined) stop('usage: node scripts/bootstrap.mjs [--packages] -- COMMAND...')
  if (!modulesMatchLock()) installModules()
  if (options.includes('--packages')) installTools()
  run(command, rest)
}

/** npm writes node_modules/.package-lock.json last, so a broken-off installation never matches. */
function modulesMatchLock() {
  const wanted = readLock(join(root, 'package-lock.json'))
  const present = readLock(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined) stop('package-lock.json is missing; take a whole checkout')
  if (present === undefined || !nodeIsThere()) return false
  const needed = Object.entries(wanted).filter(([path, entry]) => path !== '' && !entry.optional && !entry.devOptional)
  return needed.every(([path, entry]) => present[path]?.version === entry.version)
}

function readLock(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined
}

/** The pinned Node comes as an optional dependency; where there is none for this system, the one that runs must do. */
function nodeIsThere() {
  return existsSync(join(binaries, 'node')) || Number(process.versions.node.split('.')[0]) >= nodeMajorMin
}

function installModules() {
  say('installing node_modules as package-lock.json says (npm ci); this happens once')
  const npm = process.env.npm_execpath
  const [program, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  // Versions that the lock file names were resolved for Node 26; an older npm only warns about its own Node. An npm
  // that does not know `allowScripts` would spend a minute on native code that is never loaded (ssh2's).
  const kinds = ['--include=dev', '--include=optional', '--ignore-scripts']
  const words = [...first, 'ci', ...kinds, '--no-audit', '--no-fund', '--loglevel=error']
  const result = spawnSync(program, words, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) stop('npm ci failed; what it says above is the reason (often the network)')
  if (!nodeIsThere()) {
    stop(`there is no pinned Node for ${process.platform}-${process.arch}; install Node ${nodeMajorMin} or newer`)
  }
}

function installTools() {
  const missing = tools.filter((tool) => !works(tool))
  if (missing.length === 0) return
  const names = missing.map((tool) => tool.program).join(', ')
  const packages = [...new Set(missing.map((tool) => tool.package))]
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`
  const prefix = privilege()
  if (find('apt-get') === undefined) stop(`the tests need ${names}; install them with this system's package manager`)
  if (prefix === undefined) stop(`the tests need ${names}. Run this once:\n  sudo sh -c '${line}'`)
  say(`installing ${packages.join(', ')} with apt-get; this happens once`)
  apt([...prefix, 'apt-get', 'update', '-q'])
  apt([...prefix, 'apt-get', 'install', '-y', '-q', '--no-install-recommends', ...packages])
  const still = missing.filter((tool) => !works(tool)).map((tool) => tool.program)
  if (still.length > 0) stop(`still missing after the installation: ${still.join(', ')}`)
}

/** How to become root without asking anybody; undefined when that is not possible. */
function privilege() {
  // RUNLEVEL=1 keeps the packages from starting servers of their own; the tests start theirs.
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  if (process.getuid?.() === 0) return environment
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' })
  return sudo.status === 0 ? ['sudo', '-n', ...environment] : undefined
}

function apt([program, ...words]) {
  const result = spawnSync(program, words, { stdio: ['ignore', 2, 2] })
  if (result.status !== 0) stop('apt-get failed; what it says above is the reason')
}

function works(tool) {
  if (tool.program.includes('/')) return existsSync(tool.program)
  const path = find(tool.program)
  if (path === undefined) return false
  return tool.probe !== true || spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0
}

/** Where a program lies. Servers live in sbin, which ordinary users do not have on PATH. */
function find(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false // not there, or not for us: both mean "look on"
  }
}

function run(command, words) {
  const PATH = [binaries, process.env.PATH ?? '', '/usr/sbin'].join(delimiter)
  const child = spawn(command, words, { stdio: 'inherit', env: { ...process.env, PATH } })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the whole group; passing it on as well would look like a second one.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => stop(`cannot run ${command}: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + osConstants.signals[signal]))
}

function say(text) {
  process.stderr.write(`curfew: ${text}\n`)
}

function stop(text) {
  say(text)
  process.exit(1)
}
