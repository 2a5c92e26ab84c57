import * as z from 'zod'
import { closest } from '../kernel/closest.ts'
import { writePath, type ConfigPath, type Finding } from './problems.ts'
import { secretForm } from './schema-fields.ts'
import { configSchema } from './schema.ts'

type Issue = z.core.$ZodIssue

/** What the schema has to say, in words. @param value what was checked, to quote from. */
export function schemaFindings(issues: readonly Issue[], value: unknown): readonly Finding[] {
  if (value === null) return [emptyFile]
  const shape = configJsonSchema()
  const merges = issues.flatMap(mergeKeyIn)
  const others = issues.flatMap(withoutMergeKeys)
  return [
    ...new Map(merges.map((finding) => [writePath(finding.path), finding])).values(),
    ...others.flatMap((issue) => findingsOf(issue, value, shape)),
  ]
}

const emptyFile: Finding = {
  path: [],
  message: 'the file is empty',
  hint: 'Begin with a copy of config/production.yaml; docs/configuration.md has every key.',
}

/** The part of JSON Schema that zod writes for this schema. */
export interface JsonSchema {
  readonly type?: string
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | boolean
  readonly propertyNames?: JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  /** Told apart by the constant that each has for `kind`. */
  readonly oneOf?: readonly JsonSchema[]
}

/** The configuration file's JSON Schema, as it is typed (before defaults are filled in). */
export function configJsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema
}

function findingsOf(issue: Issue, value: unknown, shape: JsonSchema): readonly Finding[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  const input = at(value, path)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, value, shape))
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined)
    return [kindFinding(path, input, value, shape)]
  if (issue.code === 'invalid_union') return unionFindings(issue, path, input, value, shape)
  if (input === undefined && issue.code !== 'invalid_key') {
    return [{ path, message: 'got nothing', expected: expectedOf(issue), at: 'key', ...about(value, shape, path) }]
  }
  const name = issue.code === 'invalid_key' ? String(path.at(-1)) : input
  return [
    {
      path,
      message: `got ${issue.message === secretForm.error ? 'something else' : quote(name, path)}`,
      expected: expectedOf(issue),
      ...(issue.code === 'invalid_key' ? { at: 'key' as const } : {}),
      ...(issue.code === 'invalid_value' && typeof input === 'string' ? meant(input, issue.values.map(String)) : {}),
    },
  ]
}

function unknownKey(path: ConfigPath, key: string, value: unknown, shape: JsonSchema): Finding {
  const known = Object.keys(schemaAt(shape, value, path)?.properties ?? {})
  const hint = meant(key, known).hint ?? `Known here: ${known.join(', ')}.`
  return { path: [...path, key], message: 'there is no such key', at: 'key', hint }
}

function withoutMergeKeys(issue: Issue): readonly Issue[] {
  if (issue.path.includes('<<')) return []
  return issue.code === 'unrecognized_keys' ? [{ ...issue, keys: issue.keys.filter((key) => key !== '<<') }] : [issue]
}

/** YAML 1.2 has none: to it `<<` is a name as any other. */
function mergeKeyIn(issue: Issue): readonly Finding[] {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.filter((key) => key === '<<') : []
  const path = [...issue.path.map((step) => (typeof step === 'number' ? step : String(step))), ...unknown]
  const at = path.indexOf('<<')
  if (at < 0) return []
  const hint = `Write out what is to stand here, or use the alias for a whole value: ${path[at - 1] ?? 'KEY'}: *NAME`
  return [{ path: path.slice(0, at + 1), message: 'merge keys are not understood', at: 'key', hint }]
}

/** What kind of thing it is must be known before the rest can be checked. */
function kindFinding(path: ConfigPath, input: unknown, value: unknown, shape: JsonSchema): Finding {
  const branches = schemaAt(shape, value, path.slice(0, -1))?.oneOf ?? []
  const words = branches.map(({ properties }) => String(properties?.['kind']?.const))
  const expected = words.map((word) => `\`${word}\``).join(', ')
  if (input === undefined) return { path, message: 'got nothing', expected, at: 'key' }
  return {
    path,
    message: `got ${quote(input, path)}`,
    expected,
    ...(typeof input === 'string' ? meant(input, words) : {}),
  }
}

/** Of the branches of a union, the one that was meant: a map is checked as a map, anything else against the words. */
function unionFindings(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: ConfigPath,
  input: unknown,
  value: unknown,
  shape: JsonSchema,
): readonly Finding[] {
  const isMapping = typeof input === 'object' && input !== null && !Array.isArray(input)
  const branch = issue.errors.find((errors) => !errors.some((inner) => inner.path.length === 0 && isWrongKind(inner)))
  if (isMapping && branch !== undefined) {
    return branch.flatMap((inner) => findingsOf({ ...inner, path: [...path, ...inner.path] }, value, shape))
  }
  const expected = issue.errors.map((errors) => expectedOf(errors[0]!)).join(' or ')
  if (input === undefined) return [{ path, message: 'got nothing', expected, at: 'key', ...about(value, shape, path) }]
  return [{ path, message: `got ${quote(input, path)}`, expected }]
}

function isWrongKind(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value'
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

function expectedOf(issue: Issue): string {
  if (issue.message.startsWith('expected ')) return ownWords(issue.message)
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? issue.expected
    case 'invalid_value':
      return issue.values.map((word) => `\`${String(word)}\``).join(', ')
    case 'too_small':
      return bound('at least', Number(issue.minimum), issue.origin)
    case 'too_big':
      return bound('at most', Number(issue.maximum), issue.origin)
    case 'invalid_key':
      return expectedOf(issue.issues[0]!)
    case 'invalid_format':
      return issue.format === 'url' ? `an address that begins with ${urlSchemes(issue)}` : issue.message
    default:
      return issue.message
  }
}

function urlSchemes(issue: Issue): string {
  const source = 'pattern' in issue ? String(issue.pattern) : ''
  return source.includes('?') ? 'https:// or http://' : 'https://'
}

/** Messages of our schema begin with "expected". */
function ownWords(message: string): string {
  return message.replace(/^expected /, '')
}

function bound(relation: string, limit: number, origin: string): string {
  if (origin === 'string') return `${relation} ${limit} ${limit === 1 ? 'character' : 'characters'}`
  if (origin === 'array') return `${relation} ${limit} ${limit === 1 ? 'entry' : 'entries'}`
  return `a number of ${relation} ${limit}`
}

const secretKeys = new Set([
  'clientSecret',
  'password',
  'key',
  'credentials',
  'basic',
  'bearer',
  'header',
  'value',
  'url',
  'urls',
])

/** Short, and never what may be a secret that somebody typed into the file. */
function quote(value: unknown, path: ConfigPath): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (value === null) return 'nothing'
  if (typeof value === 'object') return Object.keys(value).length === 0 ? 'an empty map' : 'a map'
  if (secretKeys.has(String(path.at(-1)))) return 'something else'
  const text = JSON.stringify(value) ?? typeof value
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function meant(name: string, known: readonly string[]): { readonly hint?: string } {
  const [first] = closest(name, known)
  return first === undefined ? {} : { hint: `Did you mean \`${first}\`?` }
}

/** For what is missing: what it is for. */
function about(value: unknown, shape: JsonSchema, path: ConfigPath): { readonly hint?: string } {
  const description = schemaAt(shape, value, path)?.description
  return description === undefined ? {} : { hint: description }
}

function at(value: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, step)
        ? (inner as Record<string | number, unknown>)[step]
        : undefined,
    value,
  )
}

/** The schema of what stands at `path`; of a union, the branch that is meant. */
function schemaAt(shape: JsonSchema, value: unknown, path: ConfigPath): JsonSchema | undefined {
  let current: JsonSchema | undefined = mapping(shape, value)
  for (const [depth, step] of path.entries()) {
    if (typeof step === 'number') current = current?.items
    else if (current?.properties !== undefined) current = current.properties[step]
    else current = typeof current?.additionalProperties === 'object' ? current.additionalProperties : undefined
    if (current !== undefined) current = mapping(current, at(value, path.slice(0, depth + 1)))
  }
  return current
}

/** Of a union, the branch of the value's kind, or the one that is a map. */
function mapping(schema: JsonSchema, value: unknown): JsonSchema {
  const kind = at(value, ['kind'])
  return (
    schema.oneOf?.find((branch) => branch.properties?.['kind']?.const === kind) ??
    schema.anyOf?.find((branch) => branch.properties !== undefined) ??
    schema
  )
}
