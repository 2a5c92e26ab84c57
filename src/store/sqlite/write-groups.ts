import { hash } from 'node:crypto'
import { chainInput, chainStart } from '../../audit/chain.ts'
import { refusalOf, type Database } from './database.ts'
import type { Answer, Append, ChangeRow, Command, Refusal, Result, Step } from './messages.ts'

/** Bounds of what waits for one another's commit; under load this is what an acknowledgement may wait longer. */
const groupTransactionsMax = 128
const groupMsMax = 2

const nothing: Result = { rows: [], changes: 0 }

interface Head {
  readonly sequence: number
  readonly hash: string
}
interface Group {
  readonly begunMs: number
  /** What is answered once the commit is on the disk. */
  readonly waiting: Answer[]
}
interface Current {
  readonly transaction: number
  readonly headBefore: Head | undefined
  /** Set by its first failed step: from then on it can only be undone. */
  failed: Refusal | undefined
}

/**
 * Transactions that come close together share one commit: each is a savepoint of its own in one SQLite transaction.
 * They run one after the other; all answers that depend on the commit, refusals too, wait for it.
 */
export class WriteGroups {
  readonly #database: Database
  readonly #answer: (answer: Answer) => void
  readonly #changed: (changes: readonly ChangeRow[]) => void
  readonly #nowMs: () => number
  #group: Group | undefined
  #current: Current | undefined
  #head: Head | undefined
  #lastChange: number

  constructor(
    database: Database,
    lastChange: number,
    answer: (answer: Answer) => void,
    changed: (changes: readonly ChangeRow[]) => void,
    nowMs: () => number,
  ) {
    this.#database = database
    this.#lastChange = lastChange
    this.#answer = answer
    this.#changed = changed
    this.#nowMs = nowMs
  }

  run({ id, transaction, steps }: Command & { readonly kind: 'run' }): void {
    this.#answer(toAnswer(id, this.#perform(this.#enter(transaction), steps)))
  }

  end({ id, transaction, steps, keep }: Command & { readonly kind: 'end' }): void {
    const current = this.#enter(transaction)
    const outcome = keep ? this.#perform(current, steps) : nothing
    const undo = !keep || current.failed !== undefined
    const left = this.#leave(current, undo)
    const answer = toAnswer(id, left ?? outcome)
    if (this.#group === undefined) this.#answer(answer)
    else this.#group.waiting.push(answer)
    this.#current = undefined
  }

  /** Nothing else has come in: what is complete goes to the disk now. */
  settle(): void {
    if (this.#current === undefined) this.#commit()
  }

  #enter(transaction: number): Current {
    if (this.#current?.transaction === transaction) return this.#current
    if (this.#group !== undefined && groupIsFull(this.#group, this.#nowMs())) this.#commit()
    const failed = this.#begin()
    return (this.#current = { transaction, headBefore: this.#head, failed })
  }

  /** @returns why not, for example because another process has held the write lock for too long. */
  #begin(): Refusal | undefined {
    try {
      if (this.#group === undefined) {
        this.#database.exec('begin immediate')
        this.#group = { begunMs: this.#nowMs(), waiting: [] }
        this.#head = undefined // another process may have appended since
      }
      this.#database.exec('savepoint one')
      return undefined
    } catch (error) {
      return refusalOf(error)
    }
  }

  #perform(current: Current, steps: readonly Step[]): Result | Refusal {
    if (current.failed !== undefined) return current.failed
    try {
      let last = nothing
      for (const step of steps) last = step.kind === 'append' ? this.#append(step) : this.#database.run(step)
      return last
    } catch (error) {
      current.failed = refusalOf(error)
      if (!this.#database.inTransaction) this.#abandon(current.failed)
      return current.failed
    }
  }

  #append({ json }: Append): Result {
    const { sequence, hash: previous } = (this.#head ??= this.#readHead())
    const next: Head = { sequence: sequence + 1, hash: hash('sha256', chainInput(previous, sequence + 1, json)) }
    const sql = 'insert into audit (sequence, json, previous, hash) values (?, ?, ?, ?)'
    const result = this.#database.run({ sql, parameters: [next.sequence, json, previous, next.hash] })
    this.#head = next
    return result
  }

  #readHead(): Head {
    const sql = 'select sequence, hash from audit order by sequence desc limit 1'
    const row = this.#database.run({ sql, parameters: [] }).rows[0]
    return row === undefined
      ? { sequence: 0, hash: chainStart }
      : { sequence: Number(row['sequence']), hash: String(row['hash']) }
  }

  /** @returns why it could not be left as asked; undefined when it was. */
  #leave(current: Current, undo: boolean): Refusal | undefined {
    if (!this.#database.inTransaction) return current.failed
    try {
      if (undo) {
        this.#database.exec('rollback to one')
        this.#head = current.headBefore
      }
      this.#database.exec('release one')
      return undefined
    } catch (error) {
      const refusal = refusalOf(error)
      this.#rollback()
      this.#abandon(refusal)
      return refusal
    }
  }

  #commit(): void {
    if (this.#group === undefined) return
    const { waiting } = this.#group
    try {
      this.#database.exec('commit')
    } catch (error) {
      this.#rollback()
      this.#abandon(refusalOf(error))
      return
    }
    this.#group = undefined
    this.#tellChanges()
    for (const answer of waiting) this.#answer(answer)
  }

  #rollback(): void {
    if (this.#database.inTransaction) this.#database.exec('rollback')
  }

  /** The whole group is undone: nobody in it may believe otherwise. */
  #abandon(refusal: Refusal): void {
    const waiting = this.#group?.waiting ?? []
    this.#group = undefined
    this.#head = undefined
    for (const { id } of waiting) this.#answer({ id, refusal })
  }

  #tellChanges(): void {
    let changes: readonly ChangeRow[] = []
    try {
      changes = readChanges(this.#database, this.#lastChange)
    } catch {
      return // the commit stands; the poll, or the next commit, tells what it changed
    }
    this.#lastChange = changes.at(-1)?.number ?? this.#lastChange
    if (changes.length > 0) this.#changed(changes)
  }
}

function readChanges(database: Database, after: number): readonly ChangeRow[] {
  const sql = 'select number, json from changes where number > ? order by number'
  const { rows } = database.run({ sql, parameters: [after] })
  return rows.map((row) => ({ number: Number(row['number']), json: String(row['json']) }))
}

function groupIsFull({ begunMs, waiting }: Group, nowMs: number): boolean {
  return waiting.length >= groupTransactionsMax || nowMs - begunMs >= groupMsMax
}

function toAnswer(id: number, outcome: Result | Refusal): Answer {
  return 'rows' in outcome ? { id, result: outcome } : { id, refusal: outcome }
}
