import type { TLSSocket } from 'node:tls'
import type { Field } from './smuggling-shapes.ts'

/** What a client library would never send: frames of HTTP/2 (RFC 9113 section 4), headers as literals (RFC 7541 section 6.2.2). */

export const frameTypes = {
  ...{ data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 },
} as const
const endStream = 0x1
const endHeaders = 0x4
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const frameBytesMax = 16_384

/** How the server ended the one stream. */
export interface RawAnswer {
  /** Null when none came. */
  readonly status: number | null
  readonly end: 'answered' | 'reset' | 'closed'
}

/** Sends one request on stream 1 of a new connection (ALPN `h2`) and reads until that is over. */
export async function requestRaw(socket: TLSSocket, fields: readonly Field[], body: string): Promise<RawAnswer> {
  socket.write(Buffer.concat([Buffer.from(preface, 'latin1'), frame(frameTypes.settings, 0, 0, Buffer.alloc(0))]))
  const block = Buffer.concat(fields.map(literal))
  const parts = Array.from({ length: Math.ceil(block.length / frameBytesMax) }, (_, index) =>
    block.subarray(index * frameBytesMax, (index + 1) * frameBytesMax),
  )
  for (const [index, part] of parts.entries()) {
    const flags = (index === parts.length - 1 ? endHeaders : 0) | (index === 0 && body === '' ? endStream : 0)
    socket.write(frame(index === 0 ? frameTypes.headers : frameTypes.continuation, flags, 1, part))
  }
  if (body !== '') socket.write(frame(frameTypes.data, endStream, 1, Buffer.from(body, 'latin1')))
  return readAnswer(socket)
}

async function readAnswer(socket: TLSSocket): Promise<RawAnswer> {
  let bytes = Buffer.alloc(0)
  let status: number | null = null
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk])
      for (let size = sizeOf(bytes); bytes.length >= size; size = sizeOf(bytes)) {
        const [kind, flags, stream] = [bytes[3]!, bytes[4]!, bytes.readUInt32BE(5)]
        const payload = bytes.subarray(9, size)
        bytes = bytes.subarray(size)
        if (kind === frameTypes.goAway || (kind === frameTypes.reset && stream === 1))
          return { status, end: kind === frameTypes.reset ? 'reset' : 'closed' }
        if (stream !== 1) continue
        if (kind === frameTypes.headers) status ??= statusOf(payload)
        if ((flags & endStream) !== 0 && (kind === frameTypes.headers || kind === frameTypes.data))
          return { status, end: 'answered' }
      }
    }
  } catch {
    // A connection that breaks is closed, too.
  }
  return { status, end: 'closed' }
}

function sizeOf(bytes: Buffer): number {
  return bytes.length < 9 ? Number.POSITIVE_INFINITY : 9 + bytes.readUIntBE(0, 3)
}

/** Node writes `:status` first: indexed (RFC 7541 appendix A, 8 to 14), or as a literal of that name, Huffman or not. */
function statusOf(block: Buffer): number {
  const first = block[0]!
  return first >= 0x88 && first <= 0x8e ? [200, 204, 206, 304, 400, 404, 500][first - 0x88]! : -1
}

export function frame(kind: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

function literal([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)])
}

/** A length of 7 bits and more (RFC 7541 section 5.1), then the bytes. */
function text(content: string): Buffer {
  const bytes = Buffer.from(content, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}
