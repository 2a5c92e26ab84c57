import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { compiled } from '../clients/program.ts'
import type { RecordedEvent } from '../../src/recording/format.ts'
import type { PostgresCode, PostgresEvents } from '../../src/recording/postgres-events.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { sshHeader, sshSession } from './ssh-example.ts'
import { type Folder, recordInMemory, temporaryFolder } from './support.ts'

const run = promisify(execFile)
const main = path.join(import.meta.dirname, '../../src/main.ts')
let folder: Folder
let day: string

beforeAll(async () => {
  folder = await temporaryFolder()
  day = path.join(folder.path, 'recordings/2026/11/22')
  await mkdir(day, { recursive: true })
  const key = await openSigningKey(folder.path)
  const sealed = await recordInMemory(key, session, { header })
  await writeFile(path.join(day, 'session-1.curfew'), sealed)
  await writeFile(path.join(day, 'crashed.curfew'), sealed.subarray(0, sealed.length - 500))
  await writeFile(path.join(day, 'shell.curfew'), await recordInMemory(key, sshSession, { header: sshHeader }))
  const changed = Buffer.from(sealed)
  changed[700]! ^= 1
  await writeFile(path.join(day, 'changed.curfew'), changed)
})
afterAll(() => folder[Symbol.asyncDispose]())

const header = {
  startedAt: '2026-11-22T14:48:07.120Z',
  session: 'session-1',
  personName: 'ada@example.com',
  resource: 'prod-db',
  role: 'readonly',
  database: 'shop',
}
function at<Code extends PostgresCode>(seconds: number, code: Code, data: PostgresEvents[Code]): RecordedEvent {
  return { seconds, code, data }
}
const session: RecordedEvent[] = [
  at(0.01, 's', { name: 'server_version', value: '17.1' }),
  at(1.204, 'q', { n: 1, sql: 'select id, total\n  from orders limit 3' }),
  at(1.208, 'c', { n: 1, tag: 'SELECT 3', rows: 3, ms: 3.25 }),
  at(62.5, 'p', { name: 's1', sql: 'update orders set note = $1 where id = $2' }),
  at(62.5, 'b', { portal: '', statement: 's1', values: ["it's \u001b[31mred", null] }),
  at(62.501, 'x', { n: 2, portal: '', rows: 0 }),
  at(62.6, 'e', {
    n: 2,
    ms: 99.04,
    rows: 0,
    severity: 'ERROR',
    sqlstate: '42501',
    message: 'permission denied for table orders',
  }),
  at(3600, 'q', { n: 3, sql: 'select pg_sleep(600)' }),
  at(3660, 'm', { kind: 'warning', text: 'Your access to prod-db ends in 1 min.' }),
  at(3720.25, 'e', {
    n: 3,
    ms: 120_250,
    rows: 0,
    severity: 'ERROR',
    sqlstate: '57014',
    message: 'canceling statement due to user request',
  }),
]

function curfew(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...compiled, NO_COLOR: '1', FORCE_COLOR: undefined }
    execFile(process.execPath, [main, ...words], { cwd: day, env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

const transcript = `ada@example.com as readonly on prod-db (database shop), 2026-11-22 14:48:07 UTC

0:00:00.010  server_version = 17.1
0:00:01.204  select id, total
               from orders limit 3
             -> 3 rows (SELECT), 3.3 ms
0:01:02.501  update orders set note = $1 where id = $2
             $1 = 'it''s \\x1b[31mred', $2 = NULL
             -> ERROR 42501: permission denied for table orders, 99.0 ms
1:00:00.000  select pg_sleep(600)
             -> ERROR 57014: canceling statement due to user request, 120.3 s
1:01:00.000  Curfew: Your access to prod-db ends in 1 min.
Ended by the client
`

test('replay tells a session as a person reads it; nothing in it reaches the terminal', async () => {
  expect(await curfew('replay', 'session-1.curfew')).toEqual({ code: 0, out: transcript, err: '' })
})

test('replay takes a range, and JSON for programs', async () => {
  const { out } = await curfew('replay', 'session-1.curfew', '--from', '1m', '--to', '0:59:00', '--json')
  const items = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  expect(items).toMatchObject([{ kind: 'statement', n: 2, sql: 'update orders set note = $1 where id = $2' }])
  expect(await curfew('replay', 'session-1.curfew', '--from', 'yesterday')).toMatchObject({ code: 2 })
})

// Goal: what JSON itself leaves alone (a terminal takes U+009B for the beginning of a sequence) is escaped, and stays the same value.
test('JSON of a recording brings nothing to the terminal', async () => {
  const sql = 'select \u009b2J\u202e\u2028\u007f'
  const evil = await recordInMemory(await openSigningKey(folder.path), [at(1, 'q', { n: 1, sql })])
  await writeFile(path.join(day, 'evil.curfew'), evil)
  const { out } = await curfew('replay', 'evil.curfew', '--json')
  expect(out).toMatch(/^[\n -~]*$/)
  expect(JSON.parse(out)).toMatchObject({ sql })
})

test('verify says sealed, tampered, incomplete or not trusted, each with its exit code', async () => {
  const sealed = await curfew('verify', 'session-1.curfew')
  expect(sealed.out).toMatch(/^session-1\.curfew: sealed and unchanged\n {2}ada@example\.com as readonly on prod-db/)
  expect(sealed.out).toMatch(/signed by key \S+, trusted by \S*keys\/public\.jwks/)
  expect(sealed.code).toBe(0)

  const changed = await curfew('verify', 'changed.curfew', 'session-1.curfew')
  expect(changed.out).toMatch(/changed\.curfew: TAMPERED\n[^]*segment \d+, byte \d+[^]*session-1\.curfew: sealed/)
  expect(changed.code).toBe(1)

  const crashed = await curfew('verify', 'crashed.curfew')
  expect(crashed.out).toMatch(/incomplete: not sealed[^]*half a record/)
  expect(crashed.code).toBe(3)

  expect(await curfew('verify', 'nothing.curfew')).toMatchObject({ code: 2 })
  expect(JSON.parse((await curfew('verify', 'session-1.curfew', '--json')).out)).toMatchObject({
    verdict: 'sealed',
    verification: { state: 'sealed', key: { trusted: true } },
  })
})

test('verify takes more recordings than files may be open at once', async () => {
  await using many = await temporaryFolder()
  const names = Array.from({ length: 200 }, (_, at) => path.join(many.path, `copy-${at}.curfew`))
  for (const name of names) await cp(path.join(day, 'session-1.curfew'), name)
  const words = [main, 'verify', '--key', path.join(folder.path, 'keys/public.jwks'), ...names]
  const limited = ['-c', 'ulimit -n 128; exec "$0" "$@"', process.execPath, ...words]
  const { stdout } = await run('sh', limited, { env: { ...process.env, ...compiled } })
  expect(stdout.match(/sealed and unchanged/g)).toHaveLength(200)
})

// Goal: a whole recording of another session does not pass for the one that was taken away.
test('verify and replay refuse a recording under the name of another session', async () => {
  await cp(path.join(day, 'session-1.curfew'), path.join(day, 'session-abcdefghijklmnop.curfew'))
  const found = await curfew('verify', 'session-abcdefghijklmnop.curfew')
  expect(found.out).toMatch(/TAMPERED\n {2}It is named after another session than it is of: session-1\./)
  expect(found.code).toBe(1)
  expect(await curfew('replay', 'session-abcdefghijklmnop.curfew')).toMatchObject({ code: 1, out: '' })
})

test('verify trusts the key that it is given, and only that', async () => {
  await using elsewhere = await temporaryFolder()
  const copy = path.join(elsewhere.path, 'session-1.curfew')
  await cp(path.join(day, 'session-1.curfew'), copy)
  expect(await curfew('verify', copy)).toMatchObject({ code: 4, out: expect.stringContaining('not trusted') as string })
  const set = path.join(folder.path, 'keys/public.jwks')
  expect(await curfew('verify', copy, '--key', set)).toMatchObject({ code: 0 })
  const single = path.join(elsewhere.path, 'one.jwk')
  await writeFile(single, JSON.stringify((JSON.parse(await readFile(set, 'utf8')) as { keys: unknown[] }).keys[0]))
  expect(await curfew('verify', copy, '--key', single)).toMatchObject({ code: 0 })
  const other = await openSigningKey(elsewhere.path)
  await writeFile(single, JSON.stringify(other.publicKeys()))
  expect(await curfew('verify', path.join(day, 'session-1.curfew'), '--key', single)).toMatchObject({ code: 4 })
  await writeFile(single, '{}')
  expect((await curfew('verify', copy, '--key', single)).code).toBeGreaterThan(0)
})

// Goal: a disk for recordings that hangs leaves threads for everything else. Those that count are made at the first use.
test('curfew has as many threads as it counts on', async () => {
  await using elsewhere = await temporaryFolder()
  const look = path.join(elsewhere.path, 'look.cjs')
  await writeFile(look, lookAtThreads)
  const words = ['--require', look, main, 'verify', 'session-1.curfew']
  const { stderr } = await run(process.execPath, words, { cwd: day, env: { ...process.env, UV_THREADPOOL_SIZE: '4' } })
  expect(stderr).toMatch(process.platform === 'linux' ? /^8 8$/m : /^8 /m)
})
const lookAtThreads = `
const { readdirSync, readFileSync } = require('node:fs')
process.on('exit', () => {
  const tasks = process.platform === 'linux' ? readdirSync('/proc/self/task') : []
  const names = tasks.map((task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim())
  process.stderr.write(process.env.UV_THREADPOOL_SIZE + ' ' + names.filter((name) => name === 'libuv-worker').length)
})
`

test('verify fetches the keys once, however many files there are', async () => {
  await using elsewhere = await temporaryFolder()
  const authority = await makeAuthority('Keys')
  const served = await readFile(path.join(folder.path, 'keys/public.jwks'))
  let asked = 0
  const { certificate, key } = await issue(authority, { names: ['localhost'] })
  const server = createServer({ cert: certificate, key }, (_request, response) => {
    asked++
    response.end(served)
  }).listen(0)
  await once(server, 'listening')
  const ca = path.join(elsewhere.path, 'ca.pem')
  await writeFile(ca, authority.certificate)
  const address = `https://localhost:${(server.address() as AddressInfo).port}/keys.json`
  const words = [main, 'verify', 'session-1.curfew', 'shell.curfew', '--key', address]
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca }
  const { stdout } = await run(process.execPath, words, { cwd: day, env }).finally(() => server.close())
  expect(stdout.match(/sealed and unchanged/g)).toHaveLength(2)
  expect(asked).toBe(1)
})

test('replay stops at a recording that was tampered with, unless told otherwise', async () => {
  const refused = await curfew('replay', 'changed.curfew')
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toMatch(/TAMPERED[^]*--no-verify/)
  const forced = await curfew('replay', 'changed.curfew', '--no-verify')
  expect(forced.code).toBe(1)
  expect(forced.out).toMatch(/^ada@example\.com/)
  const crashed = await curfew('replay', 'crashed.curfew')
  expect(crashed).toMatchObject({ code: 0, err: expect.stringContaining('incomplete') as string })
  expect(crashed.out).toMatch(/it was not sealed\.\n$/)
})

const sshTranscript = `ada@example.com as deploy on web-1, 2026-11-22 14:48:07 UTC

0:00:00.250  channel 1  shell (terminal xterm-256color, 100x30)
0:00:03.200  channel 2  subsystem sftp
0:00:03.500  channel 2  write /srv/app \\x1b[31m.tar, 12.0 KiB up, 35.0 ms
             SHA-256 ${'ab'.repeat(32)}
0:00:03.600  channel 2  remove /etc/passwd, 1.5 ms, permission denied
0:00:03.700  channel 2  -> 12.7 KiB up, 400 bytes down, 600.0 ms
0:00:04.100  channel 3  exec make deploy
0:00:04.500  channel 3  -> exit status 2, 0 bytes up, 23 bytes down, 500.0 ms
0:00:05.000  channel 4  forward to db:5432 from 127.0.0.1:4711
0:00:05.500  channel 4  -> 100 bytes up, 2.0 KiB down, 500.0 ms
0:00:06.000  target listens for the client on 127.0.0.1:8080
0:00:06.500  refused: agent forwarding (the role does not allow it)
0:00:07.000  Curfew: Your access to web-1 ends in 1 min.
0:01:07.000  Curfew: Your access has ended.
0:01:07.020  channel 1  -> ended by signal HUP, 9 bytes up, 150 bytes down, 66.9 s
Ended by the client
`

test('replay lists an SSH session where there is no terminal to play it on', async () => {
  expect(await curfew('replay', 'shell.curfew')).toEqual({ code: 0, out: sshTranscript, err: '' })
  const { out } = await curfew('replay', 'shell.curfew', '--channel', '3', '--json')
  const items = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  expect(items).toMatchObject([
    { kind: 'begin', channel: { ran: { what: 'exec', command: 'make deploy' } } },
    { kind: 'end', channel: { exit: { status: 2 } } },
  ])
})

test('replay exports terminals and events, to a file that only its owner reads', async () => {
  const file = path.join(folder.path, 'out.cast')
  expect(await curfew('replay', 'shell.curfew', '--format', 'cast', '-o', file)).toMatchObject({ code: 0, out: '' })
  expect((await readFile(file, 'utf8')).split('\n')[0]).toMatch(/^\{"version":3,"term":\{"cols":100,"rows":30/)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await curfew('replay', 'shell.curfew', '--format', 'cast2')).out).toMatch(/^\{"version":2,/)
  const text = await curfew('replay', 'shell.curfew', '--format', 'txt', '--channel', '3')
  expect(text).toEqual({ code: 0, out: 'one\ntwo\nerror: three\n', err: '' })
  const lines = (await curfew('replay', 'shell.curfew', '--format', 'jsonl')).out.trimEnd().split('\n')
  expect(lines).toHaveLength(1 + sshSession.length)
  expect(lines).toContain('[4.2,"=o",{"ch":3,"bytes":8,"base64":"b25lCnR3bw0="}]')
  expect((await curfew('replay', 'session-1.curfew', '--format', 'jsonl')).out).toContain('[1.204,"q",{"n":1')
})

test('replay says what it cannot export', async () => {
  const mistakes = [
    [['shell.curfew', '--format', 'cast', '--channel', '9'], 'no channel 9'],
    [['session-1.curfew', '--format', 'cast'], 'Only an SSH session'],
    [['shell.curfew', '-o', 'x'], '--output needs --format'],
    [['shell.curfew', '--format', 'gif'], 'Allowed choices'],
    [['shell.curfew', '--speed', '0'], 'Give a number'],
  ] as const
  const said = await Promise.all(mistakes.map(([words]) => curfew('replay', ...words)))
  for (const [index, [, why]] of mistakes.entries()) {
    expect(said[index]).toMatchObject({ code: 2, err: expect.stringContaining(why) as string })
  }
})

const noScript = await which('script')
test(`replay plays on a terminal what the terminal showed, in its own time${noScript}`, async (context) => {
  if (noScript !== '') return context.skip()
  const began = performance.now()
  const command = `${process.execPath} ${main} replay shell.curfew --idle-limit 0.5 --speed 4`
  const { stdout } = await run('script', ['-qec', command, '/dev/null'], { cwd: day })
  expect(performance.now() - began).toBeGreaterThan(500)
  expect(stdout).toContain('\u001b[32mweb-1$\u001b[0m ecgo\b\u001b[K')
  // Neither title nor question reaches the terminal of who watches, and it is left as it was.
  expect(stdout).not.toContain('\u001b]0;')
  expect(stdout).not.toContain('\u001b[6n')
  expect(stdout.slice(stdout.indexOf('\u001b[?25h'))).toMatch(/Ended by the client\s*$/)
  const listed = await run('script', ['-qec', `${process.execPath} ${main} replay shell.curfew --list`, '/dev/null'], {
    cwd: day,
  })
  expect(listed.stdout).toContain('make deploy')
  expect(listed.stdout).not.toContain('ecgo')
})

/** Empty when there is such a program; else what to add to the name of a test. */
async function which(program: string): Promise<string> {
  return run(program, ['--version']).then(
    () => '',
    () => ` (cannot run: needs ${program})`,
  )
}
