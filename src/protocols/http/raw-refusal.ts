import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Fault } from '../../kernel/fault.ts'
import { problemOf, problemType } from '../../kernel/problem.ts'

// Refusals on connections of HTTP/1.1 for which there is no request that could be answered.

/** What Node's parser says of a head, as statuses; all else is a 400. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

const words: Readonly<Record<number, string>> = {
  408: 'The head of the request took too long.',
  413: 'The request has too much beside its content.',
  431: 'The head of the request is too large.',
}

/** Answers what Node's parser could not read, as far as nothing was answered yet, and ends the connection. */
export function refuseUnread(error: Error & { readonly code?: string }, socket: Socket): void {
  const { _httpMessage: answer } = socket as { readonly _httpMessage?: { readonly headersSent: boolean } | null }
  // Behind an answer that has begun it would be read as a part of that one.
  if (!socket.writable || error.code === 'ECONNRESET' || answer?.headersSent === true) {
    socket.destroy()
    return
  }
  const status = statuses[error.code ?? ''] ?? 400
  refuseRaw(socket, status, words[status] ?? 'The request could not be read.')
}

/** Writes a problem (RFC 9457) with this status, and ends the connection. */
export function refuseRaw(socket: Socket, status: number, message: string): void {
  const problem = problemOf(new Fault('PROTOCOL_VIOLATION', message), 'unread')
  const body = JSON.stringify({ ...problem, status })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ]
  // Written at once where it can be: whoever does not read is not waited for.
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy()
}
