import { createServer } from 'node:net'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DemoFacts } from '../../scripts/demo/story.ts'
import { Program } from '../clients/program.ts'
import { startPsql } from '../clients/psql.ts'
import { Visitor } from '../clients/visitor.ts'

const main = new URL('../../scripts/demo/main.ts', import.meta.url).pathname

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
test('the demo says where everything is, and leaves nothing running', { timeout: 60_000 }, async () => {
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
  for (const port of ports) expect(await isOpen(port)).toBe(false)
})

// Goal: what the demo tells people to type does what it says.
// Method: stories 3 and 5 with the printed commands themselves; a Visitor is the browser.
test('the commands that it prints work', { timeout: 60_000 }, async () => {
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

// Goal: nothing outlives a demo that could not say goodbye, and what it made is used again until it is cleared.
// Method: SIGKILL to the demo, then to whoever started it; processes are looked up, and the authority that a browser
// was told to trust is compared from start to start.
test('killed or orphaned, it leaves nothing running but its data', { timeout: 90_000 }, async () => {
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

test('a folder with other things in it is never touched', { timeout: 30_000 }, async () => {
  await writeFile(join(folder, 'thesis.txt'), 'the only copy')
  await using demo = startDemo('--reset')
  expect(await demo.exited()).toMatchObject({ status: 1 })
  expect(demo.stderr).toMatch(/holds other things/)
  expect(await readdir(folder)).toEqual(['thesis.txt'])
})

test('an unknown option is refused with the help', { timeout: 30_000 }, async () => {
  await using demo = startDemo('--rest')
  expect(await demo.exited()).toMatchObject({ status: 2, stdout: '' })
  expect(demo.stderr).toMatch(/'--rest'[^]*--reset {8}clears/)
})

function startDemo(...args: string[]): Program {
  return new Program(process.execPath, [main, '--data', folder, ...args], { waitMsMax: 40_000 })
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
