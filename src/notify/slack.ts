import type { Message, QueuedMessage } from '../access/outbox.ts'
import type { SlackSettings } from '../config/notify-settings.ts'
import { problemOf, type Outcome } from './outcome.ts'
import { SlackApi, SlackRefusal } from './slack-api.ts'
import { slackText } from './slack-text.ts'
import type { Wording } from './words.ts'

const directMax = 1000

/** Nobody to tell, or nothing to change any more. */
const moot: ReadonlySet<string> = new Set([
  ...['users_not_found', 'user_disabled', 'user_not_found', 'user_not_visible', 'cannot_dm_bot'],
  ...['message_not_found', 'cant_update_message', 'edit_window_closed'],
])
/** Trying again would not help. */
const final: ReadonlySet<string> = new Set(['msg_too_long', 'invalid_blocks', 'invalid_blocks_format'])

/** Posts and changes messages by the Web API, with a bot token. */
export class SlackSender implements AsyncDisposable {
  readonly #api: SlackApi
  readonly #withButtons: boolean
  /** Conversations with people, by their address. */
  readonly #direct = new Map<string, string>()

  constructor(settings: SlackSettings) {
    this.#api = new SlackApi(settings)
    this.#withButtons = settings.buttons !== null
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
    await this.#api[Symbol.asyncDispose]()
  }

  async #post({ id, recipient }: Message, wording: Wording, signal: AbortSignal): Promise<Outcome> {
    const channel = recipient.startsWith('@') ? await this.#conversation(recipient.slice(1), signal) : recipient
    const answer = await this.#api.call(
      'chat.postMessage',
      {
        ...{
          channel,
          ...slackText(wording, this.#withButtons),
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
    await this.#api.call(
      'chat.update',
      { channel, ts, ...slackText(wording, this.#withButtons), link_names: false, parse: 'none' },
      signal,
    )
  }

  async #conversation(email: string, signal: AbortSignal): Promise<string> {
    const known = this.#direct.get(email)
    if (known !== undefined) return known
    const { user } = await this.#api.call('users.lookupByEmail', { email }, signal)
    const opened = await this.#api.call('conversations.open', { users: user?.id ?? '' }, signal)
    const id = typeof opened.channel === 'object' ? opened.channel.id : undefined
    if (id === undefined) throw new SlackRefusal('conversations.open', 'no conversation')
    const oldest = this.#direct.keys().next()
    if (this.#direct.size >= directMax && !oldest.done) this.#direct.delete(oldest.value)
    this.#direct.set(email, id)
    return id
  }
}
