import { BlockList } from 'node:net'
import { Secret } from '../kernel/secret.ts'
import { SecretFile } from './secret-file.ts'

/**
 * Where two checked values say something else, as paths into them: `listen.web.port`. Secrets are compared, and never
 * shown. What nobody can look into is another unless it is the same object.
 */
export function differences(before: unknown, after: unknown, path = ''): readonly string[] {
  const [one, other] = [plainOf(before), plainOf(after)]
  if (Object.is(one, other)) return []
  const [fields, others] = [fieldsOf(one), fieldsOf(other)]
  if (fields === undefined || others === undefined) return [path]
  if (Array.isArray(one) !== Array.isArray(other)) return [path]
  if (Array.isArray(one) && fields.size !== others.size) return [path]
  const names = [...new Set([...fields.keys(), ...others.keys()])]
  return names.flatMap((name) =>
    differences(fields.get(name), others.get(name), path === '' ? name : `${path}.${name}`),
  )
}

/** A value that shows what it says. */
function plainOf(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal()
  // Read again at each use: where it is from is all that it says.
  if (value instanceof SecretFile) return { file: value.file }
  if (value instanceof URL) return value.href
  if (value instanceof RegExp) return String(value)
  if (value instanceof BlockList) return value.rules
  if (isCondition(value)) return value.text
  return value
}

/** What it does follows from its text. */
function isCondition(value: unknown): value is { readonly text: string } {
  return typeof value === 'object' && value !== null && 'text' in value && 'evaluate' in value
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return undefined
  // What is left out and what is undefined say the same.
  return new Map(Object.entries(value).filter(([, inner]) => inner !== undefined))
}

/** What became of a list of things with names. */
export interface Changes {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
}

interface Named {
  readonly name: string
}

export function changesOf(before: readonly Named[], after: readonly Named[]): Changes {
  const [known, there] = [byName(before), byName(after)]
  return {
    added: after.map(({ name }) => name).filter((name) => !known.has(name)),
    removed: before.map(({ name }) => name).filter((name) => !there.has(name)),
    changed: after.flatMap((one) => {
      const old = known.get(one.name)
      return old === undefined || differences(old, one).length === 0 ? [] : [one.name]
    }),
  }
}

/** `after`, with what says the same as before being the same object. */
export function keepingSame<One extends Named>(before: readonly One[], after: readonly One[]): readonly One[] {
  const known = byName(before)
  return after.map((one) => {
    const old = known.get(one.name)
    return old !== undefined && differences(old, one).length === 0 ? old : one
  })
}

function byName<One extends Named>(all: readonly One[]): ReadonlyMap<string, One> {
  return new Map(all.map((one) => [one.name, one]))
}
