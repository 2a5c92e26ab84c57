import { auditEvent } from '../../../audit/event.ts'
import type { Change } from '../../../kernel/change.ts'
import { asFault, Fault } from '../../../kernel/fault.ts'
import { Secret } from '../../../kernel/secret.ts'
import { later, type Instant, type Timer } from '../../../kernel/time.ts'
import type { Admission } from '../../../sessions/admission.ts'
import type { DatabaseUser } from '../../../sessions/database-users.ts'
import type { Session } from '../../../sessions/session.ts'
import { scramVerifier } from '../scram.ts'
import { unlessAborted } from '../unless-aborted.ts'
import { asAdministrator, StatementRefused, type Administrator, type MakingRole } from './administrator.ts'
import { isElsewhere, makingRoles, type DatabaseUsersDeps } from './deps.ts'
import { makeUser, moveEnd } from './make.ts'
import { userName } from './names.ts'
import { findUsers, type FoundUser } from './remove.ts'
import { keyOf, Removals, type RemovalCause } from './removals.ts'
import { Turns } from './turns.ts'

/** What a session logs in with. */
export interface LentUser {
  readonly name: string
  readonly password: Secret
  /** The session's connection is over. */
  giveBack(): void
}

export interface DatabaseUsers extends AsyncDisposable {
  /**
   * The user of the session's grant, made if it is not there: one for all sessions of the grant, however many come at once.
   * @param signal ends the wait; its reason is what this rejects with.
   * @throws Fault UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE, UPSTREAM_TLS; the cause tells the operators more.
   */
  lend(admission: Admission, making: MakingRole, signal: AbortSignal): Promise<LentUser>
}

/** A user that sessions may use. */
interface Held {
  readonly name: string
  /** As the user is at the target now: a changed configuration may want it otherwise. */
  making: MakingRole
  readonly session: Session
  readonly password: Secret
  readonly made: Promise<void>
  /** Set when it is written down. */
  row: DatabaseUser | undefined
  /** What is done to it at the target, one thing after the other; never rejects. */
  work: Promise<void>
  validUntil: Instant
  uses: number
  timer: Timer | undefined
}

/** Connections to one target for making and dropping. */
const turnsMax = 4
const lookMs = 10 * 60_000
/** A grant that is over for so long without anybody having said so was missed. */
const missedMs = 60_000
const timerMsMax = 2 ** 31 - 1

/** Begins to remove what an earlier run left behind, and looks for more of it from time to time. */
export async function startDatabaseUsers(deps: DatabaseUsersDeps): Promise<DatabaseUsers> {
  const users = new GrantUsers(deps)
  await users.removeStanding()
  users.look()
  return users
}

class GrantUsers implements DatabaseUsers {
  readonly #deps: DatabaseUsersDeps
  readonly #turns = new Turns(turnsMax)
  readonly #held = new Map<string, Held>()
  readonly #removals: Removals
  readonly #subscription: Disposable
  readonly #stop = new AbortController()
  /** They own something, and the log has said so. */
  readonly #disabled = new Set<string>()
  /** Resources of which the metrics say something. */
  readonly #counted = new Set<string>()
  #looking: Promise<void> = Promise.resolve()
  #nextLook: Timer | undefined

  constructor(deps: DatabaseUsersDeps) {
    this.#deps = deps
    this.#removals = new Removals(deps, this.#turns, () => this.#count())
    this.#subscription = deps.changes.subscribe((change) => this.#apply(change))
  }

  async lend(admission: Admission, making: MakingRole, signal: AbortSignal): Promise<LentUser> {
    const { session, deadline } = admission
    const resource = making.resource.name
    const name = userName(session.personName, session.grant)
    const before = this.#held.get(keyOf(resource, name))
    if (before !== undefined && isElsewhere(before.making, making)) this.#leave(before, 'moved')
    while (this.#removals.has(resource, name)) await unlessAborted(this.#removals.callOff(resource, name), signal)
    signal.throwIfAborted()
    if (this.#stop.signal.aborted) throw new Fault('SHUTTING_DOWN', 'The gateway is shutting down.')
    const held = this.#held.get(keyOf(resource, name)) ?? this.#begin(name, making, session, deadline.value)
    held.uses++
    held.timer?.cancel()
    const giveBack = once(() => this.#givenBack(held, asFault(admission.cutOff.reason)?.code === 'LOCKED'))
    try {
      await unlessAborted(held.made, signal)
      if (held.making.resource !== making.resource) await unlessAborted(this.#renew(held, making), signal)
      if (held.validUntil !== deadline.value) await unlessAborted(this.#move(held, deadline.value), signal)
    } catch (error) {
      giveBack()
      signal.throwIfAborted()
      throw this.#refusal(resource, error)
    }
    return { name, password: held.password, giveBack }
  }

  #begin(name: string, making: MakingRole, session: Session, validUntil: Instant): Held {
    const password = new Secret(Buffer.from(this.#deps.random.bytes(32)).toString('base64url'))
    const { promise: made, resolve, reject } = Promise.withResolvers<void>()
    const work = made.catch(() => undefined) // whoever waits for `made` says so
    const held: Held = {
      ...{ name, making, session, password, made, work, validUntil },
      ...{ row: undefined, uses: 0, timer: undefined },
    }
    this.#held.set(keyOf(making.resource.name, name), held)
    this.#count()
    this.#make(held).then(resolve, (error: unknown) => {
      this.#drop(held)
      reject(error)
    })
    return held
  }

  async #make(held: Held): Promise<void> {
    const { store, clock, metrics, log } = this.#deps
    const { name, making, session } = held
    const resource = making.resource.name
    const known = await store.latest(resource, name)
    const isNew = known === undefined || known.end !== null
    const row = isNew ? this.#plan(held) : known
    if (isNew) await store.plan(row)
    held.row = row
    let isBegun = false
    try {
      await this.#administer(making, (administrator) => {
        isBegun = true
        return this.#makeAt(administrator, held)
      })
    } catch (error) {
      metrics.add('curfew_database_users_total', { resource, outcome: 'refused' })
      const isAbsent = isNew && (!isBegun || error instanceof StatementRefused)
      if (isAbsent) await store.end(row.id, { at: clock.now(), outcome: 'absent' }, null)
      else this.#leave(held, 'not-made')
      throw error
    }
    const { person: id, personName, grant, id: sessionId } = session
    const data = { user: name, resource, role: making.role.name, grant, session: sessionId }
    await store.made(row.id, clock.now(), auditEvent('database-user.made', clock.now(), { id, name: personName }, data))
    metrics.add('curfew_database_users_total', { resource, outcome: 'made' })
    log.info({ ...data, person: personName }, 'a database user was made')
  }

  #plan({ name, making, session }: Held): DatabaseUser {
    const { random, clock } = this.#deps
    const [resource, role] = [making.resource.name, making.role.name]
    const id = random.id('dbuser')
    return { id, grant: session.grant, resource, role, name, plannedAt: clock.now(), madeAt: null, end: null }
  }

  async #makeAt(administrator: Administrator, { name, making, session, password, validUntil }: Held): Promise<void> {
    const verifier = await scramVerifier(password.reveal(), this.#deps.random.bytes(16))
    const [resource, role] = [making.resource.name, making.role.name]
    const mark = { gateway: this.#deps.node, resource, role, grant: session.grant, person: session.personName }
    await makeUser(administrator, { name, mark, verifier, validUntil }, making)
  }

  #administer<T>(making: MakingRole, work: (administrator: Administrator) => Promise<T>): Promise<T> {
    const { signal } = this.#stop
    return this.#turns.run(making.resource.name, signal, () => asAdministrator(making, signal, this.#deps, work))
  }

  /** Gives it the rights and settings that the role says now, and takes all others. */
  #renew(held: Held, making: MakingRole): Promise<void> {
    const renewed = held.work.then(async () => {
      if (held.making.resource === making.resource) return
      await this.#administer(making, (administrator) => this.#makeAt(administrator, { ...held, making }))
      held.making = making
    })
    held.work = renewed.catch(() => undefined) // whoever asked for it says so
    return renewed
  }

  /** After what is being done to it. */
  #move(held: Held, validUntil: Instant): Promise<void> {
    const moved = held.work.then(async () => {
      if (held.validUntil === validUntil) return
      await this.#administer(held.making, (administrator) => moveEnd(administrator, held.name, validUntil))
      held.validUntil = validUntil
    })
    held.work = moved.catch(() => undefined) // whoever asked for it says so
    return moved
  }

  #refusal(resource: string, error: unknown): unknown {
    const code = error instanceof StatementRefused ? 'UPSTREAM_REFUSED' : asFault(error)?.code
    if (code === undefined) return error
    const hint = 'Tell your operations people; the gateway’s log says what the target answered.'
    return new Fault(code, `${resource} could not make a user for you.`, { cause: error, hint })
  }

  #givenBack(held: Held, isLocked: boolean): void {
    held.uses--
    if (held.uses > 0 || !this.#isHeld(held)) return
    const { keepMs } = held.making.user
    if (isLocked) this.#leave(held, 'locked')
    else held.timer = this.#deps.clock.after(Math.min(keepMs, timerMsMax), () => this.#leave(held, 'unused'))
  }

  #isHeld(held: Held): boolean {
    return this.#held.get(keyOf(held.making.resource.name, held.name)) === held
  }

  #drop(held: Held): void {
    held.timer?.cancel()
    if (this.#isHeld(held)) this.#held.delete(keyOf(held.making.resource.name, held.name))
    this.#count()
  }

  /** Nobody gets it any more, and it goes. */
  #leave(held: Held, cause: RemovalCause): void {
    if (!this.#isHeld(held)) return
    this.#drop(held)
    const { making, name, session, work } = held
    const leaving = { resource: making.resource.name, role: making.role.name, name, grant: session.grant, cause }
    this.#removals.start({ ...leaving, making, row: () => held.row ?? null }, work)
  }

  #apply(change: Change): void {
    if (change.kind !== 'grant-ended' && change.kind !== 'grant-moved') return
    for (const held of [...this.#held.values()].filter(({ session }) => session.grant === change.grant)) {
      if (change.kind === 'grant-ended') this.#leave(held, 'grant-ended')
      else this.#move(held, change.expiresAt).catch((error: unknown) => this.#notMoved(held, error))
    }
  }

  #notMoved({ name, making }: Held, error: unknown): void {
    const fields = { resource: making.resource.name, user: name, error }
    this.#deps.log.warn(fields, 'the end of a database user could not be moved; the next session tries again')
  }

  /** Those that the state knows of and nobody uses. */
  async removeStanding(): Promise<void> {
    for (const row of await this.#deps.store.standing()) {
      if (this.#held.has(keyOf(row.resource, row.name))) continue
      this.#removals.start({ ...row, row: () => row, cause: 'left-over' })
    }
  }

  /** The second line, now and from then on. */
  look(): void {
    this.#looking = this.#lookOnce().catch((error: unknown) => {
      this.#deps.log.error({ error }, 'the look for database users that should be gone failed')
    })
    void this.#looking.then(() => {
      if (this.#stop.signal.aborted) return
      this.#nextLook = this.#deps.clock.after(lookMs, () => this.look())
    })
  }

  async #lookOnce(): Promise<void> {
    const { catalogue, clock } = this.#deps
    for (const held of this.#held.values()) {
      if (later(held.validUntil, missedMs) < clock.now()) this.#leave(held, 'grant-ended')
    }
    await this.removeStanding()
    for (const { name } of catalogue.resources) await this.#lookAt(name)
  }

  async #lookAt(resource: string): Promise<void> {
    const [making] = makingRoles(this.#deps.catalogue, resource)
    if (making === undefined) return
    try {
      const find = (administrator: Administrator) => findUsers(administrator, this.#deps.node, resource)
      for (const found of await this.#administer(making, find)) await this.#judge(resource, found)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#deps.log.warn({ resource, error }, 'the target could not be searched for database users')
    }
  }

  /** Written down before it is made: so what was found and is not known now was never known, or is over. */
  async #judge(resource: string, { name, mark, owns }: FoundUser): Promise<void> {
    const key = keyOf(resource, name)
    const row = await this.#deps.store.latest(resource, name)
    if (this.#held.has(key) || this.#removals.has(resource, name)) return
    if (owns && (this.#disabled.has(key) || row?.end?.outcome === 'disabled')) return
    if (owns) this.#disabled.add(key)
    const { role, grant } = mark
    const standing = row !== undefined && row.end === null ? row : null
    this.#removals.start({ resource, role, name, grant, row: () => standing, cause: 'left-over' })
  }

  #count(): void {
    const { catalogue, metrics } = this.#deps
    const removals = [...this.#removals.counts()]
    const held = [...this.#held.values()].map(({ making }) => ({ resource: making.resource.name, failed: false }))
    const all = Map.groupBy([...removals, ...held], ({ resource }) => resource)
    const there = catalogue.resources.map(({ name }) => name)
    for (const resource of new Set([...there, ...all.keys(), ...this.#counted])) {
      const here = all.get(resource) ?? []
      if (here.length === 0 && makingRoles(catalogue, resource).length === 0) {
        if (!this.#counted.delete(resource)) continue
        metrics.forget('curfew_database_users', { resource })
        metrics.forget('curfew_database_users_overdue', { resource })
        continue
      }
      this.#counted.add(resource)
      metrics.set('curfew_database_users', { resource }, here.length)
      metrics.set('curfew_database_users_overdue', { resource }, here.filter(({ failed }) => failed).length)
    }
  }

  /** Sessions are over by now: what they used goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]()
    for (const held of this.#held.values()) this.#leave(held, 'gateway-stopped')
    this.#stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
    this.#nextLook?.cancel()
    await this.#looking
    await this.#removals[Symbol.asyncDispose]()
  }
}

/** `work` goes on; only the wait ends. */
function once(work: () => void): () => void {
  let done = false
  return () => {
    if (!done) work()
    done = true
  }
}
