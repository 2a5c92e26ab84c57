import { lockedFault, stoppingLock, type LockTarget } from '../access/locks.ts'
import type { AccessReads } from '../access/store.ts'
import type { Person } from '../identity/person.ts'
import type { Change } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, SessionId } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { Rules } from '../policy/rules.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import { foresee, refusal, type Basis } from './basis.ts'
import type { LiveSession } from './live-session.ts'
import type { Session } from './session.ts'
import { endedBy, endingReason, expiredFault, type AskLink } from './reasons.ts'
import { sharing } from './share.ts'

export interface RegistryDeps {
  readonly rules: Rules
  readonly catalogue: Catalogue
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly access: Pick<AccessReads, 'standingLocks'>
  readonly askLink: AskLink
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** How long past its end a session may live before the sweeper calls it missed. */
const missedGraceMs = 1000
/** How long before the end of what is foreseen it is looked further. */
const lookAheadMs = 3_600_000
/** The two clocks drifting apart by more than this between two sweeps is a jump, not a slew. */
const jumpMsMin = 250

/** The live sessions of this node, and everything that may end many of them at once. */
export class LiveRegistry {
  readonly #deps: RegistryDeps
  readonly #byId = new Map<SessionId, LiveSession>()
  readonly #byGrant = new Map<GrantId, Set<LiveSession>>()
  /** The last that came under a grant: what it knows is the newest. */
  readonly #latest = new Map<GrantId, LiveSession>()
  readonly #counts = new Map<PersonId, number>()
  /** Grants whose deadline came here. When the wall clock was set back, the state learns of it only later. */
  readonly #over = new Set<GrantId>()
  #clockOffsetMs: number

  constructor(deps: RegistryDeps) {
    this.#deps = deps
    this.#clockOffsetMs = deps.clock.now() - deps.clock.monotonicMs()
  }

  get size(): number {
    return this.#byId.size
  }

  all(): readonly LiveSession[] {
    return [...this.#byId.values()]
  }

  /** Sessions of one person in one role. */
  countIn({ person, resource, role }: Pick<Session, 'person' | 'resource' | 'role'>): number {
    let count = 0
    for (const { session } of this.#byId.values()) {
      if (session.person === person && session.resource === resource && session.role === role) count += 1
    }
    return count
  }

  countOf(person: PersonId): number {
    return this.#counts.get(person) ?? 0
  }

  /** What others under its grant know already lies in memory once. */
  asKnown(session: Session, basis: Basis): { readonly session: Session; readonly basis: Basis } {
    const latest = this.#latest.get(session.grant)
    return { session: sharing(session, latest?.session), basis: sharing(basis, latest?.basis) }
  }

  add(live: LiveSession): void {
    const { id, grant, person } = live.session
    this.#counts.set(person, this.countOf(person) + 1)
    this.#byId.set(id, live)
    const siblings = this.#byGrant.get(grant)
    if (siblings === undefined) this.#byGrant.set(grant, new Set([live]))
    else siblings.add(live)
    this.#latest.set(grant, live)
    this.#count()
  }

  remove(live: LiveSession): void {
    const { id, grant, person } = live.session
    if (!this.#byId.delete(id)) return
    const left = this.countOf(person) - 1
    if (left > 0) this.#counts.set(person, left)
    else this.#counts.delete(person)
    const siblings = this.#byGrant.get(grant)
    siblings?.delete(live)
    const [other] = siblings ?? []
    if (other === undefined) {
      this.#byGrant.delete(grant)
      this.#latest.delete(grant)
    } else if (this.#latest.get(grant) === live) this.#latest.set(grant, other)
    this.#count()
  }

  isOver(grant: GrantId): boolean {
    return this.#over.has(grant)
  }

  apply(change: Change): void {
    if (change.kind === 'grant-ended' || change.kind === 'grant-moved') this.#over.delete(change.grant)
    if (change.kind === 'person-changed') return void this.#recheck(change.person)
    const learnedMs = this.#deps.clock.monotonicMs()
    const isEnded = endedBy(change)
    let reason: Fault | undefined
    for (const live of this.#touchedBy(change)) {
      if (change.kind === 'grant-moved') this.#move(live, change.expiresAt)
      else if (isEnded(live)) live.cut((reason ??= endingReason(change, live.session, this.#deps.askLink)), learnedMs)
    }
  }

  /** What came while the session was being admitted. */
  catchUp(live: LiveSession, changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'person-changed' && change.person === live.session.person) void this.#recheck(change.person)
      if (change.kind === 'grant-moved' && change.grant === live.session.grant) this.#move(live, change.expiresAt)
      if (endedBy(change)(live)) live.cut(endingReason(change, live.session, this.#deps.askLink))
    }
  }

  /** Most changes are news of sessions that come and go; looking at every session for each would grow with the square. */
  #touchedBy(change: Change): Iterable<LiveSession> {
    switch (change.kind) {
      case 'grant-ended':
      case 'grant-moved':
        return this.#byGrant.get(change.grant) ?? []
      case 'session-killed': {
        const live = this.#byId.get(change.session)
        return live === undefined ? [] : [live]
      }
      case 'lock-placed':
      case 'signed-out':
      case 'credential-revoked':
        return this.#byId.values()
      default:
        return []
    }
  }

  #move(live: LiveSession, expiresAt: Instant): void {
    live.move(expiresAt)
    this.foresee(live)
  }

  /** Looks when the rules will end a session, so that its own timer does it; cuts it when they do not allow it now. */
  foresee(live: LiveSession): void {
    if (live.cutOff.aborted) return
    const { resource: name, role } = live.session
    const resource = this.#deps.catalogue.resource(name)
    const isThere = resource?.kind === live.session.client.protocol && Object.hasOwn(resource.roles, role)
    if (!isThere) {
      return live.cut(new Fault('POLICY_CHANGED', `There is no ${name} as ${role} any more.`))
    }
    if (resource !== live.basis.resource) live.basis = { ...live.basis, resource }
    const now = this.#deps.clock.now()
    const { closing, lookAgainAt } = foresee(
      this.#deps.rules,
      live.basis,
      live.session.client.address,
      now,
      live.grantEndsAt,
    )
    live.lookAgainAt = lookAgainAt
    if (closing !== null && closing.at <= now) live.cut(closing.fault)
    else live.closing = closing
  }

  async refusalFrom({ basis, lockTarget }: LiveSession, address: string): Promise<Fault | undefined> {
    const fault = refusal(this.#deps.rules, basis, address, this.#deps.clock.now())
    return fault ?? this.#lockOn({ ...lockTarget, addresses: [address] })
  }

  async #lockOn(target: LockTarget): Promise<Fault | undefined> {
    const lock = stoppingLock(await this.#deps.access.standingLocks(), target, this.#deps.clock.now())
    return lock && lockedFault(lock.reason)
  }

  /** The person changed: sessions that the rules would not allow any more end. When in doubt, they end. */
  async #recheck(id: PersonId): Promise<void> {
    const { log } = this.#deps
    const person = await this.#deps.person(id).catch((error: unknown) => {
      log.error({ person: id, error }, 'groups could not be read again; ending the sessions')
      return undefined
    })
    const renewed = new Map<Basis, Basis>()
    for (const live of this.#byId.values()) {
      if (live.session.person !== id) continue
      const { resource: name, role } = live.session
      if (person === undefined) {
        live.cut(new Fault('POLICY_CHANGED', `Your groups no longer allow ${name} as ${role}.`))
        continue
      }
      const basis = renewed.get(live.basis) ?? { ...live.basis, person }
      renewed.set(live.basis, basis)
      live.basis = basis
      this.foresee(live)
    }
    await this.#lookAtLocks(id)
  }

  /** They may have come into a group that is locked. What is placed from now on finds them in it. */
  async #lookAtLocks(id: PersonId): Promise<void> {
    for (const live of this.all()) {
      if (live.session.person !== id || live.cutOff.aborted) continue
      const fault = await this.#lockOn(live.lockTarget).catch((error: unknown) => {
        this.#deps.log.error({ person: id, error }, 'locks could not be read; ending the sessions')
        return lockedFault('the locks cannot be read')
      })
      if (fault !== undefined) live.cut(fault)
    }
  }

  /**
   * All sessions of one grant are told in one go, so that the last hears it no later than it must. The timers of the
   * others come in the same milliseconds, and between them their teardowns would.
   */
  grantOver({ session, deadline }: LiveSession, dueMonotonicMs: number): void {
    const reason = expiredFault(session, deadline.value, this.#deps.askLink)
    this.#over.add(session.grant)
    for (const live of this.#byGrant.get(session.grant) ?? []) {
      if (live.deadline.value <= deadline.value) live.cut(reason, dueMonotonicMs)
    }
  }

  /** Windows close and freezes begin for many at the same instant. */
  windowOver(first: LiveSession, dueMonotonicMs: number): void {
    const closedAt = first.closing?.at ?? this.#deps.clock.now()
    for (const live of this.#byId.values()) {
      if (live.closing !== null && live.closing.at <= closedAt) live.cut(live.closing.fault, dueMonotonicMs)
    }
  }

  /**
   * Runs every second or so. After a jump of the wall clock every deadline looks again at once; then the second
   * line: it ends what should have ended already, and counts it, for that is a bug.
   */
  sweep(): number {
    this.#noticeJump()
    const soon = this.#deps.clock.now() + lookAheadMs
    for (const live of this.all()) if (live.lookAgainAt < Math.min(soon, live.grantEndsAt)) this.foresee(live)
    const missed = this.all().filter((live) => live.missedDeadline(missedGraceMs))
    for (const live of missed) live.expire()
    if (missed.length > 0) this.#deps.metrics.add('curfew_sweeper_found_total', {}, missed.length)
    return missed.length
  }

  #noticeJump(): void {
    const { clock, log } = this.#deps
    const offsetMs = clock.now() - clock.monotonicMs()
    const jumpMs = offsetMs - this.#clockOffsetMs
    this.#clockOffsetMs = offsetMs
    if (Math.abs(jumpMs) < jumpMsMin) return
    log.warn({ jumpMs: Math.round(jumpMs), live: this.size }, 'the wall clock jumped; looking at every deadline')
    for (const live of this.all()) {
      live.clockJumped()
      this.foresee(live)
    }
  }

  #count(): void {
    this.#deps.metrics.set('curfew_sessions_live', {}, this.size)
  }
}
