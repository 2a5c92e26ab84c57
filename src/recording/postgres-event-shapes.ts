import { z } from 'zod'
import type { PostgresCode, PostgresEvents } from './postgres-events.ts'

const text = z.string()
const count = z.int().min(0)
const maybe = <Shape extends z.ZodType>(shape: Shape) => z.exactOptional(shape)
const statement = { sql: text, bytes: maybe(count), sha256: maybe(text) }
const report = { severity: text, sqlstate: text, message: text, detail: maybe(text) }
const answer = { n: count.nullable(), ms: z.number().nullable() }
const sent = { bytes: maybe(count), firstMs: maybe(z.number()) }
const bound = z.union([
  text,
  z.null(),
  z.object({ base64: text, bytes: maybe(count) }),
  z.object({ text, bytes: maybe(count), type: maybe(text) }),
])

/** A file can hold anything: what is read is checked before it is used. */
const shapes: { readonly [Code in PostgresCode]: z.ZodType<PostgresEvents[Code]> } = {
  q: z.object({ n: count, ...statement }),
  '+': z.object({ sql: text }),
  r: z.object({
    n: count.nullable(),
    columns: maybe(z.array(z.object({ name: text, type: maybe(text) }))),
    rows: z.array(z.array(bound)),
  }),
  t: z.object({ status: z.enum(['open', 'failed', 'idle']) }),
  p: z.object({ name: text, ...statement }),
  b: z.object({ portal: text, statement: text, values: z.array(bound), more: maybe(count) }),
  x: z.object({ n: count, portal: text, rows: z.int() }),
  f: z.object({ n: count, oid: count, argumentBytes: count }),
  c: z.object({ ...answer, ...sent, tag: text.nullable(), rows: count.nullable(), suspended: maybe(z.literal(true)) }),
  e: z.object({ ...answer, ...sent, ...report, rows: count }),
  n: z.object(report),
  cp: z.object({ direction: z.enum(['in', 'out', 'both']), bytes: count }),
  g: z.object({
    action: z.enum(['warn', 'ask', 'refuse']),
    rule: text.nullable(),
    about: text,
    question: maybe(text),
    answer: maybe(z.enum(['approved', 'refused', 'lapsed', 'given-up', 'failed'])),
    by: maybe(text),
    comment: maybe(text),
    waitedMs: maybe(count),
  }),
  k: z.object({ address: text }),
  m: z.object({ kind: z.enum(['notice', 'warning', 'cut']), text, code: maybe(text) }),
  s: z.object({ name: text, value: text }),
}

export type PostgresEvent = {
  readonly [Code in PostgresCode]: { readonly code: Code; readonly data: PostgresEvents[Code] }
}[PostgresCode]

/** @returns undefined for a code that this version does not know, or data of another shape. */
export function readPostgresEvent(code: string, data: unknown): PostgresEvent | undefined {
  if (!Object.hasOwn(shapes, code)) return undefined
  const read = shapes[code as PostgresCode].safeParse(data)
  return read.success ? ({ code, data: read.data } as PostgresEvent) : undefined
}
