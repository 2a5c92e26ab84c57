// Goal: a job with nothing but its issuer's token reaches what it may by the CLI: prints a token for psql, keeps it in a private
// file, or goes on as a logged-in machine does, over ssh too. Method: the real CLI, gateway, issuer, psql and sshd.
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startSshTestGateway } from '../servers/ssh-gateway.ts'
import { gatewayAudience, startMachineIssuer, type MachineIssuerServer } from '../servers/machine-issuer.ts'

const isRoot = process.getuid?.() === 0
const main = join(import.meta.dirname, '../../src/main.ts')

let issuer: MachineIssuerServer
let gateway: TestGateway
let home: string
beforeAll(async () => {
  issuer = await startMachineIssuer()
  const start = isRoot ? startSshTestGateway : startTestGateway
  gateway = await start({
    configure: (config) => {
      config.machineIssuers = { ci: { issuer: issuer.issuer, audience: gatewayAudience } }
      const claims = { repository: 'org/shop' }
      config.machines = {
        'ci-report': { issuer: 'ci', claims, askedForBy: { groups: ['engineering'] } },
        'ci-other': { issuer: 'ci', claims: { ...claims, ref: 'x' } },
      }
      const reporting = { who: { machines: ['ci-report'] }, what: { roles: ['reporting'] } }
      config.bundles = [{ name: 'night', items: [{ resource: 'prod-db', role: 'reporting' }] }]
      const hosts = { who: { machines: ['ci-*'] }, what: { roles: ['open'] } }
      config.policies = [
        { name: 'reports of jobs', reason: 'optional', ...reporting, approval: 'none' },
        ...config.policies,
      ]
      if (isRoot) config.policies.push({ name: 'jobs on hosts', reason: 'optional', ...hosts, approval: 'none' })
    },
  })
  home = await mkdtemp(join(tmpdir(), 'curfew-job-'))
}, 60_000)
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
  await rm(home, { recursive: true })
})

function curfew(words: readonly string[], env: Record<string, string> = {}): Program {
  return new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: home, ...env } })
}

async function run(words: readonly string[], env: Record<string, string> = {}) {
  await using program = curfew(words, env)
  return await program.exited()
}

const at = () => ['--gateway', gateway.url.origin, '--ca', gateway.caFile]
const jobToken = (claims: object = {}) => issuer.sign({ repository: 'org/shop', ...claims })

test('a token is printed from a variable, a file or standard input, and psql takes it', async () => {
  const fromVariable = await run(['token', 'exchange', ...at()], { CURFEW_ISSUER_TOKEN: await jobToken() })
  expect(fromVariable).toMatchObject({ status: 0, stdout: expect.stringMatching(/^curfew_[\w-]{43}\n$/) })
  expect(fromVariable.stderr).toMatch(/^It lasts until 20.*, for: sessions sessions:read requests:read/)

  const file = join(home, 'job-token')
  await writeFile(file, `${await jobToken()}\n`)
  const fromFile = await run([
    'token',
    'exchange',
    ...at(),
    '--issuer-token-file',
    file,
    '--scope',
    'sessions',
    '--json',
  ])
  expect(JSON.parse(fromFile.stdout)).toMatchObject({ text: expect.stringMatching(/^curfew_/), scope: 'sessions' })

  await using typed = curfew(['token', 'exchange', ...at(), '--issuer-token-file', '-'])
  typed.send(await jobToken())
  typed.endInput()
  expect((await typed.exited()).stdout).toMatch(/^curfew_/)

  await gateway.gateway.access.ask((await gateway.gateway.identity.machines.byName('ci-report'))!, {
    ...{
      resource: 'prod-db',
      role: 'reporting',
      lengthMs: 60_000,
      reason: '',
      ticket: null,
      startsAt: null,
      origin: 'test',
    },
  })
  const password = fromVariable.stdout.trim()
  await using psql = gateway.psql({ user: 'reporting.token', password, commands: ['select 40 + 2'] })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: '42\n' })
})

test('a file for it is private, and the token is not printed', async () => {
  const out = join(home, 'own', 'token')
  const env = { CURFEW_ISSUER_TOKEN: await jobToken() }
  const done = await run(['token', 'exchange', ...at(), '--out', out, '--json'], env)
  expect(JSON.parse(done.stdout)).toEqual({ expiresAt: expect.any(String), scope: expect.any(String), file: out })
  expect((await stat(out)).mode & 0o777).toBe(0o600)
  expect(await readFile(out, 'utf8')).toMatch(/^curfew_[\w-]{43}\n$/)
})

test('kept as a login, it asks for access and says who it is', async () => {
  const env = { CURFEW_ISSUER_TOKEN: await jobToken() }
  const login = await run(['token', 'exchange', ...at(), '--login'], env)
  expect(login).toMatchObject({ status: 0, stdout: expect.stringMatching(/^You are ci-report until 20/) })
  expect((await run(['whoami'])).stdout).toMatch(/^ci-report\n/)
  const asked = await run(['request', 'prod-db', 'reporting', '--for', '2m', '--reason', 'nightly', '--wait'])
  expect(asked).toMatchObject({ status: 0, stdout: expect.stringMatching(/prod-db as reporting is approved until/) })
  if (isRoot) {
    expect((await run(['request', 'web-1', 'open', '--for', '2m'])).stdout).toContain('web-1 as open is approved')
    const ran = await run(['ssh', 'web-1', 'open', '--', 'echo out; exit 7'])
    expect(ran).toMatchObject({ status: 7, stdout: 'out\n', stderr: '' })
  }
  expect((await run(['logout'])).status).toBe(0)
  expect((await run(['grants'])).stderr).toContain('you are not logged in')
})

test('people ask for it from a terminal', async () => {
  const alice = { XDG_CONFIG_HOME: await loggedIn('alice') }
  const wish = ['prod-db', 'reporting', '--for', '1m', '--reason', 'a test', '--for-machine', 'ci-report']
  const asked = await run(['request', ...wish, '--json'], alice)
  expect(asked.stderr).toBe('')
  expect(JSON.parse(asked.stdout)).toMatchObject({
    ...{ state: 'approved', person: { displayName: 'ci-report' }, askedBy: { displayName: 'alice@shop.example' } },
  })
  expect((await run(['requests'], alice)).stdout).toMatch(/prod-db as reporting for ci-report +1 min/)
  const refused = await run(['request', ...wish.slice(0, -1), 'ci-other'], alice)
  expect(refused).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('You may not ask for access for this machine'),
  })
})

test('people ask for a bundle for it, from a terminal and on the page', async () => {
  const alice = { XDG_CONFIG_HOME: await loggedIn('alice') }
  const wish = ['request', '--bundle', 'night', '--for', '2m', '--reason', 'tonight', '--for-machine', 'ci-report']
  const asked = await run([...wish, '--json'], alice)
  expect(asked.stderr).toBe('')
  expect(JSON.parse(asked.stdout)).toMatchObject({ state: 'approved', person: { displayName: 'ci-report' } })
  const visitor = await gateway.visitor('alice')
  const page = async (path: string) => {
    const answer = await visitor.get(new URL(path, gateway.url))
    return `${answer.status} ${await answer.text()}`
  }
  expect(await page('/')).toContain('aria-label="Ask for night for ci-report"')
  expect(await page('/ask?bundle=night&onBehalfOf=ci-report')).toContain('for the machine ci-report')
  expect(await page('/ask?bundle=night&onBehalfOf=ci-other')).toMatch(/^403/)
})

test('operators lock it by its name', async () => {
  const olga = { XDG_CONFIG_HOME: await loggedIn('olga') }
  const locked = await run(['lock', '--machine', 'ci-report', '--reason', 'odd jobs'], olga)
  expect(locked.stdout).toBe('machine ci-report is locked.\n')
  const [id = ''] = /lock-\w+/.exec(locked.stderr) ?? []
  expect((await run(['unlock', id], olga)).status).toBe(0)
  expect((await run(['lock', '--machine', 'ci-reprot', '--reason', 'x'], olga)).stderr).toContain(
    'Did you mean "ci-report"?',
  )
})

async function loggedIn(login: 'alice' | 'olga'): Promise<string> {
  const folder = join(home, login)
  const person = await gateway.person(login)
  const { text } = await gateway.gateway.identity.tokens.make(person, { label: 'x', kind: 'cli', lengthMs: 3_600_000 })
  const session = { gateway: gateway.url.origin, ca: gateway.ca, token: text, person: login }
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  await mkdir(join(folder, 'curfew'), { recursive: true, mode: 0o700 })
  await writeFile(join(folder, 'curfew/session.json'), JSON.stringify({ ...session, expiresAt }), { mode: 0o600 })
  return folder
}

test.for<readonly [string, readonly string[], (token: string) => Record<string, string>, number, RegExp]>([
  ['no token', [], () => ({}), 2, /which token\?/],
  ['what is no token', [], () => ({ CURFEW_ISSUER_TOKEN: 'not a token' }), 2, /that is no token/],
  ['a file that is not there', ['--issuer-token-file', '/nowhere'], () => ({}), 1, /nowhere/],
  ['a forged token', [], () => ({ CURFEW_ISSUER_TOKEN: 'a.b.c' }), 1, /no JWT.*\(invalid_request\)/],
  [
    'another machine',
    ['--machine', 'ci-other'],
    (token) => ({ CURFEW_ISSUER_TOKEN: token }),
    1,
    /not a token of that machine/,
  ],
  ['too much', ['--scope', 'locks'], (token) => ({ CURFEW_ISSUER_TOKEN: token }), 1, /\(invalid_scope\)/],
  ['no such scope', ['--scope', 'lock'], (token) => ({ CURFEW_ISSUER_TOKEN: token }), 2, /There is no scope/],
])('%s is told in words', async ([, words, env, status, message]) => {
  const failed = await run(['token', 'exchange', ...at(), ...words], env(await jobToken()))
  expect(failed).toMatchObject({ status, stdout: '', stderr: expect.stringMatching(message) })
})
