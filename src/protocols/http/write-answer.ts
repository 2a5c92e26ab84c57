import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { HttpResponse } from './front.ts'
import type { RequestHead } from './request-head.ts'
import type { RawHeaders } from './targets/target.ts'

// What differs between HTTP/1.1 and HTTP/2 in writing an answer, and in breaking it off.

/** Both kinds take names and values in turn; HTTP/2's overwrites repeated names, so it gets them together. */
export function writeHead(
  response: HttpResponse,
  status: number,
  headers: RawHeaders,
  { version, whole }: { readonly version: RequestHead['version']; readonly whole: boolean },
): void {
  if (version !== '2') {
    ;(response as ServerResponse).writeHead(status, fileNameFirst(headers) as string[])
    return
  }
  const { stream } = response as Http2ServerResponse
  // In one frame, as it came: gRPC tells an answer that is only a head from one whose body is empty. Ended behind
  // `writeHead` it would be two.
  if (whole) stream.respond({ ...asRecord(headers), ':status': status }, { endStream: true })
  else (response as Http2ServerResponse).writeHead(status, asRecord(headers))
}

/**
 * Behind a Content-Length, Node takes the value of a Content-Disposition for UTF-8 and writes it as Latin-1: another name of
 * the file, or none that it can write. Before one, the bytes stay as they are.
 */
function fileNameFirst(headers: RawHeaders): RawHeaders {
  for (let index = 2; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length !== 19 || name.toLowerCase() !== 'content-disposition') continue
    return [name, headers[index + 1]!, ...headers.slice(0, index), ...headers.slice(index + 2)]
  }
  return headers
}

/** HTTP/2's has it, too; its types do not say so. */
export function flushHead(response: HttpResponse): void {
  ;(response as ServerResponse).flushHeaders()
}

/** @param last all of the body, or null for none that was not written yet. */
export function endWith(response: HttpResponse, last: Buffer | null, version: RequestHead['version']): void {
  if (last === null) (response as ServerResponse).end()
  // As text that means the same bytes it makes one piece with the head, which is written at once.
  else if (version === '2') (response as Http2ServerResponse).end(last)
  else (response as ServerResponse).end(last.toString('latin1'), 'latin1')
}

export function asRecord(headers: RawHeaders): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase()
    const before = record[name]
    if (before === undefined) record[name] = headers[index + 1]!
    else record[name] = [...(Array.isArray(before) ? before : [before]), headers[index + 1]!]
  }
  return record
}

/** An answer that began and will not be whole: nobody may take it for one that is. */
export function abort(response: HttpResponse, version: RequestHead['version']): void {
  if (version === '2') return (response as Http2ServerResponse).stream.close(cancelCode)
  const { socket } = response as ServerResponse
  if (version === '1.0') reset(socket)
  socket?.destroy()
}

/**
 * Over HTTP/1.0 a connection that is closed is the end of an answer of unknown length; one that breaks is not. Only the
 * socket below TLS can be reset, and Node does not show it otherwise.
 */
function reset(socket: Socket | null): void {
  const { _parent: below } = (socket ?? {}) as { readonly _parent?: Socket }
  below?.resetAndDestroy()
}

/** CANCEL: "no longer needed". RFC 9113 section 7 */
const cancelCode = 0x8

/** In bytes: values are Latin-1, and a socket writes text as UTF-8. */
export function upgradeHead(protocol: string, headers: RawHeaders): Buffer {
  let head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return Buffer.from(`${head}\r\n`, 'latin1')
}
