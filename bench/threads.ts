import { readdirSync, readFileSync } from 'node:fs'

/** Processor time in seconds, by the names of threads (several may share one); `all` is their sum. */
export type ThreadSeconds = ReadonlyMap<string, number>

/** What the threads of a process have used, on Linux; with `before`, since then. Threads that have ended do not count. */
export function threadSecondsOf(processId: number, before: ThreadSeconds = new Map()): ThreadSeconds {
  const folder = `/proc/${processId}/task`
  const seconds = new Map<string, number>([['all', 0]])
  for (const thread of readdirSync(folder)) {
    const name = readFileSync(`${folder}/${thread}/comm`, 'utf8').trim()
    // Nanoseconds on a processor come first (Documentation/scheduler/sched-stats.rst).
    const used = Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9
    for (const each of ['all', name]) seconds.set(each, (seconds.get(each) ?? 0) + used)
  }
  return new Map([...seconds].map(([name, used]) => [name, used - (before.get(name) ?? 0)]))
}
