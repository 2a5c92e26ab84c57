import { Agent, request } from 'undici'
import * as z from 'zod'
import type { SlackSettings } from '../config/notify-settings.ts'
import { oneLine } from './outcome.ts'

const connectMsMax = 5000
const answerBytesMax = 256 * 1024
const pauseMsMax = 60 * 60_000

const answerSchema = z.looseObject({
  ok: z.boolean(),
  error: z.string().optional(),
  ts: z.string().optional(),
  channel: z.union([z.string(), z.looseObject({ id: z.string() })]).optional(),
  user: z
    .looseObject({
      id: z.string(),
      team_id: z.string().optional(),
      deleted: z.boolean().optional(),
      is_bot: z.boolean().optional(),
      profile: z.looseObject({ email: z.string().optional() }).optional(),
    })
    .optional(),
})
export type SlackAnswer = z.output<typeof answerSchema>

/** What the API said no to. */
export class SlackRefusal extends Error {
  override readonly name = 'SlackRefusal'
  readonly error: string
  readonly pauseMs: number | undefined
  constructor(method: string, error: string, pauseMs?: number) {
    super(`Slack answered ${oneLine(error, 80)} to ${method}`)
    this.error = error
    this.pauseMs = pauseMs
  }
}

/** Methods that take no JSON: their fields go as a form. */
const formMethods: ReadonlySet<string> = new Set(['users.lookupByEmail', 'users.info'])

/** Calls the Web API with a bot token. */
export class SlackApi implements AsyncDisposable {
  readonly #settings: Pick<SlackSettings, 'token' | 'apiUrl'>
  readonly #agent: Agent

  constructor(settings: Pick<SlackSettings, 'token' | 'apiUrl'>) {
    this.#settings = settings
    this.#agent = new Agent({ connect: { timeout: connectMsMax }, connections: 2, maxHeaderSize: 16 * 1024 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  /** @throws SlackRefusal, and what the network throws. */
  async call(method: string, fields: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<SlackAnswer> {
    const form = formMethods.has(method)
    const answer = await request(new URL(method, this.#settings.apiUrl), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#settings.token.reveal()}`,
        'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json; charset=utf-8',
      },
      body: form ? new URLSearchParams(fields as Record<string, string>).toString() : JSON.stringify(fields),
      ...{ signal, dispatcher: this.#agent },
    })
    const text = await readBounded(answer.body)
    if (answer.statusCode === 429) throw new SlackRefusal(method, 'ratelimited', pauseMs(answer.headers['retry-after']))
    if (answer.statusCode !== 200) throw new SlackRefusal(method, `HTTP ${answer.statusCode}`)
    const parsed = answerSchema.safeParse(parseJson(text))
    if (!parsed.success) throw new SlackRefusal(method, 'something that is not its API')
    if (!parsed.data.ok) throw new SlackRefusal(method, parsed.data.error ?? 'an error without a name')
    return parsed.data
  }

  /** Says something to whoever pressed a button, and nobody else. @param url as Slack gave it with the press. */
  async answer(url: URL, text: string, signal: AbortSignal): Promise<void> {
    if (!isAnswerAddress(url, this.#settings.apiUrl)) throw new Error('that is no address of Slack’s')
    const body = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text })
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    const answer = await request(url, { method: 'POST', headers, body, signal, dispatcher: this.#agent })
    await readBounded(answer.body)
    if (answer.statusCode !== 200) throw new Error(`Slack answered HTTP ${answer.statusCode} to an answer`)
  }
}

const answerHosts: ReadonlySet<string> = new Set(['hooks.slack.com', 'hooks.slack-gov.com'])

/** The gateway connects to nowhere else, whatever a post says. */
function isAnswerAddress(url: URL, apiUrl: URL): boolean {
  const isSlack = url.protocol === 'https:' && url.port === '' && answerHosts.has(url.hostname)
  return isSlack || url.origin === apiUrl.origin
}

/** @see Slack, "Rate limits": seconds. */
function pauseMs(retryAfter: string | string[] | undefined): number {
  const seconds = Number(retryAfter)
  return Math.min(pauseMsMax, Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 30_000)
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let lengthBytes = 0
  for await (const chunk of body) {
    lengthBytes += chunk.byteLength
    if (lengthBytes > answerBytesMax) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the caller says what it was instead
  }
}
