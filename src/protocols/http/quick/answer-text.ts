import { STATUS_CODES } from 'node:http'
import type { RawHeaders } from '../targets/target.ts'

/** An answer over HTTP/1.1 as Node's server writes it, in Latin-1. @param headers without those of the hop. */
export function answerText(status: number, headers: RawHeaders, body: string): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  let isDated = false
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length === 4 && name.toLowerCase() === 'date') isDated = true
    text += `${name}: ${headers[index + 1]}\r\n`
  }
  // A gateway must say it where the target does not: RFC 9110 section 6.6.1
  if (!isDated) text += `Date: ${new Date().toUTCString()}\r\n`
  return `${text}Connection: keep-alive\r\n\r\n${body}`
}
