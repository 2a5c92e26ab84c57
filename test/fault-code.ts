import { Fault } from '../src/kernel/fault.ts'

/** The code of the Fault that a step throws; what else it throws as text; undefined when it throws nothing. */
export function codeOf(step: () => unknown): string | undefined {
  try {
    step()
    return undefined
  } catch (error) {
    return error instanceof Fault ? error.code : String(error)
  }
}
