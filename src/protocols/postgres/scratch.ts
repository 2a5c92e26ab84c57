import { JsonBytes } from '../../recording/json-bytes.ts'
import { quickJsonBytesMax } from './quick-client.ts'

const readBytesMax = 64 * 1024

/** Memory that all sessions of a listener use in turns: nothing in it outlives the call that filled it. */
export class Scratch {
  /** To write lines of recordings in. */
  readonly json: JsonBytes = new JsonBytes(quickJsonBytesMax)
  /** What comes from targets is read into it. */
  readonly reads: Buffer = Buffer.allocUnsafeSlow(readBytesMax)
}
