import { Webhook } from 'standardwebhooks'
import { Agent, request } from 'undici'
import type { Notice } from '../access/outbox.ts'
import type { WebhookSettings } from '../config/notify-settings.ts'
import { isoTime, type Clock } from '../kernel/time.ts'
import { problemOf, sent, type Outcome } from './outcome.ts'

const connectMsMax = 5000
const answerBytesMax = 64 * 1024

/** The version of what is under `data`; fields are added without a new one. */
const payloadVersion = 1

/**
 * The body that a receiver gets, and signs for.
 * @param gateway the name of this gateway.
 */
export function webhookPayload({ type, at, data }: Notice, gateway: string): string {
  return JSON.stringify({ version: payloadVersion, type, timestamp: isoTime(at), gateway, data })
}

/**
 * The three headers.
 * @see Standard Webhooks, "Webhook Headers": id stays the same when a message is sent again, timestamp is of this attempt.
 */
export function webhookHeaders(
  id: string,
  at: number,
  body: string,
  { secrets }: Pick<WebhookSettings, 'secrets'>,
): Record<string, string> {
  const timestamp = new Date(at)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret.reveal()).sign(id, timestamp, body)).join(' '),
  }
}

/** One receiver. It has a connection of its own, so that it holds up nobody else. */
export class WebhookSender implements AsyncDisposable {
  readonly #settings: WebhookSettings
  readonly #gateway: string
  readonly #clock: Clock
  readonly #agent: Agent

  constructor(settings: WebhookSettings, { gateway, clock }: { readonly gateway: string; readonly clock: Clock }) {
    this.#settings = settings
    this.#gateway = gateway
    this.#clock = clock
    const { ca } = settings
    this.#agent = new Agent({
      connect: { timeout: connectMsMax, ...(ca !== null && { ca }) },
      ...{ connections: 4, pipelining: 0, maxHeaderSize: 16 * 1024 },
    })
  }

  async send(notice: Notice, signal: AbortSignal): Promise<Outcome> {
    const body = webhookPayload(notice, this.#gateway)
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Curfew',
      ...webhookHeaders(notice.id, this.#clock.now(), body, this.#settings),
    }
    try {
      // Redirects are not followed: the operator chose this address and no other.
      const answer = await request(this.#settings.url, {
        ...{ method: 'POST', headers, body, signal, dispatcher: this.#agent },
      })
      // The status has said it all; what is wrong with the rest of the answer changes nothing.
      await answer.body.dump({ limit: answerBytesMax, signal }).catch(() => undefined)
      return outcomeOf(answer.statusCode)
    } catch (error) {
      return { kind: 'failed', problem: problemOf(error) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }
}

/** @see Standard Webhooks, "Deliverability and reliability" */
function outcomeOf(status: number): Outcome {
  if (status >= 200 && status < 300) return sent
  if (status === 410) return { kind: 'gone', problem: 'the receiver answered 410 Gone' }
  return { kind: 'failed', problem: `the receiver answered ${status}` }
}
