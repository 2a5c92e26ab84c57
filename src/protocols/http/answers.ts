import type { Fault } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import { challengeOf, problemOf, problemType } from '../../kernel/problem.ts'
import type { HttpRequest, HttpResponse } from './front.ts'
import { refusalPage, refusalPolicy } from './refusal-page.ts'

/** What the gate itself answers at an application's host. */
export interface Refusal {
  readonly fault: Fault
  readonly requestId: string
  /** Where the person can mend it: to sign in, ask, or look. */
  readonly link?: { readonly url: URL; readonly text: string } | undefined
  /** `Set-Cookie` and the like. */
  readonly headers?: readonly (readonly [string, string])[]
  /** Over HTTP/1.1: the connection cannot be used any more. */
  readonly close?: boolean
}

/** A body that nobody wants is thrown away for so long, so that its sender reads the answer; then the connection ends. */
const discardMs = 1000

/** Whether a person in front of a browser reads the answer: a page that is loaded, not a script's call. */
export function isForPeople({ headers, method }: HttpRequest): boolean {
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined && mode !== 'navigate') return false
  if (headers['x-requested-with'] !== undefined) return false
  return /\btext\/html\b/.test(headers.accept ?? '') && (method === 'GET' || method === 'HEAD' || mode === 'navigate')
}

/** A calm page for people, a problem (RFC 9457) for programs. @returns the status */
export function refuse(request: HttpRequest, response: HttpResponse, refusal: Refusal): number {
  const status = faultStatus[refusal.fault.code]
  if (refusal.close === true) response.setHeader('Connection', 'close')
  // Tokens open sessions here and do nothing else.
  const challenge = challengeOf(refusal.fault.code, status, 'sessions')
  if (challenge !== undefined) response.setHeader('WWW-Authenticate', challenge)
  if (isForPeople(request)) return answer(request, response, status, refusalPage(refusal), pageHeaders(refusal))
  const problem = problemOf(refusal.fault, refusal.requestId, refusal.link?.url)
  return answer(request, response, status, JSON.stringify(problem), problemHeaders(refusal))
}

/** Sends the browser elsewhere; only for GET and HEAD. */
export function redirect(
  request: HttpRequest,
  response: HttpResponse,
  to: string,
  headers: readonly (readonly [string, string])[] = [],
): number {
  return answer(request, response, 303, '', [...headers, ['Location', to], ['Referrer-Policy', 'no-referrer']])
}

export function answer(
  request: HttpRequest,
  response: HttpResponse,
  status: number,
  body: string,
  headers: readonly (readonly [string, string])[],
): number {
  if (response.headersSent || response.destroyed) return status
  for (const [name, value] of headers) {
    // oxlint-disable-next-line typescript/no-unsafe-call -- both kinds have it, with different overloads
    if (name === 'Set-Cookie')
      (response as { appendHeader(name: string, value: string): void }).appendHeader(name, value)
    else response.setHeader(name, value)
  }
  if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.statusCode = status
  ;(response as { end(body: string): void }).end(request.method === 'HEAD' ? '' : body)
  discardBody(request, response)
  return status
}

/** HTTP/1.1 only reads the answer's end when the request has been sent; a flood is not waited for. */
export function discardBody(request: HttpRequest, response: HttpResponse): void {
  if (request.complete || request.destroyed) return
  request.resume()
  const timer = setTimeout(() => {
    if (request.complete) return
    request.destroy()
    response.destroy()
  }, discardMs)
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
}

function problemHeaders({ headers = [], link }: Refusal): readonly (readonly [string, string])[] {
  return [
    ...headers,
    ['Content-Type', problemType],
    ...(link === undefined ? [] : ([['Link', `<${link.url.href}>; rel="help"`]] as const)),
  ]
}

function pageHeaders({ headers = [] }: Refusal): readonly (readonly [string, string])[] {
  return [
    ...headers,
    ['Content-Type', 'text/html; charset=utf-8'],
    ['Content-Security-Policy', refusalPolicy],
    ['Referrer-Policy', 'no-referrer'],
  ]
}

/** Names and values in turn, in pairs. */
export function pairs(headers: readonly string[]): readonly (readonly [string, string])[] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]!] as const] : []))
}
