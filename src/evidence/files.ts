import { isName } from './tar.ts'

/** One file of a bundle, before it is packed. */
export interface BundleFile {
  readonly name: string
  readonly sizeBytes: number
  /** Taken once, and as many as `sizeBytes`. */
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

const partBytesMax = 1024 * 1024
const partItemsMax = 2000

export function textFile(name: string, text: string): BundleFile {
  const bytes = Buffer.from(text, 'utf8')
  return { name, sizeBytes: bytes.length, bytes: [bytes] }
}

export function jsonFile(name: string, value: unknown): BundleFile {
  return textFile(name, `${JSON.stringify(value, null, 2)}\n`)
}

/**
 * Lines of JSON, in as many files as they need so that none must be held as a whole: `audit.jsonl`, `audit-2.jsonl`, …
 * Without any line: none.
 */
export async function* lineFiles(name: string, lines: AsyncIterable<unknown>): AsyncGenerator<BundleFile> {
  let [part, text, items] = [1, '', 0]
  for await (const line of lines) {
    text += `${JSON.stringify(line)}\n`
    items += 1
    if (text.length < partBytesMax && items < partItemsMax) continue
    yield textFile(partName(name, part), text)
    ;[part, text, items] = [part + 1, '', 0]
  }
  if (items > 0) yield textFile(partName(name, part), text)
}

/** `audit.jsonl`, then `audit-2.jsonl`, … */
export function partName(name: string, part: number): string {
  const dot = name.lastIndexOf('.')
  return part === 1 ? name : `${name.slice(0, dot)}-${part}${name.slice(dot)}`
}

/** The folder of one session's recording. */
export function recordingFolder(session: string): string {
  const folder = `recordings/${session}`
  if (!isName(`${folder}/x`)) throw new RangeError(`no id of a session: ${session}`)
  return folder
}
