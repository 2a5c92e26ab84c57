import { createServer } from 'node:net'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DemoFacts } from '../../scripts/demo/story.ts'
import { Program } from '../clients/program.ts'
import { startPsql } from '../clients/psql.ts'
import { Terminal } from '../clients/terminal.ts'
import { Visitor } from '../clients/visitor.ts'

const main = new URL('../../scripts/demo/main.ts', import.meta.url).pathname

// sshd then also gives terminals wherever this runs.
const isRoot = process.getuid?.() === 0

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-demo-'))
})
afterEach(async () => {
  await untilNothingRuns(folder)
  await rm(folder, { recursive: true, force: true })
})

// Goal: a script can drive the demo by what it prints, and afterwards nothing of it is there.
// Method: the real command with the usual port taken, real requests, SIGTERM; then processes and ports are looked up.
test('the demo says where everything is, and leaves nothing running', { timeout: 120_000 }, async () => {
  await using taken = await takePort(8443)
  await using demo = startDemo('--json')
  const facts = await ready(demo)
  expect(demo.stdout.trim().split('\n')).toHaveLength(1)
  expect(demo.stderr).toBe('')
  expect(facts.web.port).not.toBe(taken.port)
  expect(facts.people.map((person) => person.kind)).toEqual(['engineer', 'approver', 'reviewer', 'operator'])
  expect((await fetch(new URL('/readyz', facts.ops.url))).status).toBe(200)
  await expectSignIn(facts)
  await expectShop(facts)
  await expectPrivate(join(folder, 'secrets'))

  demo.kill('SIGTERM')
  expect(await demo.exited()).toMatchObject({ status: 0, signal: null })
  await untilNothingRuns(folder)
  const ports = [facts.web.port, facts.postgres.port, Number(new URL(facts.ops.url).port), facts.target.port]
  ports.push(facts.ssh!.port, facts.ssh!.target.port)
  for (const port of ports) expect(await isOpen(port)).toBe(false)
})

// Goal: what the demo tells people to type does what it says.
// Method: stories 3 and 5 with the printed commands themselves; a Visitor is the browser.
test('the commands that it prints work', { timeout: 120_000 }, async () => {
  await using demo = startDemo('--json')
  const facts = await ready(demo)
  await using alice = new Visitor(await readFile(facts.caFile, 'utf8'))
  await alice.open(new URL('/sign-in', facts.web.url), 'alice')
  await logIn(facts, alice)
  const made = await runShell(`${facts.commands.curfew} token create --label reports --for 1h --json`)
  const password = /curfew_[\w-]{43}/.exec(made)![0]
  await alice.post(new URL('/ask', facts.web.url), { resource: 'prod-db', role: 'reporting', for: '1h', reason: '' })

  const psql = facts.commands.psql.replace('user=readonly', 'user=reporting.token')
  const rows = await runShell(`PGPASSWORD=${password} ${psql} -At -c 'select count(*) from monthly_revenue'`)
  expect(rows.trim()).toBe('27')
  const recording = await runShell(`ls ${facts.recordingsFolder}/*/*/*/*.curfew`)
  expect(await runShell(facts.commands.replay.replace('FILE', recording.trim()))).toContain('from monthly_revenue')
  await runShell(facts.commands.verify.replace('FILE', recording.trim()))
  await using sam = new Visitor(await readFile(facts.caFile, 'utf8'))
  await sam.open(new URL('/sign-in', facts.web.url), 'sam')
  await logIn(facts, sam)
  await runShell(facts.commands.auditVerify)
  demo.kill()
  expect(await demo.exited()).toMatchObject({ status: 0 })
})

// Goal: the story of ssh, as it is printed: sign-in and approval by links, a shell in the folder with the examples, then
// files without another sign-in, by the same key. Method: the printed commands in a real terminal; Visitors are browsers.
const atPrompt = /Connection to localhost closed\.\n\$$/

test.runIf(isRoot)('the ssh commands that it prints work', { timeout: 120_000 }, async () => {
  await using demo = startDemo('--json')
  const facts = await ready(demo)
  const { commands, target } = facts.ssh!
  await using agent = await startAgent()
  const home = join(folder, 'home')
  await mkdir(home)
  await using terminal = await Terminal.open(home, agent)
  const ca = await readFile(facts.caFile, 'utf8')
  await using alice = new Visitor(ca)
  await using bob = new Visitor(ca)

  await terminal.type(commands.shell)
  const link = new URL(await terminal.until(/(https:\S+\/s\/\S+)/))
  await alice.open(link, 'alice')
  await alice.post(link, { answer: 'confirm', remember: 'yes' })
  await terminal.until(/Reason:$/m)
  await terminal.type('the shop answers 502')
  await terminal.until(/How long\? \[2m\]/)
  await terminal.type('')
  const request = await terminal.until(/\/requests\/(\S+)/)
  await bob.open(new URL('/approvals', facts.web.url), 'bob')
  await bob.post(new URL(`/approvals/${request}`, facts.web.url), { verdict: 'approve', comment: '' })
  await terminal.until(/web-1 of the Curfew demo[^]*web-1:~/)
  await terminal.type('echo "in $(pwd)"; exit')
  expect(await terminal.until(/^in (.*)$/m)).toBe(target.home)
  await terminal.until(atPrompt) // what is typed before is read by ssh, and lost with it

  await terminal.type(commands.menu)
  await terminal.until(/web-1 +shell +active[^]*web-1 +files +needs nobody/)
  await terminal.type('q')
  await terminal.until(atPrompt)
  await terminal.type(commands.sftp)
  await terminal.until(/Reason \(optional\):$/m)
  await terminal.type('')
  await terminal.until(/How long\? \[1h\]/)
  await terminal.type('')
  await terminal.until(/sftp>$/)
  await terminal.type('ls shop')
  await terminal.until(/shop\/access\.log/)
  expect((await terminal.text()).match(/\/s\//g)).toHaveLength(1)
  demo.kill()
  expect(await demo.exited()).toMatchObject({ status: 0 })
})

// Goal: the story of access, as it is printed: two steps, more time, an emergency with its review, a bundle, evidence.
// Method: the CLI of the demo in a shell for each person; Visitors are their browsers.
test('what it tells about access works', { timeout: 120_000 }, async () => {
  await using demo = startDemo('--json')
  const facts = await ready(demo)
  const ca = await readFile(facts.caFile, 'utf8')
  await using alice = new Visitor(ca)
  await using bob = new Visitor(ca)
  await using olga = new Visitor(ca)
  await using sam = new Visitor(ca)
  for (const [one, login] of [
    [alice, 'alice'],
    [bob, 'bob'],
    [olga, 'olga'],
    [sam, 'sam'],
  ] as const) {
    await one.open(new URL('/sign-in', facts.web.url), login)
  }
  const curfew = async (words: string) => JSON.parse(await runShell(`${facts.commands.curfew} ${words} --json`))
  const approve = (one: Visitor, id: string) =>
    one.post(new URL(`/approvals/${id}`, facts.web.url), { verdict: 'approve', comment: '' })
  await logIn(facts, alice)

  const change = await curfew('request prod-db admin --ticket SHOP-7 --reason "mend invoices"')
  await approve(bob, change.id)
  await approve(olga, change.id)
  const first = await curfew('grants')
  expect(first).toMatchObject({ resource: 'prod-db', role: 'admin', state: 'active' })

  const more = await curfew('extend prod-db --for 2m --ticket SHOP-7 --reason "not done yet"')
  await approve(bob, more.id)
  await approve(olga, more.id)
  const longer = await curfew('grants')
  expect(Date.parse(longer.expiresAt) - Date.parse(first.expiresAt)).toBe(120_000)

  const emergency = await curfew('request prod-db admin --emergency --reason "the shop is down"')
  expect(emergency).toMatchObject({ state: 'approved', emergency: true })
  const bundle = await runShell(`${facts.commands.curfew} request --bundle first-day --reason "first day"`)
  expect(bundle).toMatch(/prod-db[^]*web-1[^]*board/)

  await curfew(`end ${emergency.grant.id}`)
  await logIn(facts, sam)
  const review = await curfew('reviews')
  await runShell(`${facts.commands.curfew} review ${review.id} --justified --comment "seen"`)
  const archive = join(folder, 'story.tar')
  await runShell(`${facts.commands.curfew} evidence ${change.id} -o ${archive}`)
  await runShell(`${facts.commands.curfew} verify ${archive} --key ${folder}/gateway/keys/public.jwks`)
  expect(await runShell(`${facts.commands.curfew} report without-a-human`)).toContain('reporting')
  demo.kill()
  expect(await demo.exited()).toMatchObject({ status: 0 })
})

// Goal: a machine without sshd gets the rest of the demo, whole, and is told what is missing.
// Method: a PATH without it; the printed story and the written configuration.
test('without sshd it says so and leaves web-1 out', { timeout: 120_000 }, async () => {
  await using demo = new Program(process.execPath, [main, '--data', folder], {
    env: { PATH: '/usr/bin:/bin' },
    waitMsMax: 40_000,
  })
  await demo.until(/Ctrl-C stops everything/)
  expect(demo.stdout).toContain('There is no sshd on this machine, so the SSH target, web-1, is left out.')
  expect(demo.stdout.match(/web-1/g)).toHaveLength(1)
  expect(demo.stdout).not.toContain('ssh -p')
  const configuration = await readFile(join(folder, 'curfew.yaml'), 'utf8')
  const settings = configuration.replaceAll(/^ *#.*$/gm, '')
  expect(settings).not.toMatch(/web-1|ssh|shell/i)
  expect(settings).toMatch(/prod-db:[^]*Engineers read production for a while/)
  demo.kill()
  expect(await demo.exited()).toMatchObject({ status: 0, stderr: '' })
})

// Goal: nothing outlives a demo that could not say goodbye, and what it made is used again until it is cleared.
// Method: SIGKILL to the demo, then to whoever started it; processes are looked up, and the authority that a browser
// was told to trust is compared from start to start.
test('killed or orphaned, it leaves nothing running but its data', { timeout: 150_000 }, async () => {
  await using killed = startDemo('--json')
  const { caFile } = await ready(killed)
  const ca = await readFile(caFile, 'utf8')
  killed.kill('SIGKILL')
  expect(await killed.exited()).toMatchObject({ signal: 'SIGKILL' })
  await untilNothingRuns(folder)

  await using second = startDemo('--json')
  await ready(second)
  expect(await readFile(caFile, 'utf8')).toBe(ca)
  await expectRefused()
  second.kill('SIGINT')
  expect(await second.exited()).toMatchObject({ status: 0 })

  await using starter = shell(`"${process.execPath}" "${main}" --json --reset --data "${folder}" & wait`)
  await ready(starter)
  expect(await readFile(caFile, 'utf8')).not.toBe(ca)
  starter.kill('SIGKILL')
  await untilNothingRuns(folder)
})

test('a folder with other things in it is never touched', { timeout: 60_000 }, async () => {
  await writeFile(join(folder, 'thesis.txt'), 'the only copy')
  await using demo = startDemo('--reset')
  expect(await demo.exited()).toMatchObject({ status: 1 })
  expect(demo.stderr).toMatch(/holds other things/)
  expect(await readdir(folder)).toEqual(['thesis.txt'])
})

test('an unknown option is refused with the help', { timeout: 60_000 }, async () => {
  await using demo = startDemo('--rest')
  expect(await demo.exited()).toMatchObject({ status: 2, stdout: '' })
  expect(demo.stderr).toMatch(/'--rest'[^]*--reset {8}clears/)
})

function startDemo(...args: string[]): Program {
  return new Program(process.execPath, [main, '--data', folder, ...args], { waitMsMax: 40_000 })
}

interface Agent extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>
}

/** An agent with one fresh key: ssh would otherwise offer those of whoever runs the test. */
async function startAgent(): Promise<Agent> {
  const [socket, key] = [join(folder, 'agent'), join(folder, 'key')]
  const agent = new Program('ssh-agent', ['-D', '-a', socket])
  const env = { SSH_AUTH_SOCK: socket }
  await agent.until(/SSH_AUTH_SOCK/)
  await runShell(`ssh-keygen -q -t ed25519 -N '' -f '${key}' && SSH_AUTH_SOCK='${socket}' ssh-add -q '${key}'`)
  return { env, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() }
}

async function logIn(facts: DemoFacts, browser: Visitor): Promise<void> {
  await using login = shell(facts.commands.login)
  const [link] = await login.until(/https:\S+\/s\/\S+/)
  await browser.post(new URL(link), { answer: 'confirm' })
  expect(await login.exited()).toMatchObject({ status: 0 })
}

function shell(command: string): Program {
  return new Program('/bin/sh', ['-c', command], { env: { HOME: folder, XDG_CONFIG_HOME: join(folder, 'config') } })
}

/** @returns what it wrote; it must succeed. */
async function runShell(command: string): Promise<string> {
  await using program = shell(command)
  const exit = await program.exited()
  expect(exit, `${command}\n${exit.stdout}${exit.stderr}`).toMatchObject({ status: 0 })
  return exit.stdout
}

async function ready(program: Program): Promise<DemoFacts> {
  const [line] = await program.until(/^\{.*\}$/m)
  return JSON.parse(line) as DemoFacts
}

/** Two demos do not share a folder, and least of all clears the one what the other uses. */
async function expectRefused(): Promise<void> {
  await using other = startDemo('--json', '--reset')
  expect(await other.exited()).toMatchObject({ status: 1, stdout: '' })
  expect(other.stderr).toMatch(/^A demo already runs with .* \(process \d+\)\. Stop it, or choose another folder/)
}

async function expectSignIn(facts: DemoFacts): Promise<void> {
  await using visitor = new Visitor(await readFile(facts.caFile, 'utf8'))
  const page = await visitor.open(new URL('/', facts.web.url), facts.people[0]!.login)
  expect(page).toMatchObject({ status: 200, body: expect.stringContaining('prod-db') })
}

async function expectShop({ target, caFile }: DemoFacts): Promise<void> {
  const password = (await readFile(join(target.passwordFolder, 'shop_readonly'), 'utf8')).trim()
  const where = { port: target.port, user: 'shop_readonly', database: target.database, password, caFile }
  await using psql = startPsql({ ...where, commands: ['select count(*) from invoices'] })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: '2400\n' })
}

async function expectPrivate(secrets: string): Promise<void> {
  const names = await readdir(secrets)
  expect(names.length).toBeGreaterThan(4)
  for (const name of names) expect((await stat(join(secrets, name))).mode & 0o077).toBe(0)
}

async function takePort(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer().listen(port, '127.0.0.1')
  // Taken by somebody else is taken, too.
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => undefined)
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false // refused: that is what is asked here
  } finally {
    socket.destroy()
  }
}

/** Everything that the demo starts names its data folder on its command line. */
async function untilNothingRuns(path: string): Promise<void> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const running = await commandsWith(path)
    if (running.length === 0) return
    if (performance.now() > deadline) throw new Error(`still running:\n${running.join('\n')}`)
    await sleep(20)
  }
}

async function commandsWith(path: string): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const commands = await Promise.all(
    // A process may end between the two calls.
    processes.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')),
  )
  return commands.filter((command) => command.includes(path)).map((command) => command.replaceAll('\0', ' '))
}
