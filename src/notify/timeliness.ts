import type { Message, NoticeType, Outbox, QueuedMessage } from '../access/outbox.ts'
import type { AccessReads } from '../access/store.ts'
import type { Clock } from '../kernel/time.ts'
import type { Facts, NoticeFacts } from './facts.ts'
import type { Outcome } from './outcome.ts'
import { wordingOf, type Wording } from './words.ts'

export interface TimelinessDeps {
  readonly outbox: Pick<Outbox, 'asked'>
  readonly reads: Pick<AccessReads, 'request' | 'grant'>
  readonly facts: Facts
  readonly clock: Clock
}

const asking: readonly NoticeType[] = ['request.opened', 'request.seconded']

/** Whether a message to people is still true when its turn comes, and what it belongs to. */
export class Timeliness {
  readonly #deps: TimelinessDeps

  constructor(deps: TimelinessDeps) {
    this.#deps = deps
  }

  /** @returns an outcome instead of sending; or the message that asked, which this one follows; or null for neither. */
  async check(queued: QueuedMessage): Promise<Outcome | { readonly follows: Message } | null> {
    const { message, notice } = queued
    const { request, grant } = notice.data as NoticeFacts
    if (notice.type === 'grant.ending' && grant !== undefined) return this.#stillEnding(grant)
    if (message.audience !== 'deciders' || request === undefined) return null
    if (asking.includes(notice.type)) {
      const over = await this.#decided(request.id)
      if (over !== null) return over
    }
    return notice.type === 'request.opened' ? null : this.#after(message, request.id)
  }

  /** Those who decide look at a request as it is now, not as it was. */
  async wordingNow({ message, notice }: QueuedMessage): Promise<Wording> {
    const { request } = notice.data as NoticeFacts
    const now =
      message.audience === 'deciders' && request !== undefined
        ? await this.#deps.facts.request(notice.type, request.id)
        : undefined
    return wordingOf(notice.type, now?.facts ?? notice.data, message.audience)
  }

  async #stillEnding({ id, expiresAt }: NonNullable<NoticeFacts['grant']>): Promise<Outcome | null> {
    const grant = await this.#deps.reads.grant(id)
    const { clock } = this.#deps
    const same = grant?.state === 'active' && grant.expiresAt === Date.parse(expiresAt) && clock.now() < grant.expiresAt
    return same ? null : { kind: 'void', why: 'the grant has ended, or was moved' }
  }

  async #decided(id: NonNullable<NoticeFacts['request']>['id']): Promise<Outcome | null> {
    const request = await this.#deps.reads.request(id)
    const open = request?.state === 'requested' && this.#deps.clock.now() < request.lapsesAt
    return open ? null : { kind: 'void', why: 'the request is no longer open' }
  }

  /** What follows up waits for what asked, and goes nowhere if that went nowhere. */
  async #after(
    { channel, recipient }: Message,
    id: NonNullable<NoticeFacts['request']>['id'],
  ): Promise<Outcome | { readonly follows: Message } | null> {
    const asked = await this.#deps.outbox.asked(id)
    const first = asked.find((one) => one.channel === channel && one.recipient === recipient)
    if (first === undefined || first.state === 'sent') return first === undefined ? null : { follows: first }
    if (first.state === 'waiting') return { kind: 'later', notBefore: first.dueAt }
    return { kind: 'void', why: 'they were never asked' }
  }
}
