import { Agent, request } from 'undici'
import * as z from 'zod'
import type { Message, QueuedMessage } from '../access/outbox.ts'
import type { SlackSettings } from '../config/notify-settings.ts'
import { oneLine, problemOf, type Outcome } from './outcome.ts'
import { slackText } from './slack-text.ts'
import type { Wording } from './words.ts'

const connectMsMax = 5000
const answerBytesMax = 256 * 1024
const directMax = 1000
const pauseMsMax = 60 * 60_000

const answerSchema = z.looseObject({
  ok: z.boolean(),
  error: z.string().optional(),
  ts: z.string().optional(),
  channel: z.union([z.string(), z.looseObject({ id: z.string() })]).optional(),
  user: z.looseObject({ id: z.string() }).optional(),
})
type Answer = z.output<typeof answerSchema>

/** What the API said no to. */
class SlackRefusal extends Error {
  override readonly name = 'SlackRefusal'
  readonly error: string
  readonly pauseMs: number | undefined
  constructor(method: string, error: string, pauseMs?: number) {
    super(`Slack answered ${oneLine(error, 80)} to ${method}`)
    this.error = error
    this.pauseMs = pauseMs
  }
}

/** Nobody to tell, or nothing to change any more. */
const moot: ReadonlySet<string> = new Set([
  ...['users_not_found', 'user_disabled', 'user_not_found', 'user_not_visible', 'cannot_dm_bot'],
  ...['message_not_found', 'cant_update_message', 'edit_window_closed'],
])
/** Trying again would not help. */
const final: ReadonlySet<string> = new Set(['msg_too_long', 'invalid_blocks', 'invalid_blocks_format'])

/** Posts and changes messages by the Web API, with a bot token. */
export class SlackSender implements AsyncDisposable {
  readonly #settings: SlackSettings
  readonly #agent: Agent
  /** Conversations with people, by their address. */
  readonly #direct = new Map<string, string>()

  constructor(settings: SlackSettings) {
    this.#settings = settings
    this.#agent = new Agent({ connect: { timeout: connectMsMax }, connections: 2, maxHeaderSize: 16 * 1024 })
  }

  /** @param before the messages to change, as Slack knows them; none: posts a new one. */
  async send(
    { message }: QueuedMessage,
    wording: Wording,
    before: readonly string[],
    signal: AbortSignal,
  ): Promise<Outcome> {
    try {
      if (before.length === 0) return await this.#post(message, wording, signal)
      return await this.#changeAll(before, wording, signal)
    } catch (error) {
      if (!(error instanceof SlackRefusal)) return { kind: 'failed', problem: problemOf(error) }
      if (moot.has(error.error)) return { kind: 'void', why: error.message }
      if (final.has(error.error)) return { kind: 'refused', problem: error.message }
      const { message: problem, pauseMs } = error
      return { kind: 'failed', problem, ...(pauseMs !== undefined && { pauseMs }) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #post({ id, recipient }: Message, wording: Wording, signal: AbortSignal): Promise<Outcome> {
    const channel = recipient.startsWith('@') ? await this.#conversation(recipient.slice(1), signal) : recipient
    const answer = await this.#call(
      'chat.postMessage',
      {
        ...{
          channel,
          ...slackText(wording),
          unfurl_links: false,
          unfurl_media: false,
          link_names: false,
          mrkdwn: false,
        },
        metadata: { event_type: 'curfew_message', event_payload: { message: id } },
      },
      signal,
    )
    const at = typeof answer.channel === 'string' ? answer.channel : channel
    return { kind: 'sent', reference: answer.ts === undefined ? null : `${at}:${answer.ts}` }
  }

  /** One that is gone holds up no other. */
  async #changeAll(before: readonly string[], wording: Wording, signal: AbortSignal): Promise<Outcome> {
    let changed: string | undefined
    let gone: SlackRefusal | undefined
    for (const one of before) {
      try {
        await this.#change(one, wording, signal)
        changed = one
      } catch (error) {
        if (!(error instanceof SlackRefusal) || !moot.has(error.error)) throw error
        gone = error
      }
    }
    if (changed === undefined && gone !== undefined) throw gone
    return { kind: 'sent', reference: changed ?? null }
  }

  async #change(before: string, wording: Wording, signal: AbortSignal): Promise<void> {
    const [channel, ts] = before.split(':', 2)
    await this.#call('chat.update', { channel, ts, ...slackText(wording), link_names: false, parse: 'none' }, signal)
  }

  async #conversation(email: string, signal: AbortSignal): Promise<string> {
    const known = this.#direct.get(email)
    if (known !== undefined) return known
    const { user } = await this.#call('users.lookupByEmail', { email }, signal)
    const opened = await this.#call('conversations.open', { users: user?.id ?? '' }, signal)
    const id = typeof opened.channel === 'object' ? opened.channel.id : undefined
    if (id === undefined) throw new SlackRefusal('conversations.open', 'no conversation')
    const oldest = this.#direct.keys().next()
    if (this.#direct.size >= directMax && !oldest.done) this.#direct.delete(oldest.value)
    this.#direct.set(email, id)
    return id
  }

  /** `users.lookupByEmail` takes no JSON, so its fields go as a form. */
  async #call(method: string, fields: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Answer> {
    const form = method === 'users.lookupByEmail'
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
