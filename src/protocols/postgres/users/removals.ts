import { auditEvent, theGateway, type AuditEvent } from '../../../audit/event.ts'
import type { Timer } from '../../../kernel/time.ts'
import type { DatabaseUser } from '../../../sessions/database-users.ts'
import { asAdministrator, type MakingRole } from './administrator.ts'
import { isElsewhere, makingRoles, type DatabaseUsersDeps } from './deps.ts'
import { removeUser, type Removed } from './remove.ts'
import type { Turns } from './turns.ts'

/** Why a user goes. */
export type RemovalCause = 'grant-ended' | 'locked' | 'unused' | 'not-made' | 'gateway-stopped' | 'left-over' | 'moved'

/** A user that has to go. */
export interface Leaving {
  readonly resource: string
  readonly role: string
  readonly name: string
  readonly grant: string
  /** Who made it, and where it is; absent: whom and where the configuration says now. */
  readonly making?: MakingRole
  /** Null: the state knows nothing of it, or thinks that it is gone. Asked when it is gone. */
  readonly row: () => DatabaseUser | null
  readonly cause: RemovalCause
}

interface Removal {
  readonly leaving: Leaving
  /** Set while it is being tried. */
  running: Promise<void> | undefined
  timer: Timer | undefined
  attempts: number
}

const firstWaitMs = 1_000
const waitMsMax = 5 * 60_000
const disposeMsMax = 10_000

export function keyOf(resource: string, name: string): string {
  return `${resource}/${name}`
}

/** Takes users away from targets, again and again until they are gone. One attempt at a time for each. */
export class Removals implements AsyncDisposable {
  readonly #deps: DatabaseUsersDeps
  readonly #turns: Turns
  readonly #counted: () => void
  readonly #removals = new Map<string, Removal>()
  readonly #stop = new AbortController()
  #stopping = false

  /** @param counted runs when one came or went. */
  constructor(deps: DatabaseUsersDeps, turns: Turns, counted: () => void) {
    this.#deps = deps
    this.#turns = turns
    this.#counted = counted
  }

  has(resource: string, name: string): boolean {
    return this.#removals.has(keyOf(resource, name))
  }

  /** How many are waited for at each resource, and how many of them were tried in vain. */
  *counts(): Iterable<{ resource: string; failed: boolean }> {
    for (const { leaving, attempts } of this.#removals.values()) {
      yield { resource: leaving.resource, failed: attempts > 0 }
    }
  }

  /** @param after what must be over first; it never rejects. */
  start(leaving: Leaving, after: Promise<void> = Promise.resolve()): void {
    const key = keyOf(leaving.resource, leaving.name)
    if (this.#removals.has(key)) return
    const removal: Removal = { leaving, running: undefined, timer: undefined, attempts: 0 }
    this.#removals.set(key, removal)
    this.#try(key, removal, after)
    this.#counted()
  }

  /** Lets a user stay after all, unless it is gone already: returns when nothing is done about it any more. */
  async callOff(resource: string, name: string): Promise<void> {
    const key = keyOf(resource, name)
    for (let removal = this.#removals.get(key); removal !== undefined; removal = this.#removals.get(key)) {
      if (removal.running === undefined) this.#forget(key, removal)
      else await removal.running
    }
  }

  #try(key: string, removal: Removal, after?: Promise<void>): void {
    removal.timer = undefined
    removal.running = this.#attempt(removal, after).then(
      () => this.#forget(key, removal),
      (error: unknown) => this.#failed(key, removal, error),
    )
  }

  #forget(key: string, removal: Removal): void {
    removal.timer?.cancel()
    removal.running = undefined
    this.#removals.delete(key)
    this.#counted()
  }

  async #attempt({ leaving }: Removal, after?: Promise<void>): Promise<void> {
    await after
    const { catalogue, node, log, metrics } = this.#deps
    const { resource, role, name } = leaving
    const [now] = makingRoles(catalogue, resource, role)
    // The configuration of now has the administrator's password of now.
    const isThere = leaving.making === undefined || (now !== undefined && !isElsewhere(leaving.making, now))
    const making = isThere ? now : leaving.making
    if (making === undefined) throw new Error('no role of the resource makes users any more: drop it by hand')
    const { signal } = this.#stop
    const removed = await this.#turns.run(resource, signal, () =>
      asAdministrator(making, signal, this.#deps, (administrator) => removeUser(administrator, name, node)),
    )
    await this.#keep(leaving, removed)
    const fields = { resource, user: name, grant: leaving.grant, cause: leaving.cause }
    if (removed.outcome === 'absent') return
    metrics.add('curfew_database_users_total', { resource, outcome: removed.outcome })
    if (removed.outcome === 'dropped') log.info(fields, 'a database user was dropped')
    else log.warn({ ...fields, owns: removed.owns }, 'a database user owns something: it was disabled, not dropped')
  }

  async #keep(leaving: Leaving, removed: Removed): Promise<void> {
    const { store, audit, clock } = this.#deps
    const at = clock.now()
    const event = removalEvent(leaving, removed, at)
    const row = leaving.row()
    if (row !== null) await store.end(row.id, { at, outcome: removed.outcome }, event)
    else if (event !== null) await audit.append([event])
  }

  #failed(key: string, removal: Removal, error: unknown): void {
    const { clock, log, metrics } = this.#deps
    const { resource, name, grant } = removal.leaving
    removal.running = undefined
    removal.attempts++
    if (this.#stopping) {
      log.warn(
        { resource, user: name, grant, error },
        'a database user could not be removed; the next start tries again',
      )
      this.#removals.delete(key)
      return
    }
    const waitMs = Math.min(waitMsMax, firstWaitMs * 2 ** Math.min(20, removal.attempts - 1))
    log.warn({ resource, user: name, grant, waitMs, error }, 'a database user could not be removed; it is tried again')
    metrics.add('curfew_database_users_total', { resource, outcome: 'failed' })
    removal.timer = clock.after(waitMs, () => this.#try(key, removal))
    this.#counted()
  }

  /** Those that are under way are given some seconds; the next start does the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true
    for (const [key, removal] of this.#removals) if (removal.running === undefined) this.#forget(key, removal)
    const timer = this.#deps.clock.after(disposeMsMax, () => this.#stop.abort(new Error('the gateway stops')))
    await Promise.all([...this.#removals.values()].map(async ({ running }) => running))
    timer.cancel()
  }
}

function removalEvent(leaving: Leaving, { outcome, owns }: Removed, at: AuditEvent['at']): AuditEvent | null {
  if (outcome === 'absent') return null
  const { name: user, resource, role, grant, cause } = leaving
  const data = { user, resource, role, grant, cause, ...(outcome === 'disabled' && { owns }) }
  return auditEvent(`database-user.${outcome}`, at, theGateway, data)
}
