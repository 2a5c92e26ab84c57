import type { Clock } from '../../../kernel/time.ts'
import type { Recorder } from '../../../recording/recorder.ts'

/** What every tap that records needs. */
export interface TapOptions {
  readonly ch: number
  readonly recorder: Recorder
  readonly clock: Clock
  /** The role says that input is recorded. */
  readonly recordInput: boolean
}
