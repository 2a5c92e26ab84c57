/** How PostgreSQL's own suites are run, each into a folder with one output for each of its files. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import type { Route } from './route.ts'
import type { Tools } from './tools.ts'

export type Suite = 'regress' | 'isolation' | 'pipeline'
export const suites: readonly Suite[] = ['regress', 'isolation', 'pipeline']

/** The databases that the suites' own files name. */
export const databaseOf = { regress: 'regression', isolation: 'isolation_regression', pipeline: 'regression' } as const

export interface Outcome {
  /** What each file wrote, by its name. */
  readonly outputs: ReadonlyMap<string, Buffer>
  /** Files whose output is not what PostgreSQL's authors expect. */
  readonly unexpected: readonly string[]
  readonly tookS: number
}

/** @param work the same folder for every run: its name is in some outputs. */
export async function runSuite(suite: Suite, tools: Tools, route: Route, work: string): Promise<Outcome> {
  await route.renew()
  await rm(work, { recursive: true, force: true })
  await mkdir(join(work, 'results'), { recursive: true })
  // The server writes files there, too.
  for (const folder of [work, join(work, 'results')]) await chmod(folder, 0o777)
  const startedMs = performance.now()
  const outcome =
    suite === 'pipeline' ? await runPipeline(tools, route, work) : await runRegress(suite, tools, route, work)
  return { ...outcome, tookS: Math.round((performance.now() - startedMs) / 1000) }
}

async function runRegress(suite: 'regress' | 'isolation', tools: Tools, route: Route, work: string) {
  const input = join(tools.source, 'src/test', suite)
  const schedule = join(input, suite === 'regress' ? 'parallel_schedule' : 'isolation_schedule')
  const words = [`--inputdir=${input}`, `--outputdir=${work}`, `--dlpath=${tools.libraries}`, `--schedule=${schedule}`]
  const more = ['--use-existing', `--dbname=${route.database}`, '--max-concurrent-tests=20', '--bindir=']
  const log = join(work, 'run.log')
  await runProgram(tools[suite], [...words, ...more], route, log)
  const report = await readFile(log, 'utf8')
  const outputs = await readOutputs(join(work, 'results'))
  if (outputs.size === 0) throw new Error(`the suite did not run:\n${report}`)
  const failed = report.matchAll(/^(?:test)?\s+(\S+)\s+\.\.\. (?!ok)/gm)
  return { outputs, unexpected: [...failed].map((line) => line[1]!) }
}

async function runPipeline(tools: Tools, route: Route, work: string) {
  const { stdout } = await promisify(execFile)(tools.pipeline, ['tests'])
  const names = stdout.trim().split(/\s+/)
  const unexpected: string[] = []
  for (const name of names) {
    const log = join(work, 'results', `${name}.log`)
    const trace = join(work, 'results', `${name}.trace`)
    const status = await runProgram(
      tools.pipeline,
      ['-r', '700', '-t', trace, name, `dbname=${route.database}`],
      route,
      log,
    )
    if (status !== 0) unexpected.push(name)
    await writeFile(join(work, 'results', `${name}.out`), `${status}\n${await readFile(log, 'utf8')}`)
    await rename(trace, join(work, 'results', `${name}.trace.out`))
  }
  return { outputs: await readOutputs(join(work, 'results')), unexpected }
}

async function runProgram(program: string, args: readonly string[], route: Route, log: string): Promise<number | null> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...route.environment }
  const out = createWriteStream(log)
  await once(out, 'open')
  const child = spawn(program, args, { env, cwd: '/', stdio: ['ignore', out, out] })
  const [status] = (await once(child, 'exit')) as [number | null]
  out.destroy()
  return status
}

async function readOutputs(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.out')).toSorted()
  const read = names.map(async (name) => [basename(name, '.out'), await readFile(join(folder, name))] as const)
  return new Map(await Promise.all(read))
}
