/** ssh and sftp straight, over a jump host (`ssh -J`) and through the gateway with recording on, in interleaved rounds. */
import { execFile, spawn } from 'node:child_process'
import { readFile, writeFile, rm, statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { startSshStack, type SshStack, type Way } from './ssh-stack.ts'
import { median, rounded } from './statistics.ts'
import { threadSecondsOf, type ThreadSeconds } from './threads.ts'

const run = promisify(execFile)

export interface SshOptions {
  readonly megabytes: number
  readonly pairs: number
  readonly execs: number
  readonly atOnce: number
  readonly idle: number
  /** Part of a case's name; all without it. */
  readonly only?: string
}

interface Case {
  readonly name: string
  readonly unit: 'MB/s' | 'ms' | 's'
  /** What one run yields. */
  readonly measure: (way: Way) => Promise<number>
  /** Of what one run transfers. */
  readonly gigabytes?: number
}

interface Run {
  readonly value: number
  /** Of the gateway. */
  readonly seconds: ThreadSeconds
}

export async function* benchSsh(options: SshOptions): AsyncGenerator<object> {
  await using stack = await startSshStack()
  const file = await makeFile(options.megabytes)
  try {
    for (const one of cases(options, file).filter(({ name }) => name.includes(options.only ?? ''))) {
      yield* summaries(one, await interleaved(stack, one, options.pairs))
    }
    if (!'idle session'.includes(options.only ?? '')) return
    yield { bench: 'ssh', case: 'idle session', sessions: options.idle, ...(await idleMemory(stack, options.idle)) }
  } finally {
    await rm(file, { force: true })
  }
}

/** In memory, so that no disk is measured; it does not compress. */
async function makeFile(megabytes: number): Promise<string> {
  const folder = '/dev/shm'
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < (megabytes + 64) * 1e6) throw new Error(`${folder} has no room for ${megabytes} MB`)
  const file = join(folder, `curfew-bench-${process.pid}`)
  const piece = randomBytes(16e6)
  await writeFile(file, '')
  for (let written = 0; written < megabytes; written += 16) await writeFile(file, piece, { flag: 'a' })
  return file
}

function cases({ megabytes, execs, atOnce }: SshOptions, file: string): readonly Case[] {
  const rate = async (work: () => Promise<unknown>) => megabytes / ((await elapsedMs(work)) / 1000)
  const transfer = (name: string, command: (way: Way) => string): Case => ({
    ...{ name, unit: 'MB/s', gigabytes: megabytes / 1000 },
    measure: (way) => rate(() => sh(command(way))),
  })
  const sh = (text: string) => run('bash', ['-c', text], { maxBuffer: 1 << 20 })
  const ssh = ({ configFile }: Way) => `ssh -F ${configFile} bench`
  const sftp = ({ configFile }: Way, command: string) => `echo '${command}' | sftp -q -F ${configFile} -b - bench`
  const each = (way: Way) =>
    `seq ${execs} | xargs -P ${atOnce} -I{} sh -c '${ssh(way)} true || echo failed {}' | wc -l | grep -qx 0`
  return [
    transfer('download, every byte recorded', (way) => `${ssh(way)} 'cat ${file}' > /dev/null`),
    transfer('upload', (way) => `${ssh(way)} 'cat > /dev/null' < ${file}`),
    transfer('sftp get', (way) => sftp(way, `get ${file} /dev/null`)),
    transfer('sftp put', (way) => sftp(way, `put ${file} /dev/null`)),
    { name: 'connect, run true', unit: 'ms', measure: (way) => setUpMs(() => sh(`${ssh(way)} true`)) },
    {
      name: `${execs} execs, ${atOnce} at a time`,
      unit: 's',
      measure: async (way) => (await elapsedMs(() => sh(each(way)))) / 1000,
    },
  ]
}

async function setUpMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < 10; index++) times.push(await elapsedMs(work))
  return median(times)
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

async function interleaved({ ways, gateway }: SshStack, one: Case, pairs: number): Promise<Map<Way['name'], Run[]>> {
  const runs = new Map<Way['name'], Run[]>(ways.map(({ name }) => [name, []]))
  // The first round warms up and does not count: a gateway runs for weeks.
  for (let round = 0; round <= pairs; round++) {
    // Every other round runs backwards, so that drift of the machine falls on all alike.
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const before = threadSecondsOf(gateway.processId)
      const value = await one.measure(way)
      if (round > 0) runs.get(way.name)!.push({ value, seconds: threadSecondsOf(gateway.processId, before) })
    }
  }
  return runs
}

function* summaries({ name, unit, gigabytes }: Case, runs: Map<Way['name'], Run[]>): Generator<object> {
  for (const [way, list] of runs) {
    const values = list.map(({ value }) => value)
    const ratio = (other: Way['name']) =>
      rounded(median(values.map((one, index) => one / runs.get(other)![index]!.value)))
    yield {
      ...{ bench: 'ssh', case: name, way, [unit]: rounded(median(values), 1) },
      ...{ ofJump: ratio('jump'), ofStraight: ratio('straight') },
      ...(way === 'gateway' && gigabytes !== undefined && { secondsPerGB: perGigabyte(list, gigabytes) }),
      runs: values.map((one) => rounded(one, 1)).join(' '),
    }
  }
}

/** Processor time by thread, medians; what is next to nothing is left out. */
function perGigabyte(runs: readonly Run[], gigabytes: number): string {
  const names = new Set(runs.flatMap(({ seconds }) => [...seconds.keys()]))
  return [...names]
    .map((name) => ({ name, seconds: median(runs.map(({ seconds }) => (seconds.get(name) ?? 0) / gigabytes)) }))
    .filter(({ seconds }) => seconds >= 0.01)
    .map(({ name, seconds }) => `${name} ${rounded(seconds)}`)
    .join(', ')
}

/** How much the gateway grows by, for connections that do nothing (`ssh -N`). */
async function idleMemory({ ways, gateway }: SshStack, count: number) {
  const { configFile } = ways.find(({ name }) => name === 'gateway')!
  const before = await gateway.ask({ kind: 'usage' }, 'usage')
  const clients = Array.from({ length: count }, () =>
    spawn('ssh', ['-F', configFile, '-N', 'bench'], { stdio: 'ignore' }),
  )
  let after = before
  while (after.live < before.live + count) {
    await sleep(100)
    after = await gateway.ask({ kind: 'usage' }, 'usage')
  }
  await sleep(2000) // until what the handshakes left behind is collected
  after = await gateway.ask({ kind: 'usage' }, 'usage')
  const closed = clients.map((client) => new Promise((resolve) => client.once('exit', resolve)))
  for (const client of clients) client.kill()
  await Promise.all(closed)
  const handshakes = await readFile(`/proc/${gateway.processId}/status`, 'utf8')
  return {
    kibPerSession: rounded((after.rssBytes - before.rssBytes) / 1024 / count, 0),
    peakMib: rounded(Number(/VmHWM:\s+(\d+)/.exec(handshakes)?.[1]) / 1024, 0),
  }
}
