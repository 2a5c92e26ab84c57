/**
 * `npm run test:drivers`: drivers of other languages against a real PostgreSQL through the real gateway. It installs
 * nothing unless told `--prepare`. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { Program } from '../../test/clients/program.ts'
import { startTestGateway, type TestGateway } from '../../test/servers/gateway.ts'
import { startPostgres } from '../../test/servers/postgres.ts'
import { built, drivers, languages, type Driver, type Language } from './drivers.ts'

interface Options {
  readonly prepare?: true
  readonly only?: Language['name']
}

const runMsMax = 120_000

const program = new Command('test:drivers')
  .description('drivers of other languages through the gateway')
  .option('--prepare', 'first fetches what their lock files name, and compiles it')
  .addOption(new Option('--only <language>', 'one of them').choices(languages.map(({ name }) => name)))
  .action(async (options: Options) => {
    process.exitCode = (await main(options)) ? 0 : 1
  })
await program.parseAsync()

async function main({ prepare, only }: Options): Promise<boolean> {
  const wanted = languages.filter(({ name }) => only === undefined || name === only)
  await mkdir(built, { recursive: true })
  if (prepare === true) for (const language of wanted) prepareLanguage(language)
  const ready = wanted.filter((language) => isReady(language))
  if (ready.length === 0) return false
  await using postgres = await startPostgres({ debian: true, settings: { max_connections: 200 } })
  await using gateway = await startTestGateway({ postgres })
  let [passed, failed] = [0, wanted.length - ready.length]
  for (const driver of drivers.filter(({ language }) => ready.includes(language))) {
    const problems = await tryDriver(driver, gateway)
    say(`${problems.length === 0 ? '✔' : '✖'} ${driver.name}: ${driver.cases.length} cases`)
    for (const problem of problems) say(`    ${problem}`)
    passed += driver.cases.length - problems.length
    failed += problems.length
  }
  say(`${passed} passed, ${failed} failed`)
  return failed === 0
}

/** @throws Error when a command fails. */
function prepareLanguage({ name, prepare }: Language): void {
  for (const [command = '', ...args] of prepare) {
    const { status } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
    if (status !== 0) throw new Error(`${name} cannot be prepared: ${command} ended with ${status}`)
  }
}

function isReady({ name, programs, ready }: Language): boolean {
  const missing = programs.filter((one) => spawnSync('which', [one], { stdio: 'ignore' }).status !== 0)
  if (missing.length === 0 && existsSync(ready)) return true
  const why =
    missing.length > 0 ? `needs ${missing.join(', ')}` : 'is not prepared; run: npm run test:drivers -- --prepare'
  say(`✖ ${name} ${why}`)
  return false
}

/** @returns what went wrong. */
async function tryDriver(driver: Driver, gateway: TestGateway): Promise<readonly string[]> {
  const grant = await gateway.grant('alice', 'admin')
  const [command = '', ...args] = driver.command
  await using child = new Program(command, args, { env: await environment(gateway), waitMsMax: runMsMax })
  const end = async () => {
    await child.until(/^waiting$/m)
    await gateway.postgres.untilRunning('pg_sleep(60)', 1)
    await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  }
  const ending = end().catch(() => undefined) // its report lacks the case then
  const { stdout, stderr } = await child.exited()
  await ending
  return problemsOf(driver, stdout, stderr)
}

function problemsOf({ cases, farewells }: Driver, stdout: string, stderr: string): readonly string[] {
  const lines = stdout.split('\n')
  const failures = lines.filter((line) => line.startsWith('not ok '))
  const reported = lines.map((line) => /^(?:not )?ok ([^:]*)/.exec(line)?.[1])
  const absent = cases.filter((one) => !reported.includes(one)).map((one) => `${one}: no report; ${stderr.slice(-500)}`)
  const extra = reported
    .filter((one) => one !== undefined && !cases.includes(one))
    .map((one) => `${one}: not in the list`)
  const read = lines.filter((line) => /^read 57P01 .*handed back/.test(line)).length
  const unread =
    read === farewells
      ? []
      : [
          `the end: ${read} of ${farewells} read the reason: ${lines.filter((line) => line.startsWith('read ')).join('; ')}`,
        ]
  return [...failures, ...absent, ...extra, ...unread]
}

async function environment(gateway: TestGateway): Promise<Readonly<Record<string, string>>> {
  return {
    PGHOST: 'localhost',
    PGPORT: String(gateway.postgresPort),
    PGUSER: 'admin.token',
    PGPASSWORD: await gateway.token('alice'),
    PGDATABASE: 'prod-db',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: gateway.caFile,
    OTHER_CA: join(gateway.folder, 'target-ca.pem'),
    HOME: gateway.folder,
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
