import { Fault } from '../kernel/fault.ts'

/** Keys whose values are never written, whoever passes them by mistake. Ids such as `tokenId` are. */
const secretKey = /(password|passwd|secret|token|authorization|cookie|cookies|verifier|private_?key|assertion)$/i

const depthMax = 6
const entriesMax = 100

/** A copy that is safe to write into the log: secrets masked, errors with their causes, bounded in depth and width. */
export function printable(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`
  if (typeof value !== 'object' || value === null) return value
  if (depth >= depthMax) return '[deeper]'
  if (value instanceof Error) return printableError(value, depth)
  if ('toJSON' in value && typeof value.toJSON === 'function') return (value.toJSON as () => unknown)()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Map)
    return printableEntries(
      [...value.entries()].map(([key, one]) => [String(key), one]),
      depth,
    )
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, entriesMax).map((one) => printable(one, depth + 1))
  }
  return printableEntries(Object.entries(value), depth)
}

function printableEntries(entries: readonly (readonly [string, unknown])[], depth: number): object {
  return Object.fromEntries(
    entries
      .slice(0, entriesMax)
      .map(([key, value]) => [key, masks(key, value) ? '[redacted]' : printable(value, depth + 1)]),
  )
}

/** Counts and absences under such a name tell nothing. */
function masks(key: string, value: unknown): boolean {
  return secretKey.test(key) && value !== null && value !== undefined && !['number', 'boolean'].includes(typeof value)
}

/** Faults are foreseen, so where they were made does not matter; anything else needs its stack. */
function printableError(error: Error, depth: number): object {
  const { name, message, stack, cause } = error
  const code: unknown = 'code' in error ? error.code : undefined
  const inner = error instanceof AggregateError ? error.errors : undefined
  return {
    name,
    ...(code === undefined ? {} : { code }),
    message,
    ...(error instanceof Fault ? {} : { stack }),
    ...(cause === undefined ? {} : { cause: printable(cause, depth + 1) }),
    ...(inner === undefined ? {} : { errors: printable(inner, depth + 1) }),
  }
}
