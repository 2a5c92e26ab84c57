import type { Recorder } from '../../recording/recorder.ts'
import type { KnownSecrets } from './known-secrets.ts'
import type { Moment } from './moment.ts'
import type { Pending } from './pending.ts'
import { record } from './recording.ts'
import type { StatementBook } from './statement-book.ts'

/** What both directions know. */
export interface Shared {
  readonly recorder: Recorder
  readonly moment: Moment
  readonly pending: Pending
  readonly book: StatementBook
  /** What a server may quote in its answers to what it is asked now. */
  readonly secrets: KnownSecrets
  /** Rows of results are kept, so what they are must be known. */
  readonly keepsRows: boolean
  copy: { readonly direction: 'in' | 'out' | 'both'; bytes: number } | null
  /** `standard_conforming_strings` is off. */
  backslashes: boolean
  /** Status byte of the last ReadyForQuery. */
  transaction: number
}

export function noteParameter(shared: Shared, name: string, value: string): void {
  if (name === 'standard_conforming_strings') shared.backslashes = value === 'off'
  record(shared.recorder, 's', { name, value })
}
