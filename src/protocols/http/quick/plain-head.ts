import type { RequestHead } from '../request-head.ts'
import type { RawHeaders } from '../targets/target.ts'

/** One request as most programs write it: a request line, and the bytes behind it up to the end of the head. */
export interface PlainHead {
  readonly method: 'GET' | 'HEAD'
  /** Origin-form, as it came; also without quotation marks. */
  readonly path: string
  /** All header lines and the empty line, as they came. Programs send the same again and again. */
  readonly block: string
}

/** What a block of header lines says. */
export interface PlainFields {
  /** Lower-case, with its port if one was given. */
  readonly host: string
  /** Names and values in turn, as they came. */
  readonly rawHeaders: RawHeaders
  /** The same without Host. */
  readonly headers: RawHeaders
  /** Values by lower-case names; none comes twice. */
  readonly byName: Readonly<Record<string, string>>
}

export const headBytesMax: number = 8 * 1024
const fieldsMax = 64
const lineEnd = '\r\n'
const version = ' HTTP/1.1'
/** Visible characters but `"`, `#` and `\`: JSON and RFC 9112 section 3.2.1 mean the same by all of them. */
const plainPath = /^\/[\x21\x24-\x5b\x5d-\x7e]*$/
/** One space behind the colon, none at the end. Names of letters, digits and hyphens. */
const plainField = /^([0-9A-Za-z-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/
const plainHost = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::(\d{1,5}))?$/

/** With one of these a request may have a body, want another protocol, or more than one meaning. */
const unfit: ReadonlySet<string> = new Set([
  ...['content-length', 'transfer-encoding', 'trailer', 'te', 'expect', 'upgrade', 'http2-settings'],
  ...['keep-alive', 'proxy-connection', 'proxy-authorization', 'set-cookie'],
])

/**
 * Recognises a chunk that is one whole head of a GET or HEAD, and nothing else, in the strictest form of RFC 9112.
 * The header lines are not read yet: see `readPlainFields`.
 * @returns undefined for everything else: that is for Node's parser to read.
 */
export function splitPlainHead(chunk: Buffer): PlainHead | undefined {
  if (chunk.length > headBytesMax) return undefined
  const text = chunk.toString('latin1')
  const method = text.startsWith('GET ') ? 'GET' : text.startsWith('HEAD ') ? 'HEAD' : undefined
  if (method === undefined) return undefined
  const end = text.indexOf(lineEnd)
  const pathEnd = end - version.length
  if (pathEnd <= method.length || !text.startsWith(version, pathEnd)) return undefined
  const path = text.slice(method.length + 1, pathEnd)
  return plainPath.test(path) ? { method, path, block: text.slice(end + lineEnd.length) } : undefined
}

/** @returns undefined when any line is written in another way than the plain one, or means more than itself. */
export function readPlainFields(block: string): PlainFields | undefined {
  if (!block.endsWith('\r\n\r\n')) return undefined
  const rawHeaders: string[] = []
  const headers: string[] = []
  const byName: Record<string, string> = {}
  for (const line of block.slice(0, -2 * lineEnd.length).split(lineEnd)) {
    const field = plainField.exec(line)
    if (field === null || rawHeaders.length >= 2 * fieldsMax) return undefined
    const [, name, value] = field as unknown as [string, string, string]
    const lower = name.toLowerCase()
    if (unfit.has(lower) || Object.hasOwn(byName, lower)) return undefined
    if (lower === 'connection' && value.toLowerCase() !== 'keep-alive') return undefined
    byName[lower] = value
    rawHeaders.push(name, value)
    if (lower !== 'host') headers.push(name, value)
  }
  const host = hostIn(byName['host'] ?? '')
  return host === undefined ? undefined : { host, rawHeaders, headers, byName }
}

/** Undefined when it is not plainly one. */
function hostIn(value: string): string | undefined {
  const lower = value.toLowerCase()
  const shape = lower.length <= 255 ? plainHost.exec(lower) : null
  return shape === null || Number(shape[1] ?? 443) > 65_535 ? undefined : lower
}

/** As `readRequestHead` reads it. */
export function requestHeadOf({ method, path }: PlainHead, { host, headers }: PlainFields): RequestHead {
  const nothing = { bodyBytes: null, hasBody: false, upgrade: null, expectsContinue: false } as const
  return { method, path, host, headers, version: '1.1', ...nothing }
}
