import { Fault } from '../kernel/fault.ts'
import type { WebContext } from './context.ts'

const bodyBytesMax = 64 * 1024

/** What a form brought. Reading is bounded: a field that is too long is a Fault, not a cut. */
export interface Fields {
  /** Trimmed, line ends as `\n`; empty when absent. @throws Fault INPUT_INVALID when longer than `charsMax`. */
  text(name: string, charsMax: number): string
  flag(name: string): boolean
  /** As it came, to be shown to whoever sent it and used for nothing else; empty when absent. */
  asSent(name: string): string
}

/** @throws Fault INPUT_INVALID for another type of body, TOO_LARGE above 64 KiB. */
export async function readForm(c: WebContext): Promise<Fields> {
  const type = c.req.header('content-type') ?? ''
  if (!type.startsWith('application/x-www-form-urlencoded')) {
    throw new Fault('INPUT_INVALID', 'This address takes a form.')
  }
  return fieldsOf(new URLSearchParams(await readBody(c)))
}

export function fieldsOf(params: URLSearchParams): Fields {
  return {
    text(name, charsMax) {
      const value = (params.get(name) ?? '').replaceAll('\r\n', '\n').trim()
      if (value.length > charsMax) throw new Fault('INPUT_INVALID', `"${name}" is longer than ${charsMax} characters.`)
      if (hasControls(value)) throw new Fault('INPUT_INVALID', `"${name}" holds characters that cannot be shown.`)
      return value
    },
    flag: (name) => params.get(name) === 'yes',
    asSent: (name) => params.get(name) ?? '',
  }
}

/**
 * Control characters other than tab and newline would garble terminals and logs later; overrides of direction would let
 * an approver read something else than what is there.
 */
export function hasControls(value: string): boolean {
  return /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(value.replaceAll(/[\t\n]/g, ''))
}

/** @throws Fault INPUT_INVALID when it is not JSON, TOO_LARGE above `bytesMax`, which is 64 KiB if it is not given. */
export async function readJson(c: WebContext, bytesMax: number = bodyBytesMax): Promise<unknown> {
  if (!(c.req.header('content-type') ?? '').startsWith('application/json')) {
    throw new Fault('INPUT_INVALID', 'This address takes application/json.')
  }
  const text = await readBody(c, bytesMax)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Fault('INPUT_INVALID', 'The body is not JSON.', { cause, hint: 'Send a JSON object.' })
  }
}

/**
 * The body, which may take long to come. It can be asked for again.
 * @throws Fault TOO_LARGE above 64 KiB.
 */
export async function readBody(c: WebContext, bytesMax: number = bodyBytesMax): Promise<string> {
  const text = c.get('body') ?? (await receive(c, bytesMax))
  c.set('body', text)
  return text
}

async function receive(c: WebContext, bytesMax: number): Promise<string> {
  const tooLarge = new Fault('TOO_LARGE', 'That is more than the gateway takes at once.')
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) throw tooLarge
  const chunks: Uint8Array[] = []
  let lengthBytes = 0
  for await (const chunk of c.req.raw.body ?? []) {
    lengthBytes += chunk.byteLength
    if (lengthBytes > bytesMax) throw tooLarge
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}
