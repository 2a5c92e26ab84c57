import { once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { buffersOf } from './line-parts.ts'
import type { ThreadData } from './writer-thread.ts'
import type { Orders, Report } from './writer-messages.ts'

/** The recorder's thread, seen from the main one. */
export interface WriterThread extends AsyncDisposable {
  post(orders: Orders): void
  /** Resolves when everything asked for is on disk after `finish`, or the thread is gone. */
  readonly finished: Promise<void>
  /** Resolves when the thread is gone, with why. */
  readonly ended: Promise<Error>
}

export async function startWriterThread(data: ThreadData, onReport: (report: Report) => void): Promise<WriterThread> {
  // Sources run as .ts; the published package holds .js.
  const entry = new URL(`./writer-thread${path.extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(entry, { workerData: data, name: 'recordings', execArgv: [] })
  const finished = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Error>()
  worker.on('message', (report: Report) => {
    onReport(report)
    if (report.finished) finished.resolve()
  })
  worker.on('error', (error) => ended.resolve(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', (code) => {
    ended.resolve(new Error(`the thread that writes recordings ended (${code})`))
    finished.resolve()
  })
  await Promise.race([once(worker, 'online'), ended.promise.then((error) => Promise.reject(error))])
  return {
    post: (orders) =>
      worker.postMessage(
        orders,
        orders.lines.flatMap(({ parts }) => buffersOf(parts)),
      ),
    finished: finished.promise,
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      await worker.terminate()
    },
  }
}
