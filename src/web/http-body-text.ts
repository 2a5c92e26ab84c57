import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress, constants } from 'node:zlib'
import { Readable } from 'node:stream'
import type { HttpBody } from '../recording/http-timeline.ts'

/** What a page shows of a body. */
export interface BodyText {
  readonly text: string
  /** There is more than is shown. */
  readonly cut: boolean
}

const shownBytesMax = 128 * 1024

/** The recorded part as text, decoded where it was encoded. @returns undefined for what is no text. */
export async function bodyText({ content, encoding }: HttpBody): Promise<BodyText | undefined> {
  const decoded = content === null ? undefined : await decode(content, encoding)
  if (decoded === undefined) return undefined
  const text = asText(decoded.bytes)
  return text === undefined ? undefined : { text, cut: decoded.cut }
}

interface Decoded {
  readonly bytes: Buffer
  readonly cut: boolean
}

async function decode(content: Buffer, encoding: string | null): Promise<Decoded | undefined> {
  const name = (encoding ?? '').trim().toLowerCase()
  if (name === '' || name === 'identity') {
    return { bytes: content.subarray(0, shownBytesMax), cut: content.length > shownBytesMax }
  }
  const make = Object.hasOwn(decoders, name) ? decoders[name as keyof typeof decoders] : undefined
  return make && (await firstBytes(content, make()))
}

// Only the beginning may be there: what can be decoded of it is shown.
const decoders = {
  gzip: () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  'x-gzip': () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ finishFlush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdDecompress({ finishFlush: constants.ZSTD_e_flush }),
} as const

/** A few bytes may decode to gigabytes: no more is made of them than is shown. */
async function firstBytes(content: Buffer, decoder: ReturnType<typeof createGunzip>): Promise<Decoded | undefined> {
  const parts: Buffer[] = []
  let length = 0
  try {
    for await (const part of Readable.from([content]).pipe(decoder) as AsyncIterable<Buffer>) {
      parts.push(part)
      length += part.length
      if (length > shownBytesMax) break
    }
  } catch {
    if (length === 0) return undefined // not what its header said, or cut before anything can be told
  }
  return { bytes: Buffer.concat(parts).subarray(0, shownBytesMax), cut: length > shownBytesMax }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
/** A character that the end cuts is at most so long. */
const characterBytesMax = 4

function asText(bytes: Buffer): string | undefined {
  if (bytes.includes(0)) return undefined
  for (let less = 0; less < characterBytesMax && less <= bytes.length; less++) {
    try {
      return utf8.decode(bytes.subarray(0, bytes.length - less))
    } catch {
      // cut inside a character, or no text at all: with less of it, it may be
    }
  }
  return undefined
}
