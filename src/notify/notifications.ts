import { createHash } from 'node:crypto'
import { auditEvent, theGateway } from '../audit/event.ts'
import { actor } from '../access/events.ts'
import type { Notifications, NotificationsOverview, Receiver } from '../access/notifications.ts'
import {
  isAsking,
  noticeChannels,
  type NoticeChannel,
  type Message,
  type NewMessage,
  type Notice,
  type NoticeId,
  type Outbox,
  type QueuedMessage,
} from '../access/outbox.ts'
import type { AccessReads } from '../access/store.ts'
import type { NotifySettings, WebhookSettings } from '../config/notify-settings.ts'
import type { Person } from '../identity/person.ts'
import type { ChangeFeed } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId, Random } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Clock, Timer } from '../kernel/time.ts'
import type { Rules } from '../policy/rules.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import { Timeliness } from './timeliness.ts'
import { Facts } from './facts.ts'
import { Lane, type Deliver } from './lane.ts'
import { MailSender } from './mail.ts'
import { Planner } from './planner.ts'
import { readAddress } from './recipients.ts'
import { SlackButtons, type Deciding } from './slack-buttons.ts'
import { SlackSender } from './slack.ts'
import { WebhookSender } from './webhook.ts'

export interface NotifyDeps {
  /** Null: nobody is told anything. */
  readonly settings: NotifySettings | null
  /** This gateway, as webhooks name it. */
  readonly gateway: string
  readonly publicUrl: URL
  readonly outbox: Outbox
  readonly reads: AccessReads
  readonly changes: ChangeFeed
  readonly catalogue: Pick<Catalogue, 'resource'>
  readonly rules: Pick<Rules, 'policies'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly isOperator: (person: Person) => boolean
  /** For buttons in messages. */
  readonly deciding: Deciding
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** So many at a time to one mail server, to Slack, and to each webhook. */
const widths = { mail: 4, slack: 2, webhook: 4 } as const
const measureMs = 5000
const recentMax = 50

/** Telling people, while it runs. */
export interface RunningNotifications extends Notifications, AsyncDisposable {}

/** @returns null when the configuration names nobody to tell. */
export async function startNotifications(deps: NotifyDeps): Promise<RunningNotifications | null> {
  if (deps.settings === null) {
    await deps.outbox.open(false)
    return null
  }
  return Telling.start(deps, deps.settings)
}

class Telling implements RunningNotifications {
  readonly #deps: NotifyDeps
  readonly #settings: NotifySettings
  readonly #facts: Facts
  readonly #timeliness: Timeliness
  readonly #stack = new AsyncDisposableStack()
  readonly #lanes: Lane[] = []
  readonly #switchedOff = new Set<string>()
  readonly buttons: SlackButtons | null
  #timer: Timer | undefined
  #measuring: Promise<void> | undefined
  #over = false

  private constructor(deps: NotifyDeps, settings: NotifySettings) {
    this.#deps = deps
    this.#settings = settings
    const { reads, person, publicUrl, outbox, clock } = deps
    const policy = (name: string) => deps.rules.policies.find((one) => one.name === name)
    this.#facts = new Facts({ reads, person, policy, publicUrl, includeReason: settings.includeReason })
    const { slack } = settings
    const hasButtons = slack !== null && slack.buttons !== null
    this.buttons = hasButtons ? new SlackButtons({ ...deps, settings: { ...slack, buttons: slack.buttons } }) : null
    this.#stack.use(this.buttons)
    this.#timeliness = new Timeliness({ outbox, reads, facts: this.#facts, clock })
  }

  static async start(deps: NotifyDeps, settings: NotifySettings): Promise<Telling> {
    const telling = new Telling(deps, settings)
    await using failed = new AsyncDisposableStack()
    failed.use(telling)
    await telling.#start()
    failed.move()
    return telling
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true
    this.#timer?.cancel()
    await this.#measuring
    await this.#stack.disposeAsync()
  }

  async overview(person: Person): Promise<NotificationsOverview> {
    this.#expectOperator(person)
    const { outbox, clock } = this.#deps
    const counts = await outbox.waiting(clock.now())
    const off = await outbox.switchedOff()
    const receivers = this.#receivers(person).map((receiver): Receiver => {
      const { channel, name } = receiver
      const mine = counts.filter(
        (count) => count.channel === channel && (channel !== 'webhook' || count.recipient === name),
      )
      const oldest = mine.map(({ oldestReadyAt }) => oldestReadyAt).toSorted((left, right) => left - right)[0]
      const switchedOff = channel === 'webhook' && this.#switchedOff.has(name)
      return {
        ...receiver,
        waiting: mine.reduce((sum, { waiting }) => sum + waiting, 0),
        oldestReadyAt: oldest ?? null,
        switchedOffAt: switchedOff ? (off.find(({ recipient }) => recipient === name)?.at ?? null) : null,
      }
    })
    return { receivers, recent: await outbox.recent(recentMax) }
  }

  async test(person: Person, channel: NoticeChannel, name: string): Promise<void> {
    this.#expectOperator(person)
    const { outbox, clock, random } = this.#deps
    const receiver = this.#receivers(person).find((one) => one.channel === channel && one.name === name)
    if (receiver === undefined || receiver.testGoesTo === null)
      throw new Fault('NOT_FOUND', 'There is nobody to send a test message to.')
    const now = clock.now()
    const id: NoticeId = random.id('notice')
    const data: Notice['data'] = { ...this.#facts.test(person) }
    const to: Pick<Message, 'channel' | 'recipient' | 'audience'> = {
      ...{ channel: receiver.channel, recipient: receiver.testGoesTo, audience: 'operator' },
    }
    const message: NewMessage = { id: random.id('message'), notice: id, ...to, readyAt: now }
    const event = auditEvent('notification.tested', now, actor(person), {
      channel: to.channel,
      recipient: to.recipient,
    })
    await outbox.add({ id, type: 'test', at: now, subject: id, data }, [message], event)
    this.#wake()
  }

  async switchOn(person: Person, name: string): Promise<void> {
    this.#expectOperator(person)
    if (!this.#switchedOff.has(name)) throw new Fault('NOT_FOUND', 'No such webhook is switched off.')
    const event = auditEvent('notification.receiver-switched-on', this.#deps.clock.now(), actor(person), {
      recipient: name,
    })
    await this.#deps.outbox.switchOn(name, event)
    this.#switchedOff.delete(name)
  }

  async #start(): Promise<void> {
    const { outbox } = this.#deps
    const { mail, slack, webhooks } = this.#settings
    const off = await outbox.switchedOff()
    if (mail !== null) this.#openMail(new MailSender(mail, this.#deps.publicUrl.hostname))
    if (slack !== null) this.#openSlack(this.#stack.use(new SlackSender(slack)))
    for (const webhook of webhooks) {
      // Somewhere else it may be wanted again.
      if (off.some(({ recipient, place }) => recipient === webhook.name && place === placeOf(webhook))) {
        this.#switchedOff.add(webhook.name)
      }
      this.#openWebhook(webhook)
    }
    this.#stack.use(
      await Planner.start({ ...this.#deps, settings: this.#settings, facts: this.#facts, planned: () => this.#wake() }),
    )
    this.#wake()
    this.#measure()
  }

  #openMail(sender: MailSender): void {
    this.#open({ channel: 'mail', recipient: null }, async (queued, signal) => {
      const instead = await this.#timeliness.check(queued)
      if (instead !== null && 'kind' in instead) return instead
      return sender.send(queued, signal, instead !== null)
    })
  }

  #openSlack(sender: SlackSender): void {
    const changing = new Set<string>()
    this.#open({ channel: 'slack', recipient: null }, async (queued, signal) => {
      const instead = await this.#timeliness.check(queued)
      if (instead !== null && 'kind' in instead) return instead
      // Whoever is asked again gets a new message; what tells of a decision changes those that asked.
      const before = instead === null || isAsking(queued.notice.type) ? [] : instead.follows
      const references = before.flatMap(({ reference }) => reference ?? [])
      // Of two changes of one message the slower would win: one at a time, each of what is true then.
      if (references.some((one) => changing.has(one))) return { kind: 'later', notBefore: this.#deps.clock.now() }
      for (const one of references) changing.add(one)
      try {
        return await sender.send(queued, await this.#timeliness.wordingNow(queued), references, signal)
      } finally {
        for (const one of references) changing.delete(one)
      }
    })
  }

  #openWebhook(webhook: WebhookSettings): void {
    const sender = this.#stack.use(new WebhookSender(webhook, this.#deps))
    this.#open({ channel: 'webhook', recipient: webhook.name }, async (queued, signal) => {
      if (this.#switchedOff.has(webhook.name)) return { kind: 'void', why: 'the receiver is switched off' }
      const instead = await this.#timeliness.check(queued)
      if (instead !== null && 'kind' in instead) return instead
      const outcome = await sender.send(queued.notice, signal)
      if (outcome.kind === 'gone') await this.#switchOff(webhook, queued, outcome.problem)
      return outcome
    })
  }

  #open(key: Lane['key'], deliver: Deliver): void {
    const deps = { ...this.#deps, giveUpMs: this.#settings.giveUpMs }
    this.#lanes.push(this.#stack.use(new Lane(deps, key, widths[key.channel], deliver)))
  }

  /** Several messages may be under way when the receiver says it; one says so for all. */
  async #switchOff(webhook: WebhookSettings, { message }: QueuedMessage, problem: string): Promise<void> {
    const { name, url } = webhook
    if (this.#switchedOff.has(name)) return
    this.#switchedOff.add(name)
    const at = this.#deps.clock.now()
    const about = { recipient: name, place: url.host, message: message.id, problem }
    const event = auditEvent('notification.receiver-switched-off', at, theGateway, about)
    try {
      await this.#deps.outbox.switchOff({ recipient: name, place: placeOf(webhook), at }, event)
    } catch (error) {
      this.#switchedOff.delete(name)
      throw error
    }
  }

  #wake(): void {
    for (const lane of this.#lanes) lane.wake()
  }

  #receivers(person: Person): readonly Pick<Receiver, 'channel' | 'name' | 'place' | 'testGoesTo'>[] {
    const { mail, slack, security, webhooks } = this.#settings
    const address = person.email === null ? undefined : readAddress(person.email)
    const room =
      slack?.channel ?? security.slack ?? (slack?.directMessages && address !== undefined ? `@${address}` : null)
    return [
      ...(mail === null
        ? []
        : [
            { channel: 'mail', name: 'mail', place: `${mail.host}:${mail.port}`, testGoesTo: address ?? null } as const,
          ]),
      ...(slack === null
        ? []
        : [{ channel: 'slack', name: 'slack', place: slack.apiUrl.host, testGoesTo: room } as const]),
      ...webhooks.map(({ name, url }) => ({ channel: 'webhook', name, place: url.host, testGoesTo: name }) as const),
    ]
  }

  #expectOperator(person: Person): void {
    if (!this.#deps.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Notifications are for operators.')
  }

  #measure(): void {
    if (this.#over) return
    this.#measuring = this.#gauge().finally(() => {
      if (!this.#over) this.#timer = this.#deps.clock.after(measureMs, () => this.#measure())
    })
  }

  async #gauge(): Promise<void> {
    const { outbox, clock, metrics, log } = this.#deps
    try {
      const now = clock.now()
      const counts = await outbox.waiting(now)
      for (const channel of noticeChannels) {
        const mine = counts.filter((count) => count.channel === channel)
        const waiting = mine.reduce((sum, count) => sum + count.waiting, 0)
        const oldestMs = Math.max(0, ...mine.map(({ oldestReadyAt }) => now - oldestReadyAt))
        metrics.set('curfew_notifications_waiting', { channel }, waiting)
        metrics.set('curfew_notifications_oldest_seconds', { channel }, oldestMs / 1000)
      }
    } catch (error) {
      log.warn({ err: error }, 'notify: the queue cannot be counted')
    }
  }
}

/** Tells whether it is the same address, which may hold a secret. */
function placeOf({ url }: WebhookSettings): string {
  return createHash('sha256').update(url.href).digest('hex')
}
