import { setImmediate as nextTurn } from 'node:timers/promises'
import { startRecordings } from './support.ts'

// Records until it is killed; prints how many events are known to be on disk. Its folder is the first argument.
const { recordings } = await startRecordings(process.argv[2]!, { unsavedMsMax: 20, unsavedBytesMax: 4000 })
const { recorder } = await recordings.start({ session: 'session-killed' }, 'strict', () => process.exit(9))
for (let n = 1; ; n++) {
  recorder.event('q', { n, sql: `select ${Math.random()}` })
  if (!recorder.full) await nextTurn()
  else {
    await recorder.drained()
    // Below this bound everything older is on disk.
    process.stdout.write(`${n - 200}\n`)
  }
}
