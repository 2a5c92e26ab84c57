import { JsonBytes } from '../../recording/json-bytes.ts'
import type { Clock } from '../../kernel/time.ts'
import { quickJsonBytesMax } from './quick-client.ts'
import { Turns } from './turns.ts'

const readBytesMax = 64 * 1024

/** What all sessions of a listener use in turns. Nothing in the memory outlives the call that filled it. */
export class Scratch {
  /** To write lines of recordings in. */
  readonly json: JsonBytes = new JsonBytes(quickJsonBytesMax)
  /** What comes from targets is read into it. */
  readonly reads: Buffer = Buffer.allocUnsafeSlow(readBytesMax)
  readonly turns: Turns

  constructor(clock: Clock) {
    this.turns = new Turns(clock)
  }
}
