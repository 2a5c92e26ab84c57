/**
 * `npm run test:suite -- --source FOLDER`: PostgreSQL's own test suites, twice straight and once through the gateway,
 * each against a fresh server. What the straight ways agree on, the gateway has to give, byte for byte.
 */
import { chmod, cp, mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { Recorded } from './recordings.ts'
import { openRoute, type Way } from './route.ts'
import { databaseOf, runSuite, suites, type Outcome, type Suite } from './suites.ts'
import { MissingTool, prepareTools, type Tools } from './tools.ts'

interface Options {
  readonly source: string
  readonly development: string
  readonly only?: Suite
  readonly guard?: true
  readonly keep?: string
}

const program = new Command('test:suite')
  .description("PostgreSQL's own test suites through the gateway, compared with the straight way")
  .requiredOption('--source <folder>', "PostgreSQL's source, of the version of Debian's server")
  .option('--development <folder>', 'where the files of postgresql-server-dev lie', '/')
  .addOption(new Option('--only <suite>', 'one of them').choices(suites))
  .option('--guard', 'the role has a guard that lets everything pass, and records rows')
  .option('--keep <folder>', 'gets the outputs that differ')
  .action(async (options: Options) => {
    try {
      process.exitCode = (await main(options)) ? 0 : 1
    } catch (error) {
      if (!(error instanceof MissingTool)) throw error
      program.error(error.message)
    }
  })
await program.parseAsync()

async function main({ source, development, only, guard, keep }: Options): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-suite-'))
  try {
    // The server's own account reads and writes in it.
    await chmod(folder, 0o755)
    const copied = join(folder, 'source')
    await copySource(resolve(source), copied)
    const tools = await prepareTools({ source: resolve(source), development: resolve(development), built: folder })
    let held = true
    for (const suite of only === undefined ? suites : [only]) {
      const way = guard === true ? 'guarded' : 'gateway'
      const differing = await compare({ suite, way, tools: { ...tools, source: copied }, folder, keep })
      held &&= differing.length === 0
    }
    return held
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The server reads the suite's data files, wherever the source itself lies. */
async function copySource(source: string, to: string): Promise<void> {
  for (const part of ['regress', 'isolation']) {
    await cp(join(source, 'src/test', part), join(to, 'src/test', part), { recursive: true }).catch(() => undefined)
  }
}

interface Comparison {
  readonly suite: Suite
  readonly way: Way
  readonly tools: Tools
  readonly folder: string
  readonly keep: string | undefined
}

/** @returns the files that differ through the gateway, of those that are the same twice on the straight way. */
async function compare({ suite, way, tools, folder, keep }: Comparison): Promise<readonly string[]> {
  const run = async (through: Way) => {
    await using route = await openRoute(through, databaseOf[suite])
    const outcome = await runSuite(suite, tools, route, join(folder, 'work'))
    const { outputs, unexpected, tookS } = outcome
    const other = unexpected.length === 0 ? 'all' : `all but ${unexpected.join(', ')}`
    say(`${suite}, ${through}: ${outputs.size} files, ${other} as PostgreSQL's authors expect them, ${tookS} s`)
    const recorded = await route.recorded()
    if (recorded !== undefined) sayRecorded(recorded)
    return outcome
  }
  const first = await run('straight')
  const through = await run(way)
  const second = await run('straight')
  const steady = [...first.outputs.keys()].filter((name) => isSame(first, second, name))
  const differing = steady.filter((name) => !isSame(first, through, name))
  const unsteady = [...first.outputs.keys()].filter((name) => !steady.includes(name))
  say(`${suite}: ${steady.length - differing.length} of ${steady.length} files are the same through the gateway`)
  if (unsteady.length > 0) say(`${suite}: not the same twice on the straight way: ${unsteady.join(', ')}`)
  if (differing.length > 0) say(`${suite}: differ through the gateway: ${differing.join(', ')}`)
  if (keep !== undefined) await keepOutputs(keep, { first, second, through }, [...differing, ...unsteady])
  return differing
}

function sayRecorded({ sessions, sealed, statements, errors, unanswered }: Recorded): void {
  const silent = [...unanswered.values()].reduce((sum, count) => sum + count, 0)
  const answered = `${statements} statements, ${errors} of them with an error, ${silent} without an answer`
  say(`  ${sealed} of ${sessions} recordings are sealed and verify; in them ${answered}`)
  for (const [sql, count] of unanswered) say(`    ${count} x ${sql.slice(0, 100).replaceAll('\n', ' ')}`)
}

function isSame(one: Outcome, other: Outcome, name: string): boolean {
  const [left, right] = [one.outputs.get(name), other.outputs.get(name)]
  return left !== undefined && right !== undefined && left.equals(right)
}

async function keepOutputs(keep: string, runs: Readonly<Record<string, Outcome>>, names: readonly string[]) {
  for (const [run, { outputs }] of Object.entries(runs)) {
    await mkdir(join(keep, run), { recursive: true })
    for (const name of names) await writeFile(join(keep, run, `${name}.out`), outputs.get(name) ?? '')
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
