import { Agent, fetch, type Response } from 'undici'
import * as z from 'zod'
import { Fault, faultCodes } from '../kernel/fault.ts'
import type { FaultCode } from '../kernel/fault.ts'
import { readEnvironment } from '../config/environment.ts'
import { apiPath, oauthProblem, problem } from '../web/api-schema.ts'
import { CliProblem } from './problem.ts'
import { loginCommand } from './known-gateways.ts'
import { readSession, seemsOver } from './session-file.ts'
import { terminalLine } from './terminal-text.ts'
import type { CliSession } from './session-file.ts'

/** Calls to one gateway's API. Disposing closes its connections. */
export interface GatewayClient extends AsyncDisposable {
  /**
   * @param path below /api/v1.
   * @param waitMs for the answer, where it takes longer than most.
   * @returns the status and the body, checked.
   * @throws Fault as the gateway says; CliProblem when it cannot be reached or answers something else.
   */
  call<Schema extends z.ZodType>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    schema: Schema,
    body?: object,
    waitMs?: number,
  ): Promise<{ readonly status: number; readonly value: z.output<Schema> }>
  /** A form, answered as OAuth has it. @param path from the root. @throws as `call` does. */
  form<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    fields: Readonly<Record<string, string>>,
  ): Promise<z.output<Schema>>
  /** A file, piece by piece, however long it is. @param path below /api/v1. @throws as `call` does, also while it comes. */
  download(path: string): Promise<AsyncIterable<Uint8Array>>
  /** One public line. @param path from the root. @throws as `call` does. */
  line<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>>
}

/** Nobody answers there, or not in time; asked again, somebody may. */
export class Unreachable extends CliProblem {}

/** The gateway ended the session: somebody signed out, or the token was revoked. */
export class SessionEnded extends CliProblem {}

const callMsMax = 15_000
/** Until a file begins to come. */
const beginMsMax = 120_000
const answerBytesMax = 64 * 1024 * 1024

/** For the person who logged in. @throws CliProblem when nobody did. */
export async function openGateway(): Promise<{ readonly session: CliSession; readonly client: GatewayClient }> {
  const session = await readSession()
  const client = createGatewayClient(session)
  return { session, client }
}

/** Whom calls are made to, and by which session. */
type At = Pick<CliSession, 'gateway'> & Partial<Pick<CliSession, 'token' | 'expiresAt'>>

export function createGatewayClient(at: At & { readonly ca: string | null }): GatewayClient {
  const agent = new Agent({
    connect: { ...(at.ca === null ? {} : { ca: at.ca }), timeout: callMsMax },
    maxResponseSize: answerBytesMax,
  })
  // Of any length; a pause of five minutes ends it.
  const files = new Agent({ connect: { ...(at.ca === null ? {} : { ca: at.ca }), timeout: callMsMax } })
  const headers = {
    accept: 'application/json',
    'user-agent': 'curfew-cli',
    ...(at.token === undefined ? {} : { authorization: `Bearer ${at.token}` }),
  }
  const ask = (method: string, path: string, body?: object | URLSearchParams, waitMs = callMsMax) =>
    reach(at.gateway, async () => {
      const response = await fetch(new URL(path, at.gateway), {
        method,
        headers: body === undefined ? headers : { ...headers, 'content-type': typeOf(body) },
        body: body === undefined ? null : body instanceof URLSearchParams ? body.toString() : JSON.stringify(body),
        dispatcher: agent,
        redirect: 'error',
        signal: AbortSignal.timeout(waitMs),
      })
      return { status: response.status, ok: response.ok, text: await response.text() }
    })
  const begin = async (path: string) => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('it does not answer in time')), beginMsMax)
    try {
      const url = new URL(path, at.gateway)
      return await fetch(url, { headers, dispatcher: files, redirect: 'error', signal: late.signal })
    } finally {
      clearTimeout(timer)
    }
  }
  const checked = <Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> => {
    const parsed = schema.safeParse(answer)
    if (!parsed.success) throw notCurfew(at.gateway, parsed.error)
    return parsed.data
  }
  return {
    async call(method, path, schema, body, waitMs) {
      const { status, ok, text } = await ask(method, `${apiPath}${path}`, body, waitMs)
      const answer = parseJson(text)
      if (!ok) throw await refusal(status, answer, at)
      return { status, value: checked(schema, answer) }
    },
    async form(path, schema, fields) {
      const { status, ok, text } = await ask('POST', path, new URLSearchParams(fields))
      const answer = parseJson(text)
      if (!ok) throw await oauthRefusal(status, answer)
      return checked(schema, answer)
    },
    async line(path, schema) {
      const { status, ok, text } = await ask('GET', path)
      if (!ok) throw await refusal(status, parseJson(text))
      return checked(schema, text.trimEnd())
    },
    async download(path) {
      const response = await reach(at.gateway, () => begin(`${apiPath}${path}`))
      if (!response.ok) throw await refusal(response.status, parseJson(await response.text()), at)
      return piecesOf(at.gateway, response)
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all([agent.close(), files.close()])),
  }
}

async function* piecesOf(gateway: string, { body }: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* (body ?? []) as AsyncIterable<Uint8Array>
  } catch (cause) {
    throw new CliProblem(`${gateway} broke off in the middle`, { cause, hint: 'Try again; its log says why.' })
  }
}

async function reach<T>(gateway: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw unreachable(gateway, cause)
  }
}

/** Undici wraps what went wrong. */
export function unreachable(gateway: string, cause: unknown): CliProblem {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : ''
  if (/CERT|SIGN|ISSUER|ALTNAME|VERIFY/.test(code)) {
    return new CliProblem(`cannot reach ${gateway}: its certificate is not trusted here (${code})`, {
      cause,
      hint: 'If the gateway has an authority of its own: curfew login --gateway URL --ca FILE',
    })
  }
  const reason = reasonOf(code, inner)
  return new Unreachable(`cannot reach ${gateway}: ${reason}`, {
    cause,
    hint: 'Check the address, and that the gateway runs.',
  })
}

/** OpenSSL's own words name source files; what they come to is that nobody there speaks HTTPS as we do. */
function reasonOf(code: string, inner: unknown): string {
  if (/^(ERR_SSL|EPROTO)/.test(code)) return 'what answers there is no HTTPS server'
  if (code === 'ENOTFOUND') return 'there is no host of this name'
  if (inner instanceof Error && inner.name === 'TimeoutError') return 'it does not answer in time'
  return inner instanceof Error ? inner.message : String(inner)
}

/** Empty bodies and pages are told apart from answers by the schema. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @param at of the session that was shown, where one was. */
async function refusal(status: number, answer: unknown, at?: At): Promise<Error> {
  const parsed = problem.safeParse(answer)
  if (!parsed.success)
    return new CliProblem(`the gateway answered with status ${status}`, { hint: 'Is this a Curfew gateway?' })
  const { code, detail, hint } = parsed.data
  if (code === 'TOKEN_REFUSED' && at?.token !== undefined) {
    if (at.token === readEnvironment()['CURFEW_TOKEN']) {
      return new CliProblem('the gateway does not take the token in CURFEW_TOKEN', {
        hint: 'Make a new one: curfew token create --scope SCOPE',
      })
    }
    const isOver = at.expiresAt !== undefined && seemsOver({ expiresAt: at.expiresAt })
    const why = isOver ? 'your session is over' : 'the gateway takes your session no longer: it was ended there'
    return new SessionEnded(why, {
      hint: `Log in again: ${await loginCommand(at.gateway)}`,
    })
  }
  if (isFaultCode(code)) return new Fault(code, detail, { hint: hintHere(code, hint) })
  return new CliProblem(detail, { hint })
}

async function oauthRefusal(status: number, answer: unknown): Promise<Error> {
  const parsed = oauthProblem.safeParse(answer)
  if (!parsed.success) return refusal(status, answer)
  const { error, error_description: description } = parsed.data
  return new CliProblem(`${terminalLine(description || 'the gateway refused')} (${terminalLine(error)})`)
}

/** What a page would have people look at is not on a terminal. */
const hintsHere: Partial<Record<FaultCode, string>> = {
  REQUEST_UNKNOWN: 'See those that concern you: curfew requests',
  GRANT_UNKNOWN: 'See what you have: curfew grants',
  NOT_FOUND: 'Check what you typed.',
  INPUT_INVALID: 'Correct it; --help has what is expected.',
}

function hintHere(code: FaultCode, hint: string): string {
  return new Fault(code, '').hint === hint ? (hintsHere[code] ?? hint) : hint
}

function typeOf(body: object): string {
  return body instanceof URLSearchParams ? 'application/x-www-form-urlencoded' : 'application/json'
}

function isFaultCode(code: string): code is FaultCode {
  return (faultCodes as readonly string[]).includes(code)
}

function notCurfew(gateway: string, cause: unknown): CliProblem {
  return new CliProblem(`${gateway} does not answer as a Curfew gateway of this version does`, {
    cause,
    hint: 'Check the address; if it is right, update the CLI or the gateway.',
  })
}
