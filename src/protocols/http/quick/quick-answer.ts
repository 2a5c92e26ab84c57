import { STATUS_CODES } from 'node:http'
import { keepAliveHint } from '../exchange.ts'
import { towardsClient, type ClientFacts } from '../forward-headers.ts'
import { recordedHeaders } from '../recorded-parts.ts'
import type { RawHeaders } from '../targets/target.ts'
import { quickLengthOf } from './quick-length.ts'

export interface AnswerTo {
  readonly method: string
  readonly clientFacts: ClientFacts
  readonly corsHeaders: RawHeaders
  /** Names of headers that are recorded besides the usual ones. */
  readonly recordedNames: ReadonlySet<string>
}

/** What the head of a target's answer becomes for one client; nothing in it depends on when, or on the body. */
export class QuickAnswer {
  readonly status: number
  readonly bodyBytes: number
  /** JSON of what is recorded of its headers. */
  readonly recorded: string
  readonly #method: string
  readonly #headers: RawHeaders
  readonly #isDated: boolean
  /** The status line and all headers but those of the gateway itself. */
  #lines: string
  /** All of the head, if it came before and is always the same. */
  #whole: string | null = null

  /** @returns null for an answer that is large, or of unknown size: that does not go the quick way. */
  static of(status: number, headers: RawHeaders, to: AnswerTo): QuickAnswer | null {
    const bodyBytes = quickLengthOf(to.method, status, headers)
    return bodyBytes === null ? null : new QuickAnswer(status, headers, bodyBytes, to)
  }

  private constructor(status: number, headers: RawHeaders, bodyBytes: number, to: AnswerTo) {
    const forClient = towardsClient(headers, to.clientFacts)
    this.status = status
    this.bodyBytes = bodyBytes
    this.recorded = JSON.stringify(recordedHeaders(headers, to.recordedNames))
    this.#method = to.method
    this.#headers = headers
    this.#isDated = isDated(forClient)
    this.#lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n${linesOf(forClient)}${linesOf(to.corsHeaders)}`
  }

  /** Whether it is what becomes of this head, too. @param headers the same object, as heads that were known have. */
  is(method: string, headers: RawHeaders): boolean {
    if (this.#headers !== headers || this.#method !== method) return false
    if (this.#isDated) this.#whole ??= flat(this.#lines + hints)
    return true
  }

  /** As Node's server writes it, in Latin-1. */
  text(warnings: RawHeaders, body: string): string {
    if (this.#whole !== null && warnings.length === 0) return this.#whole + body
    // A gateway must say it where the target does not: RFC 9110 section 6.6.1
    const date = this.#isDated ? '' : `Date: ${new Date().toUTCString()}\r\n`
    return this.#lines + linesOf(warnings) + hintLines + date + connectionLines + body
  }
}

const hintLines = linesOf(keepAliveHint)
const connectionLines = 'Connection: keep-alive\r\n\r\n'
const hints = hintLines + connectionLines

function linesOf(headers: RawHeaders): string {
  let text = ''
  for (let index = 0; index < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`
  return text
}

function isDated(headers: RawHeaders): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]!.length === 4 && headers[index]!.toLowerCase() === 'date') return true
  }
  return false
}

/** In one piece: what was put together would be put together anew with each answer. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
