import { extname } from 'node:path'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Fault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { ChangeRow, Command, Opening, Refusal, Reply, Result, Statement, Step, WorkerOptions } from './messages.ts'
import { refusalFault } from './refusals.ts'

/** Commands are sent at the end of the turn, or when so many have come together that the worker should begin. */
const outboxMax = 64

interface Pending {
  readonly resolve: (result: Result) => void
  readonly reject: (fault: Fault) => void
}

/** One worker thread with one SQLite connection, as the main thread sees it. */
export class DatabaseThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #log: Log
  readonly #pending = new Map<number, Pending>()
  readonly #exited: Promise<unknown>
  #outbox: Command[] = []
  #lastId = 0
  #lost: Fault | undefined
  #closing = false
  /** Called with what was committed since the last call, before the answers of that commit resolve. */
  onChanges: (changes: readonly ChangeRow[]) => void = () => {}

  /** @param log told when the thread ends without having been closed; then nothing works any more. */
  constructor(worker: Worker, log: Log) {
    this.#worker = worker
    this.#log = log
    this.#exited = once(worker, 'exit').catch(() => undefined) // its error arrives below
    worker.on('message', (reply: Reply) => this.#receive(reply))
    worker.on('error', (error) => this.#lose(error))
    worker.on('exit', () => this.#lose(undefined))
  }

  get alive(): boolean {
    return this.#lost === undefined
  }

  read(statement: Statement): Promise<Result> {
    return this.#send((id) => ({ id, kind: 'read', statement }))
  }

  run(transaction: number, steps: readonly Step[]): Promise<Result> {
    return this.#send((id) => ({ id, kind: 'run', transaction, steps }))
  }

  end(transaction: number, steps: readonly Step[], keep: boolean): Promise<Result> {
    return this.#send((id) => ({ id, kind: 'end', transaction, steps, keep }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost === undefined && !this.#closing) {
      this.#closing = true
      await this.#send((id) => ({ id, kind: 'close' })).catch(() => undefined) // lost meanwhile: gone as well
    }
    await this.#exited
  }

  #send(command: (id: number) => Command): Promise<Result> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    const id = (this.#lastId += 1)
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.#pending.set(id, { resolve, reject })
    // A next tick inside promise reactions comes when all of them have run: what belongs together goes together.
    if (this.#outbox.length === 0) process.nextTick(() => this.#flush())
    this.#outbox.push(command(id))
    if (this.#outbox.length >= outboxMax) this.#flush()
    return promise
  }

  #flush(): void {
    if (this.#outbox.length === 0 || this.#lost !== undefined) return
    this.#worker.postMessage(this.#outbox)
    this.#outbox = []
  }

  #receive({ answers, changes }: Reply): void {
    if (changes.length > 0) this.onChanges(changes)
    for (const answer of answers) {
      const pending = this.#pending.get(answer.id)
      this.#pending.delete(answer.id)
      if ('result' in answer) pending?.resolve(answer.result)
      else pending?.reject(refusalFault(answer.refusal))
    }
  }

  #lose(cause: unknown): void {
    if (this.#lost !== undefined) return
    const lost = this.#closing
      ? new Fault('STORE_FAILED', 'The state is closed.')
      : new Fault('STORE_FAILED', 'The state can no longer be read or written; the gateway must be restarted.', {
          cause,
        })
    this.#lost = lost
    if (!this.#closing) this.#log.error({ err: cause, pending: this.#pending.size }, 'a thread of the state has ended')
    for (const { reject } of this.#pending.values()) reject(lost)
    this.#pending.clear()
    this.#outbox = []
  }
}

/** @throws Fault STORE_FAILED when the file cannot be opened, or was written by a newer Curfew. */
export async function openThread(
  role: WorkerOptions['role'],
  file: string,
  log: Log,
): Promise<{ readonly thread: DatabaseThread; readonly lastChange: number }> {
  // Run from the sources it is worker.ts, run from the package worker.js.
  const url = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(url, {
    workerData: { role, file } satisfies WorkerOptions,
    name: `curfew-state-${role}`,
    execArgv: [],
  })
  const exited = once(worker, 'exit').then(() => cannotStart(new Error('the thread ended')))
  const [opening] = (await Promise.race([once(worker, 'message'), exited]).catch(cannotStart)) as [Opening]
  if (opening.kind === 'open') return { thread: new DatabaseThread(worker, log), lastChange: opening.lastChange }
  exited.catch(() => undefined) // it ends now because it could not open
  await worker.terminate()
  if (!opening.newer) throw unopened(file, opening.refusal)
  throw new Fault('STORE_FAILED', `A newer Curfew wrote the state in ${file}: ${opening.refusal.message}.`, {
    hint: 'Run the newer version, or restore the state from before the upgrade.',
  })
}

/** Nobody keeps a log yet, so that it must be said here. */
function unopened(file: string, { message }: Refusal): Fault {
  return new Fault('STORE_FAILED', `The state in ${file} could not be opened: ${message}.`, {
    hint: 'Check that the file, and those with its name and -wal and -shm, belong to the user that runs the gateway, and that the disk is not full. If it is damaged, put the backup back.',
  })
}

function cannotStart(cause: unknown): never {
  throw new Fault('STORE_FAILED', 'The state could not be opened.', { cause })
}
