import {
  isAsking,
  type MessageId,
  type NewMessage,
  type Notice,
  type NoticeId,
  type NoticeType,
  type Outbox,
} from '../access/outbox.ts'
import type { NotifySettings } from '../config/notify-settings.ts'
import type { Change, ChangeFeed } from '../kernel/change.ts'
import { asFault } from '../kernel/fault.ts'
import type { Random } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import { isoTime, later, type Clock, type Instant, type Timer } from '../kernel/time.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import type { Facts, Happening } from './facts.ts'
import {
  campaignReviewersOf,
  decidersOf,
  distinct,
  placesFor,
  reviewersOf,
  statementAskersOf,
  type Place,
} from './recipients.ts'

export interface PlannerDeps {
  readonly outbox: Outbox
  readonly changes: ChangeFeed
  readonly catalogue: Pick<Catalogue, 'resource'>
  readonly facts: Facts
  readonly settings: NotifySettings
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Called when there is something to send. */
  readonly planned: () => void
}

const batchMax = 100
const retryMs = 1000
const peopleMax = 10_000

/** What one change leads to. */
interface Step {
  readonly notices: readonly Notice[]
  readonly messages: readonly NewMessage[]
}

/**
 * Turns committed changes into messages, in their order, each once. The change feed is on the disk with the facts, so
 * whoever changes something never waits for this, and after a stop it goes on where it was.
 */
export class Planner implements AsyncDisposable {
  readonly #deps: PlannerDeps
  readonly #kinds: readonly Change['kind'][]
  readonly #subscription: Disposable
  #last: number
  #running: Promise<void> | undefined
  #again = false
  #timer: Timer | undefined
  #failing = false
  #over = false

  private constructor(deps: PlannerDeps, last: number) {
    this.#deps = deps
    this.#last = last
    this.#kinds = kindsFor(deps.settings)
    this.#subscription = deps.changes.subscribe((change) => {
      if (this.#kinds.includes(change.kind)) this.#wake()
    })
    this.#wake()
  }

  static async start(deps: PlannerDeps): Promise<Planner> {
    return new Planner(deps, await deps.outbox.open(true))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true
    this.#subscription[Symbol.dispose]()
    this.#timer?.cancel()
    await this.#running
  }

  #wake(): void {
    this.#again = true
    if (this.#over) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#again && !this.#failing) this.#wake()
    })
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#over) {
        this.#again = false
        while (!this.#over && (await this.#batch()));
      }
      this.#failing = false
    } catch (error) {
      if (!this.#failing)
        this.#deps.log.error({ err: error }, 'notify: changes cannot be read; trying again every second')
      this.#failing = true
      this.#timer = this.#deps.clock.after(retryMs, () => this.#wake())
    }
  }

  /** @returns whether there may be more. */
  async #batch(): Promise<boolean> {
    const { outbox } = this.#deps
    const found = await outbox.changesAfter(this.#last, this.#kinds, batchMax)
    for (const { number, change } of found) {
      const { notices, messages } = await this.#stepFor(number, change)
      if (!(await outbox.plan({ from: this.#last, to: number, notices, messages }))) {
        // Somebody else went on from there.
        this.#last = await outbox.open(true)
        return true
      }
      this.#last = number
      if (messages.length > 0) this.#deps.planned()
    }
    return found.length === batchMax
  }

  /** A change that nothing can be made of must not hold up those after it. */
  async #stepFor(number: number, change: Change): Promise<Step> {
    try {
      const happening = await this.#happening(change)
      const told = happening === undefined ? [] : [await this.#notice(`notice-${number}`, change, happening)]
      return this.#inOrder([...told, await this.#ending(change)])
    } catch (error) {
      if (asFault(error)?.code === 'STORE_FAILED') throw error
      this.#deps.log.error({ err: error, change: number, kind: change.kind }, 'notify: nothing is told of a change')
      return { notices: [], messages: [] }
    }
  }

  #inOrder(steps: readonly Step[]): Step {
    return { notices: steps.flatMap(({ notices }) => notices), messages: steps.flatMap(({ messages }) => messages) }
  }

  async #happening(change: Change): Promise<Happening | undefined> {
    const { facts } = this.#deps
    const type = typeOf(change)
    if (type === undefined) return undefined
    if ('campaign' in change) {
      return facts.campaign(type, change.campaign, 'entry' in change ? change.entry : undefined)
    }
    if ('review' in change) return facts.review(type, change.review)
    if ('request' in change) return facts.request(type, change.request)
    if ('grant' in change) return facts.grant(type, change.grant)
    if ('question' in change) return facts.statement(type, change.question)
    return 'lock' in change ? facts.lock(type, change.lock) : undefined
  }

  async #notice(id: NoticeId, change: Change, happening: Happening): Promise<Step> {
    const places = [...(await this.#deciders(change, happening)), ...placesFor(happening, this.#deps.settings)]
    return this.#step(id, happening, places, this.#deps.clock.now())
  }

  /** Those who are asked, and those who were asked and now hear more. */
  async #deciders(change: Change, happening: Happening): Promise<readonly Place[]> {
    const { type, about, facts } = happening
    const { outbox, settings, catalogue, clock } = this.#deps
    if (type === 'campaign.started' || type === 'campaign.due-soon') {
      const known = await outbox.people(later(clock.now(), -settings.knownMs), peopleMax)
      return campaignReviewersOf(happening, known, settings)
    }
    if (type === 'break-glass.used' || type === 'review.waiting') {
      return reviewersOf(happening, await outbox.people(later(clock.now(), -settings.knownMs), peopleMax), settings)
    }
    if (type === 'statement.asked') {
      const known = await outbox.people(later(clock.now(), -settings.knownMs), peopleMax)
      const labels = labelsOf(catalogue, happening.facts.statement?.resource ?? '')
      return statementAskersOf(happening, known, labels, settings)
    }
    if (about === null || !type.startsWith('request.')) return []
    if (!isAsking(type)) {
      const asked = await outbox.asked(about.request.id)
      const decider = facts.request?.decisions.at(-1)?.by.email?.toLowerCase()
      return asked.filter(({ channel, recipient }) =>
        channel === 'mail' ? type !== 'request.seconded' && recipient !== decider : true,
      )
    }
    // What has gone on since then has a change of its own.
    if (about.request.state !== 'requested' || about.request.step !== stepOf(change)) return []
    const known = await outbox.people(later(clock.now(), -settings.knownMs), peopleMax)
    return decidersOf(type, about, known, labelsOf(catalogue, about.request.resource), settings)
  }

  /** Written down when the grant starts; whether it still holds is looked at when its time comes. */
  async #ending(change: Change): Promise<Step> {
    const { settings, clock } = this.#deps
    if (change.kind !== 'grant-started' && change.kind !== 'grant-moved') return { notices: [], messages: [] }
    const ending: Happening | undefined = await this.#deps.facts.grant('grant.ending', change.grant)
    const grant = ending?.facts.grant
    // One whose clock has not started has no end yet.
    if (ending === undefined || grant === undefined || grant.lengthSeconds !== null)
      return { notices: [], messages: [] }
    const expiresAt = Date.parse(grant.expiresAt) as Instant
    const leftMs = expiresAt - clock.now()
    if (leftMs <= 2 * settings.endingMs) return { notices: [], messages: [] }
    const at = later(expiresAt, -settings.endingMs)
    const id: NoticeId = `notice-${change.grant}-${isoTime(expiresAt)}`
    return this.#step(id, { ...ending, at }, placesFor(ending, settings), at)
  }

  #step(id: NoticeId, { type, at, subject, facts }: Happening, places: readonly Place[], readyAt: Instant): Step {
    if (places.length === 0) return { notices: [], messages: [] }
    const notice: Notice = { id, type, at, subject, data: { ...facts } }
    const messages = distinct(places).map(({ channel, recipient, audience }) => ({
      id: this.#deps.random.id('message') satisfies MessageId,
      notice: id,
      ...{ channel, recipient, audience, readyAt },
    }))
    return { notices: [notice], messages }
  }
}

function labelsOf(catalogue: Pick<Catalogue, 'resource'>, name: string): Readonly<Record<string, string>> {
  return catalogue.resource(name)?.labels ?? {}
}

/** The step whose people a change asks. */
function stepOf(change: Change): number {
  return change.kind === 'request-advanced' || change.kind === 'request-escalated' ? change.step : 0
}

function typeOf(change: Change): NoticeType | undefined {
  switch (change.kind) {
    case 'request-opened':
      return change.seconded === undefined ? 'request.opened' : 'request.seconded'
    case 'request-advanced':
      return 'request.advanced'
    case 'request-escalated':
      return 'request.escalated'
    case 'request-closed':
      return `request.${change.state}`
    case 'grant-started':
      return 'grant.started'
    case 'grant-moved':
      return change.cause === 'first-use' ? undefined : 'grant.extended'
    case 'grant-ended':
      return `grant.${change.cause}`
    case 'campaign-moved':
      return `campaign.${change.to}`
    case 'campaign-entry-ended':
      return 'campaign.entry-ended'
    case 'glass-broken':
      return 'break-glass.used'
    case 'review-waiting':
      return 'review.waiting'
    case 'review-closed':
      return 'review.closed'
    case 'statement-asked':
      return 'statement.asked'
    case 'statement-answered':
      return 'statement.answered'
    case 'lock-placed':
      return 'lock.placed'
    case 'lock-lifted':
      return 'lock.lifted'
    default:
      return undefined
  }
}

/** Only what somebody is told of: sessions come and go in thousands. */
function kindsFor({ requester, security, webhooks }: NotifySettings): readonly Change['kind'][] {
  const wanted = new Set([requester, security, ...webhooks].flatMap(({ events }) => events))
  const grants = ['grant.expired', 'grant.revoked', 'grant.handed-back'] as const
  const kinds: readonly (readonly [Change['kind'], boolean])[] = [
    ['request-opened', true],
    ['request-advanced', true],
    ['request-escalated', true],
    ['request-closed', true],
    ['grant-started', wanted.has('grant.started') || wanted.has('grant.ending')],
    ['grant-moved', wanted.has('grant.extended') || wanted.has('grant.ending')],
    ['grant-ended', grants.some((type) => wanted.has(type))],
    ['glass-broken', true],
    ['review-waiting', true],
    ['review-closed', wanted.has('review.closed')],
    ['campaign-moved', true],
    ['campaign-entry-ended', wanted.has('campaign.entry-ended')],
    ['statement-asked', true],
    ['statement-answered', wanted.has('statement.answered')],
    ['lock-placed', wanted.has('lock.placed')],
    ['lock-lifted', wanted.has('lock.lifted')],
  ]
  return kinds.filter(([, looked]) => looked).map(([kind]) => kind)
}
