import type { Compilable, Kysely } from 'kysely'
import { canonicalJson } from '../../audit/chain.ts'
import type { AuditEvent } from '../../audit/event.ts'
import type { Change } from '../../kernel/change.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { SqlState, SqlTx } from '../sql/sql-state.ts'
import type { Tables } from '../sql/tables.ts'
import { kyselyOver, toStatement } from './kysely-dialect.ts'
import type { Result, Statement, Step } from './messages.ts'
import type { DatabaseThread } from './thread.ts'

/** One transaction holds up all others; one that takes this long is stuck. */
const workMsMax = 10_000
/** So many transactions may follow one another before other events get a turn. */
const turnTransactionsMax = 32

export interface Threads {
  readonly writer: DatabaseThread
  readonly reader: DatabaseThread
  readonly searcher: DatabaseThread
}

/**
 * Runs transactions one after the other, in the order they came. The next begins when the work of the one before is
 * done, not when it is on the disk: so they can share a commit.
 */
export class Transactions implements SqlState {
  readonly db: Kysely<Tables>
  readonly search: Kysely<Tables>
  readonly #writer: DatabaseThread
  readonly #clock: Clock
  #tail: Promise<void> = Promise.resolve()
  #count = 0
  #closed = false

  constructor({ writer, reader, searcher }: Threads, clock: Clock) {
    this.#writer = writer
    this.#clock = clock
    this.db = kyselyOver((statement) => reader.read(statement))
    this.search = kyselyOver((statement) => searcher.read(statement))
  }

  async transact<T>(work: (tx: SqlTx) => Promise<T>): Promise<T> {
    if (this.#closed || !this.#writer.alive) throw new Fault('STORE_FAILED', 'The state is closed.')
    const done = await this.#turn()
    const transaction = new Transaction(this.#writer, (this.#count += 1))
    try {
      const value = await this.#within(work(transaction))
      const ended = transaction.end(true)
      done()
      await ended
      return value
    } catch (error) {
      const undone = transaction.end(false)
      done()
      // What made it fail may rest on transactions that are not on the disk yet: it is told once they are, and if they
      // never get there, that is told instead.
      await undone
      throw error
    }
  }

  /** Takes no new transactions; resolves when those that wait already have run. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#tail
  }

  /** Waits for its place in the queue. @returns what lets the next one go. */
  async #turn(): Promise<() => void> {
    const before = this.#tail
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#tail = promise
    await before
    if (this.#count % turnTransactionsMax === 0) await new Promise<void>((proceed) => setImmediate(proceed))
    return resolve
  }

  async #within<T>(work: Promise<T>): Promise<T> {
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    const timer = this.#clock.after(workMsMax, () => {
      reject(new Fault('STORE_FAILED', `A transaction was not done within ${workMsMax / 1000} s and was undone.`))
    })
    try {
      return await Promise.race([work, overdue])
    } finally {
      timer.cancel()
    }
  }
}

class Transaction implements SqlTx {
  readonly db: Kysely<Tables>
  readonly #writer: DatabaseThread
  readonly #number: number
  #waiting: Step[] = []
  #begun = false
  #over = false

  constructor(writer: DatabaseThread, number: number) {
    this.#writer = writer
    this.#number = number
    this.db = kyselyOver((statement) => this.#run(statement))
  }

  later(write: Compilable): void {
    this.#queue(toStatement(write.compile()))
  }

  async record(event: AuditEvent): Promise<void> {
    this.#queue({ kind: 'append', json: canonicalJson(event) })
  }

  async announce(change: Change): Promise<void> {
    this.#queue({
      kind: 'statement',
      sql: 'insert into changes (json) values (?)',
      parameters: [JSON.stringify(change)],
    })
  }

  /** Resolves when it is on the disk, or undone. Ends once; later calls do nothing. */
  async end(keep: boolean): Promise<void> {
    if (this.#over) return
    this.#over = true
    const steps = this.#waiting
    if (this.#begun || (keep && steps.length > 0)) await this.#writer.end(this.#number, steps, keep)
  }

  #queue(step: Step): void {
    this.#expectOpen()
    this.#waiting.push(step)
  }

  #run(statement: Statement): Promise<Result> {
    this.#expectOpen()
    const steps = [...this.#waiting, statement]
    this.#waiting = []
    this.#begun = true
    return this.#writer.run(this.#number, steps)
  }

  #expectOpen(): void {
    if (this.#over) throw new Error('the transaction is over; a step was not awaited')
  }
}
