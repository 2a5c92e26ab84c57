import { isAsking, type Message, type NoticeType, type Outbox, type QueuedMessage } from '../access/outbox.ts'
import type { AccessReads } from '../access/store.ts'
import type { Clock } from '../kernel/time.ts'
import type { Facts, NoticeFacts } from './facts.ts'
import type { Outcome } from './outcome.ts'
import { wordingOf, type Wording } from './words.ts'

export interface TimelinessDeps {
  readonly outbox: Pick<Outbox, 'asked'>
  readonly reads: Pick<AccessReads, 'request' | 'grant' | 'review' | 'campaign' | 'question'>
  readonly facts: Facts
  readonly clock: Clock
}

type RequestFacts = NonNullable<NoticeFacts['request']>

/** The oldest first. */
interface Following {
  readonly follows: readonly Message[]
}

/** Whether a message to people is still true when its turn comes, and what it belongs to. */
export class Timeliness {
  readonly #deps: TimelinessDeps

  constructor(deps: TimelinessDeps) {
    this.#deps = deps
  }

  /** @returns an outcome instead of sending; or the messages that asked, which this one follows; or null for neither. */
  async check(queued: QueuedMessage): Promise<Outcome | Following | null> {
    const { message, notice } = queued
    const { request, grant, review, campaign, statement } = notice.data as NoticeFacts
    if (notice.type === 'grant.ending' && grant !== undefined) return this.#stillEnding(grant)
    if (notice.type === 'review.waiting' && review !== undefined) return this.#stillWaiting(review)
    const asksToReview = notice.type === 'campaign.started' || notice.type === 'campaign.due-soon'
    if (asksToReview && campaign !== undefined && message.audience === 'deciders') return this.#stillReviewed(campaign)
    if (notice.type === 'statement.asked' && statement !== undefined && message.audience === 'deciders') {
      return this.#stillAsked(statement)
    }
    if (message.audience !== 'deciders' || request === undefined) return null
    if (isAsking(notice.type) || notice.type === 'request.seconded') {
      const over = await this.#decided(request, notice.type)
      if (over !== null) return over
    }
    return isAsking(notice.type) ? this.#askedBefore(message, request.id) : this.#after(message, request.id)
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

  async #stillWaiting({ id }: NonNullable<NoticeFacts['review']>): Promise<Outcome | null> {
    const review = await this.#deps.reads.review(id)
    return review?.state === 'open' ? null : { kind: 'void', why: 'somebody has reviewed it' }
  }

  async #stillReviewed({ id }: NonNullable<NoticeFacts['campaign']>): Promise<Outcome | null> {
    const campaign = await this.#deps.reads.campaign(id)
    return campaign?.finishedAt === null ? null : { kind: 'void', why: 'the review is finished' }
  }

  async #stillAsked({ id }: NonNullable<NoticeFacts['statement']>): Promise<Outcome | null> {
    const question = await this.#deps.reads.question(id)
    const waits = question?.state === 'waiting' && this.#deps.clock.now() < question.lapsesAt
    return waits ? null : { kind: 'void', why: 'the statement does not wait any more' }
  }

  async #stillEnding({ id, expiresAt }: NonNullable<NoticeFacts['grant']>): Promise<Outcome | null> {
    const grant = await this.#deps.reads.grant(id)
    const { clock } = this.#deps
    const same = grant?.state === 'active' && grant.expiresAt === Date.parse(expiresAt) && clock.now() < grant.expiresAt
    return same ? null : { kind: 'void', why: 'the grant has ended, or was moved' }
  }

  async #decided({ id, waitsFor }: RequestFacts, type: NoticeType): Promise<Outcome | null> {
    const request = await this.#deps.reads.request(id)
    const open = request?.state === 'requested' && this.#deps.clock.now() < request.lapsesAt
    if (!open) return { kind: 'void', why: 'the request is no longer open' }
    const isDone = isAsking(type) && waitsFor !== null && waitsFor?.step <= request.step
    return isDone ? { kind: 'void', why: 'the request waits for others by now' } : null
  }

  /** Those who were asked for another step are asked again, and see that it is the same request. */
  async #askedBefore(message: Message, id: RequestFacts['id']): Promise<Following | null> {
    const before = (await this.#askedThere(message, id)).filter((one) => one.id !== message.id && one.state === 'sent')
    return before.length === 0 ? null : { follows: before }
  }

  /** What follows up waits for what asked, and goes nowhere if that went nowhere. */
  async #after(message: Message, id: RequestFacts['id']): Promise<Outcome | Following | null> {
    const asked = await this.#askedThere(message, id)
    const waiting = asked.find(({ state }) => state === 'waiting')
    if (waiting !== undefined) return { kind: 'later', notBefore: waiting.dueAt }
    const sent = asked.filter(({ state }) => state === 'sent')
    if (sent.length > 0) return { follows: sent }
    return asked.length === 0 ? null : { kind: 'void', why: 'they were never asked' }
  }

  async #askedThere({ channel, recipient }: Message, id: RequestFacts['id']): Promise<readonly Message[]> {
    const asked = await this.#deps.outbox.asked(id)
    return asked.filter((one) => one.channel === channel && one.recipient === recipient)
  }
}
