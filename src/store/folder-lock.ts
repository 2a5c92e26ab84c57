import { join } from 'node:path'
import { Fault } from '../kernel/fault.ts'
import { holdFile } from './sqlite/database.ts'

/**
 * One data folder serves one gateway. A second one would take the first one's live sessions for left-overs.
 * @throws Fault STORE_FAILED when another process has it.
 */
export function lockFolder(folder: string): Disposable {
  const lock = holdFile(join(folder, 'gateway.lock'))
  if (lock !== undefined) return lock
  throw new Fault('STORE_FAILED', `Another gateway runs on ${folder}.`, {
    hint: 'Stop it first, or give this one a data folder of its own (gateway.data).',
  })
}
