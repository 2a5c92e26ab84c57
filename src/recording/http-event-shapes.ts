import { z } from 'zod'
import type { RecordedEvent } from './format.ts'
import type { HttpBytes, HttpBytesCode, HttpCode, HttpEvents } from './http-events.ts'

const text = z.string()
const count = z.int().min(0)
const n = count
const ms = z.number().min(0)
const headers = z.array(z.tuple([text, text]))
const direction = z.enum(['up', 'down'])
const maybe = <Shape extends z.ZodType>(shape: Shape) => z.exactOptional(shape)

/** A file can hold anything: what is read is checked before it is used. */
const shapes: { readonly [Code in HttpCode]: z.ZodType<HttpEvents[Code]> } = {
  q: z.object({
    n,
    method: text,
    url: text,
    origin: text,
    version: z.enum(['1.0', '1.1', '2']),
    id: text,
    from: text,
    headers,
  }),
  s: z.object({ n, status: count, headers }),
  a: z.object({
    n,
    status: count,
    headers: maybe(headers),
    bytesUp: count,
    bytesDown: count,
    waitMs: maybe(ms),
    totalMs: ms,
    result: z.enum(['ok', 'client', 'target', 'gate', 'refused']),
    code: maybe(text),
    why: maybe(text),
    trailers: maybe(headers),
    address: maybe(text),
  }),
  u: z.object({ n, protocol: text, headers }),
  w: z.object({ n, messages: z.array(z.tuple([ms, direction, z.int().min(0).max(15), count])) }),
  bx: z.object({ n, direction, why: z.enum(['longer', 'type', 'ended']) }),
  m: z.object({ kind: z.enum(['warning', 'cut']), text, code: maybe(text) }),
}
const bytesShape = z.object({ n, direction, type: maybe(text), encoding: maybe(text) })

export type HttpEvent =
  | { readonly [Code in HttpCode]: { readonly code: Code; readonly data: HttpEvents[Code] } }[HttpCode]
  | { readonly code: HttpBytesCode; readonly data: HttpBytes[HttpBytesCode]; readonly bytes: Buffer }

/** @returns undefined for a code that this version does not know, or data of another shape. */
export function readHttpEvent({ code, data, bytes }: Omit<RecordedEvent, 'seconds'>): HttpEvent | undefined {
  if (bytes !== undefined) return readBytes(code, data, bytes)
  if (!Object.hasOwn(shapes, code)) return undefined
  const read = shapes[code as HttpCode].safeParse(data)
  return read.success ? ({ code, data: read.data } as HttpEvent) : undefined
}

function readBytes(code: string, data: unknown, bytes: Buffer): HttpEvent | undefined {
  if (code !== '=b') return undefined
  const read = bytesShape.safeParse(data)
  return read.success ? { code, data: read.data, bytes } : undefined
}
