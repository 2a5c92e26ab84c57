import type { AccessReads } from '../access/store.ts'
import { isStaff } from '../access/deps.ts'
import { lockedFault, stoppingLock } from '../access/locks.ts'
import type { Active } from '../access/states.ts'
import { FailureLimit } from '../identity/failure-limit.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { Change, ChangeFeed } from '../kernel/change.ts'
import { formatDuration } from '../kernel/durations.ts'
import { asFault, Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, Random, SessionId } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { isoTime, type Clock, type Instant } from '../kernel/time.ts'
import type { Recordings } from '../recording/recorder.ts'
import type { Admission, Ask, Gate, Opening } from './admission.ts'
import { Alarms } from './alarms.ts'
import { checkCounts, type Asking } from './check-counts.ts'
import { checkNames, type Names } from './check-names.ts'
import type { Candidate as GrantCandidate } from './choose-grant.ts'
import { Ends } from './ends.ts'
import { sessionEvents } from './events.ts'
import { findGrant, isExtendable } from './find-grant.ts'
import { noteLastUse } from './grant-use.ts'
import { LiveRegistry } from './live-registry.ts'
import { LiveSession, type LiveSessionHost } from './live-session.ts'
import type { Identified, Session, SessionEnd, SessionStore, SessionTx } from './session.ts'
import { writeStart } from './start.ts'
import { ToldQueue } from './told-queue.ts'

export interface GateDeps extends Names {
  readonly node: string
  readonly operators: readonly string[]
  readonly access: AccessReads
  readonly sessions: SessionStore
  readonly recordings: Recordings
  readonly changes: ChangeFeed
  readonly person: (id: PersonId) => Promise<Person | undefined>
  /** Whether what somebody was known by still holds. They may have waited for long since they were known. */
  readonly stands: (identified: Identified) => Promise<boolean>
  readonly askLink: (resource: string, role: string) => URL
  readonly extendLink: (grant: GrantId) => URL
  readonly warnBeforeMs: readonly number[]
  readonly sessionsPerPersonMax: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Runs a task after the input and output that is ready now. */
  readonly soon: (task: () => void) => void
}

/** Of one person. A pool that connects again and again must not fill the audit log. */
const refusalsAuditedPerMinute = 30

/** While an admission is being checked, changes that may end it are kept for it. */
interface Candidate extends Asking {
  readonly changes: Change[]
  /** Counted among the live sessions. */
  isLive: boolean
}

/** Admits sessions and ends them. Every cut-off of every protocol comes out of here. */
export class SessionGate implements Gate, AsyncDisposable {
  readonly #deps: GateDeps
  readonly #live: LiveRegistry
  readonly #ends: Ends
  readonly #candidates = new Set<Candidate>()
  readonly #host: LiveSessionHost
  readonly #refusals: FailureLimit
  readonly #subscription: Disposable
  #draining = false

  constructor(deps: GateDeps) {
    this.#deps = deps
    const { clock, log, metrics, warnBeforeMs, askLink, extendLink } = deps
    this.#refusals = new FailureLimit(clock, refusalsAuditedPerMinute, 60_000)
    this.#live = new LiveRegistry(deps)
    this.#ends = new Ends(log)
    this.#host = {
      ...{ clock, log, metrics, warnBeforeMs, askLink, extendLink, alarms: new Alarms(clock) },
      toldQueue: new ToldQueue(deps.soon, (error) => log.error({ error }, 'teardown of a session failed')),
      grantOver: (first, dueMs) => this.#live.grantOver(first, dueMs),
      windowOver: (first, dueMs) => this.#live.windowOver(first, dueMs),
      refusalFrom: (live, address) => this.#live.refusalFrom(live, address),
      finished: (live, end) => this.#finished(live, end),
    }
    this.#subscription = deps.changes.subscribe((change) => {
      for (const candidate of this.#candidates) candidate.changes.push(change)
      this.#live.apply(change)
    })
  }

  async admit(ask: Ask): Promise<Admission> {
    const { admitted } = await this.open(ask)
    return admitted
  }

  async open(ask: Ask): Promise<Opening> {
    const { resource, role } = ask
    const candidate: Candidate = { person: ask.identified.person, resource, role, changes: [], isLive: false }
    this.#candidates.add(candidate)
    try {
      return this.#begin(ask, await this.#check(ask), candidate)
    } catch (error) {
      await this.#recordRefusal(ask, error)
      this.#candidates.delete(candidate)
      throw error
    }
  }

  async #check(ask: Ask): Promise<GrantCandidate> {
    if (this.#draining) throw shuttingDown()
    const asking = [...this.#candidates].filter(({ isLive }) => !isLive)
    checkCounts(ask, asking, { ...this.#deps, live: this.#live })
    const { identified, resource, role, client } = ask
    const { access, clock } = this.#deps
    // Asked for at once: each is a way to another thread, or to another machine, and back.
    const [known, locks, grants] = await Promise.all([
      this.#knownPerson(identified),
      access.standingLocks(),
      access.activeGrants(identified.person, resource, role),
    ])
    const person = expectStanding(known)
    checkNames(ask, person, this.#deps)
    const target = { person: person.id, groups: person.groups, resource, role, addresses: [client.address] }
    const lock = stoppingLock(locks, target, clock.now())
    if (lock !== undefined) throw lockedFault(lock.reason)
    const living = grants.filter(({ id, expiresAt }) => !this.#isOver(id, expiresAt))
    return findGrant(this.#deps, ask, person, living)
  }

  #isOver(grant: GrantId, expiresAt: Instant): boolean {
    return this.#deps.clock.now() >= expiresAt || this.#live.isOver(grant)
  }

  /** From here on the session can be cut off. */
  #begin(ask: Ask, { grant, basis }: GrantCandidate, candidate: Candidate): Opening {
    const known = this.#live.asKnown(this.#describe(ask, grant), basis)
    const live = new LiveSession(known.session, grant, known.basis, this.#host)
    this.#live.add(live)
    candidate.isLive = true
    this.#catchUp(live, candidate)
    if (live.cutOff.aborted) {
      this.#giveUp(live, live.cutOff.reason)
      throw live.cutOff.reason
    }
    const admitted = this.#admitted(live, ask, grant, candidate)
    admitted.catch(() => undefined) // its holder may hear of it later than it happens
    return { session: live.session, cutOff: live.cutOff, told: () => live.told(), admitted }
  }

  async #admitted(live: LiveSession, ask: Ask, grant: Active, candidate: Candidate): Promise<Admission> {
    try {
      await this.#start(live, ask, grant)
      this.#catchUp(live, candidate)
      if (!live.cutOff.aborted) return live
      await live.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })
      throw live.cutOff.reason
    } catch (error) {
      this.#giveUp(live, error)
      await this.#recordRefusal(ask, error)
      throw error
    } finally {
      this.#candidates.delete(candidate)
    }
  }

  async #start(live: LiveSession, ask: Ask, grant: Active): Promise<void> {
    const { session } = live
    const { recorder, used } = await writeStart(this.#deps, ask, session, grant, (cause) => {
      live.cut(new Fault('RECORDING_FAILED', 'The recording cannot be written.', { cause }))
    })
    live.begun(recorder, used, isExtendable(this.#deps.rules, used, live.basis))
    this.#deps.metrics.add('curfew_sessions_started_total', { protocol: session.client.protocol })
  }

  /** What came while it was being admitted. */
  #catchUp(live: LiveSession, { changes }: Candidate): void {
    this.#live.foresee(live)
    this.#live.catchUp(live, changes)
    if (this.#draining) live.cut(shuttingDown())
    if (this.#isOver(live.session.grant, live.deadline.value)) live.expire()
  }

  #giveUp(live: LiveSession, error: unknown): void {
    live.giveUp(asFault(error) ?? new Fault('STORE_FAILED', 'The session could not be begun.', { cause: error }))
    this.#live.remove(live)
  }

  #describe({ identified, resource, role, database, client }: Ask, grant: Active): Session {
    const { clock, random, node } = this.#deps
    const startedAt = clock.now()
    return {
      id: random.id('session'),
      ...identified,
      grant: grant.id,
      resource,
      role,
      database,
      client,
      node,
      startedAt,
    }
  }

  async #finished(live: LiveSession, end: SessionEnd): Promise<void> {
    const { sessions, log, metrics } = this.#deps
    const { session, recorder } = live
    this.#live.remove(live)
    metrics.add('curfew_sessions_ended_total', { by: end.by, code: end.code ?? 'none' })
    const { code, message, by } = end
    // Sealed first: whoever reads that a session is over finds its recording whole.
    await recorder
      .seal({ at: isoTime(end.at), by, code, message, cutLatencyMs: end.cutLatencyMs })
      .catch((error: unknown) => log.error({ session: session.id, error }, 'session end not kept'))
    const write = async (tx: SessionTx) => {
      if (!(await tx.endSession(session.id, end))) return
      if (recorder.givenUp !== undefined) {
        await tx.record(sessionEvents.recordingGivenUp(session, recorder.givenUp, end.at))
      }
      await tx.record(sessionEvents.ended(session, end))
      await tx.announce({ kind: 'session-ended', session: session.id, person: session.person })
      if (live.isSingle) await noteLastUse(tx, session.grant, end.at)
    }
    await this.#ends.write(session.id, () => sessions.transact(write))
    log.info({ session: session.id, grant: session.grant, by, code, cutLatencyMs: end.cutLatencyMs }, 'session ended')
  }

  async #recordRefusal(ask: Ask, error: unknown): Promise<void> {
    const { sessions, clock, log } = this.#deps
    const fault = asFault(error)
    if (fault === undefined || fault.code === 'STORE_FAILED' || fault.code === 'SHUTTING_DOWN') return
    if (!this.#refusals.count(ask.identified.person)) return
    await sessions
      .transact((tx) => tx.record(sessionEvents.refused(ask, fault, clock.now())))
      .catch((failure: unknown) => log.error({ error: failure }, 'refusal not kept in the audit log'))
  }

  async #knownPerson(identified: Identified): Promise<KnownPerson> {
    const { person, stands } = this.#deps
    const [known, isStanding] = await Promise.all([person(identified.person), stands(identified)])
    return { person: known, isStanding }
  }

  /** By operators for any session, by a person for their own. Any node may be asked; the one that has it ends it. */
  async kill(person: Person, id: SessionId, comment: string): Promise<void> {
    const { sessions, clock, operators } = this.#deps
    if (comment.length > 1000) throw new Fault('INPUT_INVALID', 'The comment is too long.')
    await sessions.transact(async (tx) => {
      const row = await tx.session(id)
      if (row === undefined || row.end !== null) throw new Fault('NOT_FOUND', 'There is no such live session.')
      if (row.session.person !== person.id && !isStaff(person, operators)) {
        throw new Fault('NOT_ALLOWED', 'Only operators end the sessions of others.')
      }
      const by = displayName(person)
      await tx.record(sessionEvents.killed(row.session, { id: person.id, name: by }, comment || null, clock.now()))
      await tx.announce({ kind: 'session-killed', session: id, by, comment: comment || null })
    })
  }

  /**
   * Other rules hold, other resources are there, or addresses are in other countries than before: sessions that would not be
   * admitted now end.
   */
  judgeAgain(): void {
    for (const live of this.#live.all()) this.#live.foresee(live)
  }

  /** The second line; see LiveRegistry. */
  sweep(): number {
    void this.#ends.tryAgain()
    return this.#live.sweep()
  }

  /** Ends what a stopped gateway of this name left behind. Runs before the first session. */
  async closeStranded(): Promise<number> {
    const { sessions, clock, node } = this.#deps
    const rows = (await sessions.sessions({ live: true, limit: 100_000 })).filter((row) => row.session.node === node)
    for (const { session } of rows) {
      const end = strandedEnd(clock.now())
      await sessions.transact(async (tx) => {
        if (!(await tx.endSession(session.id, end))) return
        await tx.record(sessionEvents.ended(session, end))
        await noteLastUse(tx, session.grant, end.at)
      })
    }
    return rows.length
  }

  get draining(): boolean {
    return this.#draining
  }

  get liveCount(): number {
    return this.#live.size
  }

  /** Refuses new sessions, warns the live ones, lets them go on for `graceMs`, then ends them and waits for their ends. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true
    if (graceMs > 0 && this.#live.size > 0) {
      this.#deps.log.info({ live: this.#live.size, graceMs }, `draining for ${formatDuration(graceMs)}`)
      for (const live of this.#live.all()) live.warn(graceMs, 'shutdown')
      await this.#emptyWithin(graceMs)
    }
    const rest = this.#live.all()
    for (const live of rest) live.cut(shuttingDown())
    await this.#emptyWithin(10_000)
    await Promise.allSettled(rest.flatMap((live) => live.ended ?? []))
  }

  async #emptyWithin(limitMs: number): Promise<void> {
    const { clock } = this.#deps
    const untilMs = clock.monotonicMs() + limitMs
    while (this.#live.size > 0 && clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => clock.after(20, resolve))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
    await this.#ends.tryAgain()
    this.#subscription[Symbol.dispose]()
  }
}

interface KnownPerson {
  readonly person: Person | undefined
  readonly isStanding: boolean
}

function expectStanding({ person, isStanding }: KnownPerson): Person {
  if (person === undefined) throw new Fault('NOT_ALLOWED', 'Nobody is known by this sign-in.')
  if (isStanding) return person
  throw new Fault('SIGNED_OUT', 'The sign-in or token that this connection came in by has ended.')
}

function shuttingDown(): Fault {
  return new Fault('SHUTTING_DOWN', 'The gateway is shutting down.')
}

function strandedEnd(at: Instant): SessionEnd {
  return {
    at,
    by: 'gate',
    code: 'SHUTTING_DOWN',
    message: 'The gateway stopped without ending this session; its connection ended with it.',
    cutLatencyMs: null,
    bytesFromClient: 0,
    bytesFromTarget: 0,
  }
}
