import type { Clock } from '../../kernel/time.ts'
import { JsonBytes } from '../../recording/json-bytes.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { ClientTap } from './client-tap.ts'
import type { FrameTap } from './frames.ts'
import { KnownSecrets } from './known-secrets.ts'
import { Moment } from './moment.ts'
import { Pending } from './pending.ts'
import { noteParameter, type Shared } from './shared-record.ts'
import { quickJsonBytesMax } from './quick-client.ts'
import { StatementBook } from './statement-book.ts'
import { TargetTap, type RowsKept } from './target-tap.ts'

/** Writes what passes between a client and its target into the recording. Decodes nothing else. */
export class Transcript {
  readonly client: FrameTap
  readonly target: FrameTap
  readonly #shared: Shared

  /**
   * @param kept what of results is kept; null: nothing.
   * @param json to write lines in; sessions may share it, as each line is finished at once.
   */
  constructor(
    recorder: Recorder,
    clock: Clock,
    kept: RowsKept | null = null,
    json: JsonBytes = new JsonBytes(quickJsonBytesMax),
  ) {
    const moment = new Moment(clock)
    const parts = {
      recorder,
      moment,
      pending: new Pending(moment),
      book: new StatementBook(),
      secrets: new KnownSecrets(),
    }
    this.#shared = { ...parts, keepsRows: kept !== null, copy: null, backslashes: false, transaction: 0x49 }
    this.client = new ClientTap(this.#shared, json)
    this.target = new TargetTap(this.#shared, kept, json)
  }

  parameter(name: string, value: string): void {
    noteParameter(this.#shared, name, value)
  }
}
