import type { LockTarget } from '../access/locks.ts'
import type { Active } from '../access/states.ts'
import { lastsUntil } from '../access/grant-life.ts'
import { Fault, asFault } from '../kernel/fault.ts'
import { Listeners } from '../kernel/listeners.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Observable } from '../kernel/observable.ts'
import type { GrantId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Admission, WarningCause } from './admission.ts'
import type { Basis, Closing } from './basis.ts'
import { Deadline, type DeadlineDeps, type DeadlineOwner } from './deadline.ts'
import { expiredFault, type AskLink, withAskLink } from './reasons.ts'
import type { Session, SessionEnd } from './session.ts'
import type { ToldQueue } from './told-queue.ts'

/** What a live session needs from the gate. */
export interface LiveSessionHost extends DeadlineDeps {
  readonly log: Log
  readonly metrics: Metrics
  readonly toldQueue: ToldQueue
  readonly askLink: AskLink
  readonly extendLink: (grant: GrantId) => URL
  /** A session's deadline came: its grant is over, for all sessions under it. */
  grantOver(first: LiveSession, dueMonotonicMs: number): void
  /** The rules end it, and others with it. */
  windowOver(first: LiveSession, dueMonotonicMs: number): void
  refusalFrom(live: LiveSession, address: string): Promise<Fault | undefined>
  /** Writes the end: session row, audit event, change. */
  finished(live: LiveSession, end: SessionEnd): Promise<void>
}

const otherAddressesMax = 255

/** The one owner of a session's deadline and AbortController, and so of its cut-off. */
export class LiveSession implements Admission, DeadlineOwner {
  readonly session: Session
  readonly cutOff: AbortSignal
  /** The only one that its grant is for. */
  readonly isSingle: boolean
  #recorder: Recorder | undefined
  #isExtendable = false
  readonly #controller = new AbortController()
  readonly #host: LiveSessionHost
  readonly #deadline: Deadline
  readonly #warningListeners = new Listeners<[leftMs: number, cause: WarningCause]>()
  #grantEndsAt: Instant
  #closing: Closing | null = null
  /** Whom and what the rules judge, as it is known now. */
  basis: Basis
  /** Nothing is known of what the rules will say after this instant. */
  lookAgainAt: Instant
  #causeMonotonicMs: number | undefined
  #cutLatencyMs: number | null = null
  #ended: Promise<void> | undefined
  /** Used from these, too, besides the one that it was opened from. Made with the first. */
  #otherAddresses: Set<string> | undefined

  /** It lives from here on, and can be cut off; it is an Admission once it has `begun`. */
  constructor(session: Session, grant: Active, basis: Basis, host: LiveSessionHost) {
    const expiresAt = lastsUntil(grant, session.startedAt)
    this.isSingle = grant.uses === 'once'
    this.session = session
    this.basis = basis
    this.#grantEndsAt = expiresAt
    this.lookAgainAt = session.startedAt
    this.#host = host
    this.cutOff = this.#controller.signal
    this.#deadline = new Deadline(host, expiresAt, this)
  }

  /** Its start is on the disk. @param grant as it is with this session under it. */
  begun(recorder: Recorder, { expiresAt }: Active, isExtendable: boolean): void {
    this.#recorder = recorder
    this.#isExtendable = isExtendable
    this.move(expiresAt)
  }

  get recorder(): Recorder {
    if (this.#recorder === undefined) throw new Error('the session has not begun')
    return this.#recorder
  }

  get deadline(): Observable<Instant> {
    return this.#deadline.instant
  }

  get extendLink(): URL | undefined {
    return this.#isExtendable ? this.#host.extendLink(this.session.grant) : undefined
  }

  deadlineCame(dueMs: number): void {
    if (this.cutOff.aborted) return
    if (this.#closesFirst === null) this.#host.grantOver(this, dueMs)
    else this.#host.windowOver(this, dueMs)
  }

  deadlineNear(leftMs: number): void {
    this.warn(leftMs, this.#closesFirst === null ? 'deadline' : 'closing')
  }

  onWarning(listener: (leftMs: number, cause: WarningCause) => void): Disposable {
    return this.#warningListeners.add(listener)
  }

  /** @param causeMonotonicMs when the cause arose, for the measured latency; now when absent. */
  cut(reason: Fault, causeMonotonicMs: number = this.#host.clock.monotonicMs()): void {
    if (this.cutOff.aborted || this.#ended !== undefined) return
    this.#causeMonotonicMs = causeMonotonicMs
    // Its timers are taken down with the rest, when all were told: that costs as much as telling.
    this.#controller.abort(withAskLink(reason, this.session, this.#host.askLink))
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
    const isNew = this.#otherAddresses?.has(address) !== true
    this.#note(address)
    const fault = await this.#host.refusalFrom(this, address)
    if (fault !== undefined && isNew) this.#otherAddresses?.delete(address)
    return fault
  }

  #note(address: string): void {
    const others = (this.#otherAddresses ??= new Set())
    if (others.size >= otherAddressesMax) others.delete([...others][0] ?? address)
    others.add(address)
  }

  /** As locks see it. */
  get lockTarget(): LockTarget {
    const { person, resource, role, client } = this.session
    const addresses = [client.address, ...(this.#otherAddresses ?? [])]
    return { person, groups: this.basis.person.groups, resource, role, addresses }
  }

  /** Says something to the person without ending anything; the protocol chooses the words for the time left. */
  warn(leftMs: number, cause: WarningCause): void {
    this.#warningListeners.call(leftMs, cause)
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

  /** It never begins: there is no end to write down. */
  giveUp(reason: Fault): void {
    this.cut(reason)
    this.#deadline.stop()
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
