import type { Access } from '../../access/access.ts'
import type { AppPlace } from '../../identity/apps.ts'
import type { Assertions } from '../../identity/assertion.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Admission, Gate } from '../../sessions/admission.ts'
import type { Client } from '../../sessions/session.ts'
import { EncodedLines } from './encoded-lines.ts'
import { HttpSession } from './http-session.ts'
import type { Known } from './identify.ts'
import type { HttpTargets } from './targets/target.ts'

export interface HttpSessionsDeps {
  readonly gate: Gate
  readonly access: Pick<Access, 'waitForGrant'>
  readonly catalogue: Catalogue
  readonly targets: HttpTargets
  readonly assertions: Assertions
  readonly idleMsMax: number
  readonly clock: Clock
}

/** Whose session it is: one for each sign-in (or token), application and role. */
type Key = string

/** Why a session was ended by the gate, for whoever comes next. */
interface Ended {
  readonly fault: Fault
  readonly entries: ReadonlySet<string>
}

const endedMax = 5000

/** The live sessions at applications: found again by each request, opened at the first. */
export class HttpSessions {
  readonly #deps: HttpSessionsDeps
  readonly #live = new Map<Key, HttpSession>()
  readonly #opening = new Map<Key, Promise<HttpSession>>()
  readonly #ended = new Map<Key, Ended>()
  readonly #lines = new EncodedLines()
  /** Of people who come often: the same objects then. */
  readonly #keys = new WeakMap<Known, { readonly resource: string; readonly key: Key }>()

  constructor(deps: HttpSessionsDeps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#live.size
  }

  find(known: Known, place: AppPlace): HttpSession | undefined {
    return this.#live.get(this.#keyOf(known, place))
  }

  /**
   * Why the session that this request belonged to was ended by the gate. By cookie it is told until its holder has come in
   * again through the gateway's pages; undefined when nothing of the kind happened.
   */
  whyEnded(known: Known, place: AppPlace): Fault | undefined {
    if (this.#ended.size === 0) return undefined
    const { entry } = known
    const ended = this.#ended.get(this.#keyOf(known, place))
    return ended !== undefined && (entry === null || ended.entries.has(entry)) ? ended.fault : undefined
  }

  /**
   * Asks the gate. Many requests that come at once share one answer.
   * @param wait undefined: not at all. Otherwise without a grant it waits for one, so long, until `signal` aborts.
   * @throws Fault whatever the gate or the wait throws
   */
  async open(
    known: Known,
    place: AppPlace,
    client: Client,
    wait?: { readonly waitMs: number; readonly signal: AbortSignal },
  ) {
    try {
      return await this.#openOnce(known, place, client)
    } catch (error) {
      if (wait === undefined || asFault(error)?.code !== 'NO_GRANT') throw error
    }
    const { waitMs, signal } = wait
    const who = { ...known.identified, address: client.address }
    await this.#deps.access.waitForGrant(who, place.resource, known.role, waitMs, signal)
    return this.#openOnce(known, place, client)
  }

  /** Applications may be others than before: sessions for what they were take no more requests, and the next opens another. */
  lookAgain(): void {
    const { catalogue } = this.#deps
    for (const [key, session] of this.#live) {
      if (catalogue.resource(session.resource.name) === session.resource) continue
      this.#live.delete(key)
      session.retire()
    }
  }

  #openOnce(known: Known, place: AppPlace, client: Client): Promise<HttpSession> {
    const key = this.#keyOf(known, place)
    const live = this.#live.get(key)
    if (live !== undefined) return Promise.resolve(live)
    const opening = this.#opening.get(key) ?? this.#admit(key, known, place, client)
    this.#opening.set(key, opening)
    return opening
  }

  async #admit(key: Key, known: Known, place: AppPlace, client: Client): Promise<HttpSession> {
    try {
      const ask = { identified: known.identified, resource: place.resource, role: known.role, database: null, client }
      const session = await this.#start(key, place, await this.#deps.gate.admit(ask))
      this.#ended.delete(key)
      return session
    } finally {
      this.#opening.delete(key)
    }
  }

  async #start(key: Key, place: AppPlace, admission: Admission): Promise<HttpSession> {
    const { catalogue, targets, assertions, clock, idleMsMax } = this.#deps
    const resource = catalogue.resource(place.resource)
    const role = catalogue.role(place.resource, admission.session.role)
    if (resource?.kind !== 'http' || role?.kind !== 'http') {
      const fault = new Fault('RESOURCE_UNKNOWN', 'What this session is for does not exist any more.')
      await admission.end({ by: 'gate', error: fault, bytesFromClient: 0, bytesFromTarget: 0 })
      throw fault
    }
    const session = new HttpSession({
      ...{ admission, resource, role, assertions, clock, idleMsMax, lines: this.#lines },
      target: targets.to(resource, role),
      onOver: (over) => this.#over(key, over),
    })
    if (!session.isOver) this.#live.set(key, session)
    return session
  }

  #over(key: Key, session: HttpSession): void {
    const now = this.#live.get(key)
    // One that made room for another: what becomes of it is nothing to those who are in the other.
    if (now !== undefined && now !== session) return
    this.#live.delete(key)
    const fault = asFault(session.admission.cutOff.reason)
    if (!session.admission.cutOff.aborted || fault === undefined) return
    this.#ended.delete(key)
    this.#ended.set(key, { fault, entries: session.entries })
    if (this.#ended.size > endedMax) this.#ended.delete(this.#ended.keys().next().value!)
  }

  #keyOf(known: Known, { resource }: AppPlace): Key {
    const before = this.#keys.get(known)
    if (before?.resource === resource) return before.key
    const key = `${known.identified.credential} ${resource} ${known.role}`
    this.#keys.set(known, { resource, key })
    return key
  }
}
