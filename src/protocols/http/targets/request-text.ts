import type { TargetRequest } from './target.ts'

/** Methods whose requests say that they have no body: RFC 9110 section 8.6 */
const expectBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** A name and a value (RFC 9110 sections 5.1 and 5.5); nothing in it ends the line. */
const headerLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/
// oxlint-disable-next-line no-control-regex
const misfitInValue = /[^\t\x20-\x7e\x80-\xff]/
const misfitInPath = /[^\x21-\x7e\x80-\xff]/

/**
 * The head of a request as it goes to a target over HTTP/1.1, in Latin-1. All that is in it was checked where it came from;
 * what would end a line is not written all the same.
 * @throws Error for a name, a value or a path that would make another request of it.
 */
export function requestText(request: TargetRequest): string {
  const { method, path } = request
  if (!token.test(method) || misfitInPath.test(path)) throw new Error('no request line')
  return `${method} ${path} HTTP/1.1\r\n${request.lines ?? requestLines(request)}`
}

/** All of the head but its first line. @throws Error for a name or a value that would make another request of it. */
export function requestLines({ method, host, headers, body, bodyBytes }: TargetRequest): string {
  if (misfitInValue.test(host)) throw new Error('no host')
  let text = `host: ${host}\r\nconnection: keep-alive\r\n`
  for (let index = 0; index < headers.length; index += 2) {
    const line = `${headers[index]}: ${headers[index + 1]}`
    if (!headerLine.test(line)) throw new Error('no header')
    text += `${line}\r\n`
  }
  if (body !== null && bodyBytes !== null && bodyBytes > 0) text += `content-length: ${bodyBytes}\r\n`
  else if (expectBody.has(method)) text += 'content-length: 0\r\n'
  return `${text}\r\n`
}
