import type { Assertions } from '../../identity/assertion.ts'
import { Fault, asFault } from '../../kernel/fault.ts'
import { isoTime, type Clock } from '../../kernel/time.ts'
import { displayName, type Person } from '../../identity/person.ts'
import type { HttpClaim, HttpResource, HttpRole } from '../../resources/catalogue.ts'
import type { Admission } from '../../sessions/admission.ts'
import { announceEnds } from '../../sessions/announce-ends.ts'
import type { EncodedLines } from './encoded-lines.ts'
import { groupList, ownHeaders, targetPlaces, type ClientFacts, type OwnHeaders } from './forward-headers.ts'
import type { RequestHead } from './request-head.ts'
import { compileRules, type Rules } from './rules.ts'
import type { HttpTarget, RawHeaders } from './targets/target.ts'
import { HttpTranscript } from './transcript.ts'

/** A request that is under way. Both are called by its session, `teardown` some moments after `cut`. */
export interface LiveExchange {
  /** The session ends now: stops, tells the client why as far as HTTP still lets it, and writes the end down. */
  cut(fault: Fault): void
  /** Leaves the target, and the client if it lingers. */
  teardown(): void
}

export interface HttpSessionParts {
  readonly admission: Admission
  readonly resource: HttpResource
  readonly role: HttpRole
  readonly target: HttpTarget
  readonly assertions: Assertions
  readonly clock: Clock
  readonly lines: EncodedLines
  readonly idleMsMax: number
  /** It takes no more requests; called once. */
  readonly onOver: (session: HttpSession) => void
}

/** How long the ends of requests are waited for when the session was cut; then it is given back all the same. */
const lastEndsMs = 2000
const entriesMax = 1000
const exchangesMax = 2000

/** One person in one role at one application: many requests, over as many connections as they like, under one admission. */
export class HttpSession {
  readonly admission: Admission
  readonly resource: HttpResource
  readonly role: HttpRole
  readonly target: HttpTarget
  readonly transcript: HttpTranscript
  readonly rules: Rules
  /** The ways in by which requests of it came: those learn why it ended. */
  readonly entries = new Set<string>()
  /** Names of headers that are recorded besides the usual ones, and of query parameters whose values are not. */
  readonly recordedNames: ReadonlySet<string>
  readonly maskedNames: ReadonlySet<string>
  /** For the name by which the last request came: an application may have several. */
  #places: { readonly origin: string; readonly own: ClientFacts['targetPlaces'] } | undefined
  /** Who the person is may change while the session lives; then it is another object. */
  #own: { readonly person: Person; readonly headers: OwnHeaders } | undefined
  readonly #parts: HttpSessionParts
  readonly #exchanges = new Set<LiveExchange>()
  readonly #warnings: Disposable
  readonly #onCut = () => this.#cut()
  #lastUsedMs: number
  #idleTimer: { cancel(): void } | undefined
  #lastEnd: (() => void) | undefined
  #isOver = false
  #isRetired = false
  #isWarned = false
  #bytesFromClient = 0
  #bytesFromTarget = 0

  constructor(parts: HttpSessionParts) {
    const { admission, resource, role, target, clock } = parts
    this.#parts = parts
    this.admission = admission
    this.resource = resource
    this.role = role
    this.target = target
    this.rules = compileRules(role)
    this.transcript = new HttpTranscript(admission.recorder, clock, parts.lines)
    this.recordedNames = new Set(resource.recordHeaders)
    this.maskedNames = new Set(resource.maskQuery)
    this.#lastUsedMs = clock.monotonicMs()
    this.#warnings = announceEnds(admission, (text) => {
      this.#isWarned = true
      this.transcript.message('warning', text)
    })
    admission.cutOff.addEventListener('abort', this.#onCut, { once: true })
    if (admission.cutOff.aborted) this.#cut()
    else this.#watchIdle(parts.idleMsMax)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** As many requests as one person may have under way. */
  get isFull(): boolean {
    return this.#exchanges.size >= exchangesMax
  }

  /** Near its end, each answer says when that is; there is nothing else to say it with. */
  get warningHeaders(): RawHeaders {
    return this.#isWarned ? ['Curfew-Access-Ends', isoTime(this.admission.deadline.value)] : []
  }

  get assertions(): Assertions {
    return this.#parts.assertions
  }

  /** What the target is told about the person. */
  ownHeaders(person: Person): OwnHeaders {
    if (this.#own?.person !== person) {
      const mapped = Object.values(this.resource.roles).flatMap(({ headers }) => Object.keys(headers))
      this.#own = { person, headers: ownHeaders(this.role, claimsOf(person, this.role.name), mapped) }
    }
    return this.#own.headers
  }

  clientFacts(version: RequestHead['version'], publicOrigin: string): ClientFacts {
    if (this.#places?.origin !== publicOrigin) {
      this.#places = { origin: publicOrigin, own: targetPlaces(this.resource.addresses, publicOrigin) }
    }
    return { version, publicOrigin, targetPlaces: this.#places.own }
  }

  /** What the target gets as Host. */
  hostFor(typed: string): string {
    if (this.resource.hostHeader === 'keep') return typed
    const { host, port, tls } = this.resource.addresses[0]
    const bracketed = host.includes(':') ? `[${host}]` : host
    return port === (tls ? 443 : 80) ? bracketed : `${bracketed}:${port}`
  }

  /** @param entry of the cookie that the request came with. */
  begin(exchange: LiveExchange, entry: string | null): void {
    this.#exchanges.add(exchange)
    if (entry !== null && this.entries.size < entriesMax) this.entries.add(entry)
  }

  ended(exchange: LiveExchange, bytesFromClient: number, bytesFromTarget: number): void {
    if (!this.#exchanges.delete(exchange)) return
    this.#bytesFromClient += bytesFromClient
    this.#bytesFromTarget += bytesFromTarget
    this.#lastUsedMs = this.#parts.clock.monotonicMs()
    if (this.#exchanges.size > 0) return
    this.#lastEnd?.()
    if (this.#isRetired && !this.#isOver) this.#makeRoom()
  }

  /** What it is for is another now: what is under way goes on, and with the last of it the session is over. */
  retire(): void {
    this.#isRetired = true
    if (!this.#isOver && this.#exchanges.size === 0) this.#makeRoom()
  }

  #watchIdle(leftMs: number): void {
    const { clock, idleMsMax } = this.#parts
    this.#idleTimer = clock.after(leftMs, () => {
      const idleMs = clock.monotonicMs() - this.#lastUsedMs
      if (this.#exchanges.size > 0) this.#watchIdle(idleMsMax)
      else if (idleMs < idleMsMax) this.#watchIdle(idleMsMax - idleMs)
      else this.#leave()
    })
  }

  #makeRoom(): void {
    this.#close()
    const error = new Fault(
      'POLICY_CHANGED',
      `${this.resource.name} was configured anew; the next request opens another session.`,
    )
    this.#end({ by: 'gate', error })
  }

  /** Nobody came for long. */
  #leave(): void {
    this.#close()
    this.#end({ by: 'client' })
  }

  #cut(): void {
    const fault = asFault(this.admission.cutOff.reason) ?? new Fault('KILLED', 'The session was ended.')
    this.#close()
    for (const exchange of this.#exchanges) exchange.cut(fault)
    this.transcript.message('cut', `${fault.message} ${fault.hint}`, fault.code)
    this.admission.told()
    this.admission.afterTold(() => {
      for (const exchange of this.#exchanges) exchange.teardown()
      void this.#giveBack(fault)
    })
  }

  async #giveBack(error: Fault): Promise<void> {
    if (this.#exchanges.size > 0) await this.#lastEnds()
    this.#end({ by: 'gate', error })
  }

  #lastEnds(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#parts.clock.after(lastEndsMs, resolve)
    this.#lastEnd = () => {
      timer.cancel()
      resolve()
    }
    return promise
  }

  #close(): void {
    this.#isOver = true
    this.#idleTimer?.cancel()
    this.#warnings[Symbol.dispose]()
    this.admission.cutOff.removeEventListener('abort', this.#onCut)
    this.assertions.forget(this.admission.session)
    this.#parts.onOver(this)
  }

  #end(how: Pick<Parameters<Admission['end']>[0], 'by' | 'error'>): void {
    this.target[Symbol.dispose]()
    void this.admission.end({
      ...how,
      bytesFromClient: this.#bytesFromClient,
      bytesFromTarget: this.#bytesFromTarget,
    })
  }
}

function claimsOf(person: Person, role: string): Readonly<Record<HttpClaim, string | null>> {
  const { id, subject, email, name, groups } = person
  return { id, subject, email, name: name ?? displayName(person), groups: groupList(groups), role }
}
