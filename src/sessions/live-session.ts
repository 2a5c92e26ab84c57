import type { LockTarget } from '../access/locks.ts'
import type { Active } from '../access/states.ts'
import { Fault, asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Observable } from '../kernel/observable.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Admission, WarningCause } from './admission.ts'
import type { Basis, Closing } from './basis.ts'
import { Deadline } from './deadline.ts'
import { expiredFault, type AskLink } from './reasons.ts'
import type { Session, SessionEnd } from './session.ts'
import type { ToldQueue } from './told-queue.ts'

/** What a live session needs from the gate. */
export interface LiveSessionHost {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly toldQueue: ToldQueue
  readonly warnBeforeMs: readonly number[]
  readonly askLink: AskLink
  /** A session's deadline came: its grant is over, for all sessions under it. */
  grantOver(first: LiveSession, dueMonotonicMs: number): void
  /** The rules end it, and others with it. */
  windowOver(first: LiveSession, dueMonotonicMs: number): void
  refusalFrom(live: LiveSession, address: string): Promise<Fault | undefined>
  /** Writes the end: session row, audit event, change. */
  finished(live: LiveSession, end: SessionEnd): Promise<void>
}

const addressesMax = 256

/** The one owner of a session's deadline and AbortController, and so of its cut-off. */
export class LiveSession implements Admission {
  readonly session: Session
  readonly recorder: Recorder
  readonly deadline: Observable<Instant>
  readonly cutOff: AbortSignal
  /** The only one that its grant is for. */
  readonly isSingle: boolean
  readonly extendLink: URL | undefined
  readonly #controller = new AbortController()
  readonly #host: LiveSessionHost
  readonly #deadline: Deadline
  readonly #warningListeners = new Set<(leftMs: number, cause: WarningCause) => void>()
  #grantEndsAt: Instant
  #closing: Closing | null = null
  /** Whom and what the rules judge, as it is known now. */
  basis: Basis
  /** Nothing is known of what the rules will say after this instant. */
  lookAgainAt: Instant
  #causeMonotonicMs: number | undefined
  #cutLatencyMs: number | null = null
  #ended: Promise<void> | undefined
  /** Used from these; the first is the one that it was opened from. */
  readonly #addresses: Set<string>

  constructor(
    session: Session,
    recorder: Recorder,
    { expiresAt, uses }: Pick<Active, 'expiresAt' | 'uses'>,
    extendLink: URL | undefined,
    basis: Basis,
    host: LiveSessionHost,
  ) {
    this.isSingle = uses === 'once'
    this.extendLink = extendLink
    this.session = session
    this.basis = basis
    this.#grantEndsAt = expiresAt
    this.lookAgainAt = session.startedAt
    this.recorder = recorder
    this.#addresses = new Set([session.client.address])
    this.#host = host
    this.cutOff = this.#controller.signal
    this.#deadline = new Deadline(host.clock, expiresAt, host.warnBeforeMs, {
      end: (dueMs) => {
        if (this.cutOff.aborted) return
        if (this.#closesFirst === null) host.grantOver(this, dueMs)
        else host.windowOver(this, dueMs)
      },
      warning: (leftMs) => this.warn(leftMs, this.#closesFirst === null ? 'deadline' : 'closing'),
    })
    this.deadline = this.#deadline.instant
  }

  onWarning(listener: (leftMs: number, cause: WarningCause) => void): Disposable {
    this.#warningListeners.add(listener)
    return { [Symbol.dispose]: () => void this.#warningListeners.delete(listener) }
  }

  /** @param causeMonotonicMs when the cause arose, for the measured latency; now when absent. */
  cut(reason: Fault, causeMonotonicMs: number = this.#host.clock.monotonicMs()): void {
    if (this.cutOff.aborted || this.#ended !== undefined) return
    this.#causeMonotonicMs = causeMonotonicMs
    // Its timers are taken down with the rest, when all were told: that costs as much as telling.
    this.#controller.abort(reason)
  }

  /** Its time is over: the grant's, or what the rules leave of it. */
  expire(): void {
    this.cut(this.#closesFirst?.fault ?? expiredFault(this.session, this.deadline.value, this.#host.askLink))
  }

  /** The grant's end was moved. */
  move(expiresAt: Instant): void {
    this.#grantEndsAt = expiresAt
    this.#arm()
  }

  get grantEndsAt(): Instant {
    return this.#grantEndsAt
  }

  /** When the rules will end it; null: not before the grant ends, as far as is known. */
  get closing(): Closing | null {
    return this.#closing
  }

  set closing(closing: Closing | null) {
    this.#closing = closing
    this.#arm()
  }

  get #closesFirst(): Closing | null {
    return this.#closing !== null && this.#closing.at < this.#grantEndsAt ? this.#closing : null
  }

  #arm(): void {
    const endsAt = this.#closesFirst?.at ?? this.#grantEndsAt
    if (endsAt !== this.deadline.value) this.#deadline.move(endsAt)
  }

  refusalFrom(address: string): Promise<Fault | undefined> | undefined {
    return address === this.session.client.address ? undefined : this.#letIn(address)
  }

  async #letIn(address: string): Promise<Fault | undefined> {
    // First, so that a lock that is placed meanwhile finds it.
    const isNew = !this.#addresses.has(address)
    this.#note(address)
    const fault = await this.#host.refusalFrom(this, address)
    if (fault !== undefined && isNew) this.#addresses.delete(address)
    return fault
  }

  #note(address: string): void {
    if (this.#addresses.size >= addressesMax) this.#addresses.delete([...this.#addresses][1] ?? address)
    this.#addresses.add(address)
  }

  /** As locks see it. */
  get lockTarget(): LockTarget {
    const { person, resource, role } = this.session
    return { person, groups: this.basis.person.groups, resource, role, addresses: this.#addresses }
  }

  /** Says something to the person without ending anything; the protocol chooses the words for the time left. */
  warn(leftMs: number, cause: WarningCause): void {
    for (const listener of [...this.#warningListeners]) listener(leftMs, cause)
  }

  clockJumped(): void {
    if (!this.cutOff.aborted) this.#deadline.lookAgain()
  }

  missedDeadline(graceMs: number): boolean {
    return !this.cutOff.aborted && this.#deadline.missed(graceMs)
  }

  told(): void {
    if (this.#causeMonotonicMs === undefined || this.#cutLatencyMs !== null) return
    this.#cutLatencyMs = this.#host.clock.monotonicMs() - this.#causeMonotonicMs
  }

  afterTold(teardown: () => void): void {
    this.#host.toldQueue.push(teardown)
  }

  end(how: Parameters<Admission['end']>[0]): Promise<void> {
    this.#ended ??= this.#finish(how)
    return this.#ended
  }

  get ended(): Promise<void> | undefined {
    return this.#ended
  }

  async #finish(how: Parameters<Admission['end']>[0]): Promise<void> {
    this.#deadline.stop()
    const reason = this.cutOff.aborted ? (this.cutOff.reason as Fault) : asFault(how.error)
    if (reason !== undefined && this.#cutLatencyMs !== null) {
      this.#host.metrics.observe('curfew_cut_latency_seconds', { code: reason.code }, this.#cutLatencyMs / 1000)
    }
    const end: SessionEnd = {
      at: this.#host.clock.now(),
      by: this.cutOff.aborted ? 'gate' : how.by,
      code: reason?.code ?? null,
      message: reason?.message ?? null,
      cutLatencyMs: this.#cutLatencyMs === null ? null : Math.round(this.#cutLatencyMs * 1000) / 1000,
      bytesFromClient: how.bytesFromClient,
      bytesFromTarget: how.bytesFromTarget,
    }
    await this.#host.finished(this, end)
  }
}
