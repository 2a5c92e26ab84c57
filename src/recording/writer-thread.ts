import { parentPort, workerData } from 'node:worker_threads'
import { DiskFiles } from './files.ts'
import { signWith, type ThreadKey } from './sign.ts'
import { RecordingWriter, type WriterSettings } from './writer.ts'
import type { Orders } from './writer-messages.ts'

// The entry of the recorder's thread; recordings.ts starts it.

export interface ThreadData {
  readonly folder: string
  readonly key: ThreadKey
  readonly settings: WriterSettings
}

if (parentPort !== null) run(workerData as ThreadData, parentPort)

function run({ folder, key, settings }: ThreadData, port: NonNullable<typeof parentPort>): void {
  const writer = new RecordingWriter({
    files: new DiskFiles(folder),
    sign: signWith(key),
    settings,
    report: (report) => port.postMessage(report, report.spares),
    monotonicMs: () => performance.now(),
    after: (delayMs, task) => void setTimeout(task, delayMs),
  })
  writer.watchFreeSpace()
  port.on('message', (orders: Orders) => writer.handle(orders))
}
