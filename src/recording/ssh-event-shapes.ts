import { z } from 'zod'
import type { RecordedEvent } from './format.ts'
import type { SshBytes, SshBytesCode, SshCode, SshEvents } from './ssh-events.ts'

const text = z.string()
const count = z.int().min(0)
const ch = count
const maybe = <Shape extends z.ZodType>(shape: Shape) => z.exactOptional(shape)
const size = { cols: count, rows: count }
const operations = [
  'read',
  'write',
  'list',
  'stat',
  'setstat',
  'mkdir',
  'rmdir',
  'remove',
  'rename',
  'copy',
  'symlink',
  'link',
  'readlink',
  'realpath',
  'extended',
] as const

const attributes = z.object({
  size: maybe(count),
  uid: maybe(count),
  gid: maybe(count),
  mode: maybe(text),
  times: maybe(z.tuple([count, count])),
})

/** A file can hold anything: what is read is checked before it is used. */
const shapes: { readonly [Code in SshCode]: z.ZodType<SshEvents[Code]> } = {
  ch: z.object({
    ch,
    kind: z.enum(['session', 'forward-local', 'forward-remote', 'agent']),
    to: maybe(text),
    from: maybe(text),
  }),
  pty: z.object({ ch, term: text, ...size }),
  env: z.object({ ch, name: text, value: text }),
  run: z.object({
    ch,
    what: z.enum(['shell', 'exec', 'subsystem']),
    command: maybe(text),
    bytes: maybe(count),
    sha256: maybe(text),
  }),
  r: z.object({ ch, ...size }),
  sig: z.object({ ch, name: text }),
  x: z.object({ ch, status: maybe(count), signal: maybe(text), message: maybe(text) }),
  f: z.object({
    ch,
    op: z.enum(operations),
    path: text,
    to: maybe(text),
    name: maybe(text),
    direction: maybe(z.enum(['up', 'down'])),
    bytes: maybe(count),
    names: maybe(count),
    set: maybe(attributes),
    count: maybe(count),
    sha256: maybe(text),
    result: text,
    ms: z.number(),
  }),
  lost: z.object({ ch, why: text }),
  fw: z.object({ address: text, action: z.enum(['listen', 'cancel']), ok: z.boolean() }),
  no: z.object({ what: text, why: text }),
  end: z.object({ ch, bytesUp: count, bytesDown: count, sha256Up: maybe(text) }),
  m: z.object({ kind: z.enum(['notice', 'warning', 'cut']), text, code: maybe(text) }),
}
const bytesShape = z.object({ ch })
const bytesCodes: Readonly<Record<SshBytesCode, true>> = { '=o': true, '=e': true, '=i': true }

export type SshEvent =
  | { readonly [Code in SshCode]: { readonly code: Code; readonly data: SshEvents[Code] } }[SshCode]
  | {
      readonly [Code in SshBytesCode]: { readonly code: Code; readonly data: SshBytes[Code]; readonly bytes: Buffer }
    }[SshBytesCode]

/** @returns undefined for a code that this version does not know, or data of another shape. */
export function readSshEvent({ code, data, bytes }: Omit<RecordedEvent, 'seconds'>): SshEvent | undefined {
  if (bytes !== undefined) return readBytes(code, data, bytes)
  if (!Object.hasOwn(shapes, code)) return undefined
  const read = shapes[code as SshCode].safeParse(data)
  return read.success ? ({ code, data: read.data } as SshEvent) : undefined
}

function readBytes(code: string, data: unknown, bytes: Buffer): SshEvent | undefined {
  if (!Object.hasOwn(bytesCodes, code)) return undefined
  const read = bytesShape.safeParse(data)
  return read.success ? { code: code as SshBytesCode, data: read.data, bytes } : undefined
}
