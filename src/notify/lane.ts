import { auditEvent, theGateway, type AuditEvent } from '../audit/event.ts'
import type { Lane as LaneKey, Message, MessageId, Outbox, QueuedMessage, Settlement } from '../access/outbox.ts'
import type { Random } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { later, type Clock, type Instant, type Timer } from '../kernel/time.ts'
import { backoffMs } from './backoff.ts'
import { problemOf, type Outcome } from './outcome.ts'

/** Sends one message. Rejects only for bugs; ends soon after `signal` aborts. */
export type Deliver = (queued: QueuedMessage, signal: AbortSignal) => Promise<Outcome>

export interface LaneDeps {
  readonly outbox: Outbox
  readonly giveUpMs: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** One attempt, from connect to answer. */
const attemptMsMax = 20_000
/** Also without a word from anybody, the store is asked this often. */
const lookMsMax = 60_000
const storeRetryMs = 1000
/** When another message has to go first. */
const afterOtherMs = 1000

/**
 * Sends what is due for one receiver, a few at a time. What it knows is in the store: after a stop the next one goes on,
 * and a message that was under way is sent again.
 */
export class Lane implements AsyncDisposable {
  readonly key: LaneKey
  readonly #deps: LaneDeps
  readonly #width: number
  readonly #deliver: Deliver
  readonly #underWay = new Map<MessageId, Promise<void>>()
  /** Whose attempts ended since the store was last asked: what it answers about them may be from before. */
  readonly #endedSince = new Set<MessageId>()
  /** Sent or refused, and not written down yet because the store failed. */
  readonly #unwritten = new Map<MessageId, () => Promise<void>>()
  readonly #stop = new AbortController()
  /** By the monotonic clock: one that is set back must not lengthen it. */
  #quietUntilMs = 0
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #again = false

  /** @param width so many messages at a time. */
  constructor(deps: LaneDeps, key: LaneKey, width: number, deliver: Deliver) {
    this.#deps = deps
    this.key = key
    this.#width = width
    this.#deliver = deliver
  }

  wake(): void {
    this.#again = true
    if (this.#stop.signal.aborted) return
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      if (this.#again) this.wake()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#timer?.cancel()
    await this.#looking
    await Promise.allSettled(this.#underWay.values())
  }

  async #look(): Promise<void> {
    this.#again = false
    this.#timer?.cancel()
    let waitMs = lookMsMax
    try {
      await this.#writeDown()
      waitMs = await this.#begin()
    } catch (error) {
      this.#deps.log.error({ err: error, ...this.key }, 'notify: the store cannot be read or written; trying again')
      waitMs = storeRetryMs
    }
    if (!this.#stop.signal.aborted) this.#timer = this.#deps.clock.after(waitMs, () => this.wake())
  }

  async #writeDown(): Promise<void> {
    for (const [id, write] of this.#unwritten) {
      await write()
      this.#unwritten.delete(id)
    }
  }

  /** Begins what is due. @returns when to look again. */
  async #begin(): Promise<number> {
    const { outbox, clock } = this.#deps
    const now = clock.now()
    const quietMs = this.#quietUntilMs - clock.monotonicMs()
    if (quietMs > 0) return Math.min(lookMsMax, quietMs)
    this.#endedSince.clear()
    const due = await outbox.due(this.key, now, this.#width + this.#underWay.size)
    for (const queued of due) {
      const { id } = queued.message
      // The end of one is a reason to look.
      if (this.#stop.signal.aborted || this.#underWay.size >= this.#width) return lookMsMax
      if (!this.#underWay.has(id) && !this.#endedSince.has(id)) this.#underWay.set(id, this.#attempt(queued))
    }
    if (this.#underWay.size > 0) return lookMsMax
    const next = await outbox.nextDue(this.key)
    return next === null ? lookMsMax : Math.min(lookMsMax, Math.max(0, next - clock.now()))
  }

  async #attempt(queued: QueuedMessage): Promise<void> {
    const { message } = queued
    try {
      const outcome = await this.#outcome(queued)
      // Cut off by a stop: the next run decides what it was.
      if (outcome === undefined) return
      await this.#settle(queued, outcome)
    } finally {
      this.#underWay.delete(message.id)
      this.#endedSince.add(message.id)
      this.wake()
    }
  }

  async #outcome(queued: QueuedMessage): Promise<Outcome | undefined> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(attemptMsMax)])
    try {
      const outcome = await this.#deliver(queued, signal)
      return this.#stop.signal.aborted && outcome.kind === 'failed' ? undefined : outcome
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined
      this.#deps.log.error({ err: error, message: queued.message.id }, 'notify: an attempt broke')
      return { kind: 'failed', problem: `internal error: ${problemOf(error)}` }
    }
  }

  async #settle(queued: QueuedMessage, outcome: Outcome): Promise<void> {
    const { outbox, metrics, log } = this.#deps
    const { message } = queued
    const { channel } = message
    const settlement = this.#settlement(message, outcome)
    const given = settlement.state === 'given-up'
    const write = async () => {
      await outbox.settle(message.id, settlement, given ? givenUp(queued, settlement) : null)
      if (outcome.kind !== 'later') metrics.add('curfew_notifications_total', { channel, outcome: word(settlement) })
    }
    if (outcome.kind === 'failed' && outcome.pauseMs !== undefined) {
      this.#quietUntilMs = this.#deps.clock.monotonicMs() + outcome.pauseMs
    }
    if (settlement.problem !== null && outcome.kind !== 'void' && outcome.kind !== 'later') {
      const about = { ...{ channel, recipient: message.recipient, message: message.id }, problem: settlement.problem }
      log.warn({ ...about, attempts: settlement.attempts }, given ? 'notify: given up' : 'notify: not sent yet')
    }
    try {
      await write()
    } catch (error) {
      log.error({ err: error, message: message.id }, 'notify: what came of a message is written down later')
      this.#unwritten.set(message.id, write)
    }
  }

  #settlement(message: Message, outcome: Outcome): Settlement {
    const { clock, random, giveUpMs } = this.#deps
    const now = clock.now()
    const { dueAt, reference, problem } = message
    const attempts = message.attempts + 1
    switch (outcome.kind) {
      case 'sent':
        return { state: 'sent', dueAt, attempts, problem: null, settledAt: now, reference: outcome.reference }
      case 'void':
        return { state: 'dropped', dueAt, attempts: message.attempts, problem: outcome.why, settledAt: now, reference }
      case 'gone':
        return { state: 'dropped', dueAt, attempts, problem: outcome.problem, settledAt: now, reference }
      case 'refused':
        return { state: 'given-up', dueAt, attempts, problem: outcome.problem, settledAt: now, reference }
      case 'later': {
        const at = Math.max(later(now, afterOtherMs), outcome.notBefore) as Instant
        return { state: 'waiting', dueAt: at, attempts: message.attempts, problem, settledAt: null, reference }
      }
      case 'failed': {
        const over = now - message.readyAt >= giveUpMs
        if (over) return { state: 'given-up', dueAt, attempts, problem: outcome.problem, settledAt: now, reference }
        const waitMs = Math.max(outcome.pauseMs ?? 0, backoffMs(attempts, chance(random)))
        const at = later(now, waitMs)
        return { state: 'waiting', dueAt: at, attempts, problem: outcome.problem, settledAt: null, reference }
      }
    }
  }
}

function chance(random: Random): number {
  const [high = 0, low = 0] = random.bytes(2)
  return (high * 256 + low) / 65_536
}

function word({ state }: Settlement): string {
  return state === 'waiting' ? 'retried' : state
}

function givenUp({ message, notice }: QueuedMessage, { attempts, problem, settledAt }: Settlement): AuditEvent {
  const { id, channel, recipient } = message
  return auditEvent('notification.given-up', settledAt!, theGateway, {
    ...{ message: id, notice: notice.id, about: notice.subject, type: notice.type, channel, recipient },
    ...{ attempts, problem },
  })
}
