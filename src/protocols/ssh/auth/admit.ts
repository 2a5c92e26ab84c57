import type { Access, Offer } from '../../../access/access.ts'
import type { Request } from '../../../access/states.ts'
import type { Identity } from '../../../identity/identity.ts'
import type { Person } from '../../../identity/person.ts'
import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Clock, Instant } from '../../../kernel/time.ts'
import type { Admission, Ask, Gate } from '../../../sessions/admission.ts'
import type { Conversation } from '../conversation.ts'
import {
  askText,
  askTitle,
  grantedText,
  noAccessText,
  waitText,
  waitTitle,
  whatText,
  type WaitFacts,
} from '../texts.ts'
import { WishForm, type FilledWish, type WishField } from './wish-form.ts'

export interface AdmitDeps {
  readonly gate: Pick<Gate, 'admit'>
  readonly access: Pick<Access, 'offer' | 'ask' | 'askLink' | 'requestLink' | 'requestsOf' | 'waitForGrant'>
  readonly identity: Pick<Identity, 'person'>
  /** How long a connection waits for an approval; 0: not at all. */
  readonly waitMs: number
  readonly clock: Clock
}

/** Somebody who is known and can be told and asked things: a client that waits to be let in, or the menu's terminal. */
export type Asked = Pick<Conversation, 'identified' | 'client' | 'isInteractive' | 'say' | 'show' | 'ask'>

interface Wanted {
  readonly resource: string
  readonly role: string
}

const roundsMax = 3
const ownRequestsMax = 50

/**
 * Asks the gate. Without a grant it asks the person for what a request takes, files it, waits, and asks again. Says
 * nothing at all when there is a grant.
 * @param signal aborts when the client is gone, stops waiting, or the listener stops; an admission that comes too late
 *   is given back.
 * @throws Fault whatever the gate, the request or the wait throws; rejects with `signal.reason`
 */
export async function admitAsking(
  person: Asked,
  wanted: Wanted,
  signal: AbortSignal,
  deps: AdmitDeps,
): Promise<Admission> {
  const ask: Ask = { identified: person.identified, ...wanted, database: null, client: person.client }
  const refusal = await admitOnce(ask, signal, deps.gate).catch((error: unknown) => ({ error }))
  if (!('error' in refusal)) return refusal
  const { error } = refusal
  if (asFault(error)?.code !== 'NO_GRANT' || deps.waitMs === 0) throw error
  await new AccessWish(person, wanted, signal, deps).come(error)
  const admission = await admitOnce(ask, signal, deps.gate)
  const what = whatText(wanted.resource, wanted.role)
  person.say(grantedText(what, admission.deadline.value, deps.clock.now()))
  return admission
}

async function admitOnce(ask: Ask, signal: AbortSignal, gate: AdmitDeps['gate']): Promise<Admission> {
  signal.throwIfAborted()
  const admission = await gate.admit(ask)
  if (!signal.aborted) return admission
  await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
  throw signal.reason
}

/** One person without a grant, from being asked why to the grant. */
class AccessWish {
  readonly #asked: Asked
  readonly #wanted: Wanted
  readonly #signal: AbortSignal
  readonly #deps: AdmitDeps
  readonly #since: Instant

  constructor(asked: Asked, wanted: Wanted, signal: AbortSignal, deps: AdmitDeps) {
    this.#asked = asked
    this.#wanted = wanted
    this.#signal = signal
    this.#deps = deps
    this.#since = deps.clock.now()
  }

  /** @param refusal what to throw when this client can neither be asked nor wait. */
  async come(refusal: unknown): Promise<void> {
    const person = await this.#person()
    const offer = this.#deps.access.offer(person, this.#wanted.resource, this.#wanted.role)
    const request = (await this.#open(person)) ?? (await this.#askThere(person, offer, refusal))
    if (request?.state !== 'approved') await this.#wait(offer, request)
  }

  async #person(): Promise<Person> {
    const person = await this.#deps.identity.person(this.#asked.identified.person)
    if (person === undefined) throw new Fault('NOT_ALLOWED', 'Nobody is known by this sign-in.')
    return person
  }

  /** Undefined: they will ask on the page, or have done so. */
  async #askThere(person: Person, offer: Offer, refusal: unknown): Promise<Request | undefined> {
    const { access } = this.#deps
    const { resource, role } = this.#wanted
    const link = access.askLink(resource, role)
    const wasInteractive = this.#asked.isInteractive
    // A client that hangs up rather than be asked (BatchMode) shows this much.
    if (!wasInteractive) this.#asked.say(noAccessText(whatText(resource, role), link))
    const filled = await this.#fillIn(person, offer, wasInteractive ? link : null)
    if (filled === 'unasked' && !this.#asked.isInteractive) throw refusal
    if (typeof filled === 'string') return this.#open(person)
    const origin = `ssh at ${this.#asked.client.address}`
    return access.ask(person, { ...filled, resource, role, startsAt: null, origin, asker: this.#asked.client })
  }

  /** Asks until the answers will do, a few times. @throws Fault for what is still wrong then */
  async #fillIn(person: Person, { policy }: Offer, link: URL | null): Promise<FilledWish | 'unasked' | 'by-link'> {
    const form = new WishForm(policy)
    const title = askTitle(whatText(this.#wanted.resource, this.#wanted.role))
    let fields = form.fields
    let complaint: Fault | null = null
    for (let round = 1; ; round++) {
      const prompts = fields.map((field) => form.prompt(field))
      const answers = await this.#whileThere(this.#asked.ask(title, askText({ link, policy, complaint }), prompts))
      if (answers === undefined) return 'unasked'
      fields.forEach((field, index) => form.fill(field, answers[index]!))
      const read = form.read()
      if (await this.#askedElsewhere(person)) return 'by-link'
      if ('wish' in read) return read.wish
      if (form.leavesOutReason) return 'by-link'
      if (round === roundsMax) throw read.fault
      complaint = read.fault
      fields = [read.wrong] satisfies readonly WishField[]
    }
  }

  async #askedElsewhere(person: Person): Promise<boolean> {
    const requests = await this.#own(person)
    return requests.some(
      ({ state, askedAt }) => state === 'requested' || (state === 'approved' && askedAt >= this.#since),
    )
  }

  async #open(person: Person): Promise<Request | undefined> {
    const now = this.#deps.clock.now()
    return (await this.#own(person)).find(({ state, lapsesAt }) => state === 'requested' && now < lapsesAt)
  }

  async #own(person: Person): Promise<readonly Request[]> {
    const { resource, role } = this.#wanted
    const requests = await this.#deps.access.requestsOf(person, ownRequestsMax)
    return requests.filter((request) => request.resource === resource && request.role === role)
  }

  async #wait({ policy }: Offer, request: Request | undefined): Promise<void> {
    const { access, waitMs } = this.#deps
    const { resource, role } = this.#wanted
    const link = request === undefined ? access.askLink(resource, role) : access.requestLink(request.id)
    const approval = request?.approval ?? policy.approval
    const facts: WaitFacts = { link, approval, isFiled: request !== undefined, waitMs }
    await this.#whileThere(this.#asked.show(waitTitle(whatText(resource, role)), waitText(facts)))
    const who = { ...this.#asked.identified, address: this.#asked.client.address, request: request?.id }
    await access.waitForGrant(who, resource, role, waitMs, this.#signal)
  }

  /** A person may think for long; when the listener stops, nobody waits for them. */
  async #whileThere<T>(answer: Promise<T>): Promise<T> {
    const stopped = Promise.withResolvers<never>()
    const stop = () => stopped.reject(this.#signal.reason)
    this.#signal.addEventListener('abort', stop, { once: true })
    if (this.#signal.aborted) stop()
    try {
      return await Promise.race([answer, stopped.promise])
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
  }
}
