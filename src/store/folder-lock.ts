import { join } from 'node:path'
import { Fault } from '../kernel/fault.ts'
import { holdFile } from './sqlite/database.ts'

/**
 * One data folder serves one gateway. A second one would take the first one's live sessions for left-overs.
 * @throws Fault STORE_FAILED when another process has it, or nothing can be written there.
 */
export function lockFolder(folder: string): Disposable {
  const lock = hold(folder)
  if (lock !== undefined) return lock
  throw new Fault('STORE_FAILED', `Another gateway runs on ${folder}.`, {
    hint: 'Stop it first, or give this one a data folder of its own (gateway.data).',
  })
}

function hold(folder: string): Disposable | undefined {
  try {
    return holdFile(join(folder, 'gateway.lock'))
  } catch (cause) {
    throw folderUnusable(folder, cause)
  }
}

/** The system's words about it stay in the cause. */
export function folderUnusable(folder: string, cause: unknown): Fault {
  return new Fault('STORE_FAILED', `The state cannot be kept in ${folder}.`, {
    cause,
    hint: 'Check that the folder of gateway.data exists, belongs to the user that runs the gateway with all that is in it, and is writable, and that its disk is not full.',
  })
}
