import * as z from 'zod'
import { actor } from '../access/events.ts'
import type { Access } from '../access/access.ts'
import type { DecisionButtons, PostedPress } from '../access/notifications.ts'
import type { Decision } from '../access/states.ts'
import { auditEvent, refusalData, type Actor, type AuditEvent } from '../audit/event.ts'
import type { SlackButtonSettings, SlackSettings } from '../config/notify-settings.ts'
import { displayName, isMachinePerson, type Person } from '../identity/person.ts'
import { SeenOnce } from '../identity/seen-once.ts'
import { asFault, Fault } from '../kernel/fault.ts'
import type { RequestId } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import { later, type Clock, type Instant } from '../kernel/time.ts'
import { SlackApi } from './slack-api.ts'
import { isFromSlack, skewMsMax } from './slack-signature.ts'
import { escapeSlack, type SlackActionId } from './slack-text.ts'

/** What the buttons need of the other rooms. */
export interface Deciding {
  readonly decide: Access['decide']
  readonly peopleByEmail: (email: string) => Promise<readonly Person[]>
  /** Whether they are signed in at the gateway, in some browser, now. */
  readonly isSignedIn: (person: Person) => Promise<boolean>
  readonly record: (event: AuditEvent) => Promise<void>
}

export interface SlackButtonsDeps {
  readonly settings: SlackSettings & { readonly buttons: SlackButtonSettings }
  readonly deciding: Deciding
  readonly publicUrl: URL
  readonly clock: Clock
  readonly log: Log
}

const underWayMax = 20
/** From the press to the answer; Slack takes answers for half an hour. */
const workMsMax = 20_000
const warnEveryMs = 60_000

const id = z.string().min(1).max(64)
/** @see Slack, "block_actions payload" */
const pressSchema = z.looseObject({
  type: z.literal('block_actions'),
  team: z.looseObject({ id }).nullable(),
  user: z.looseObject({ id, team_id: id.optional() }),
  response_url: z.url().max(500),
  actions: z
    .array(
      z.looseObject({
        action_id: z.enum(['curfew-approve', 'curfew-deny'] satisfies SlackActionId[]),
        value: z.string().regex(/^request-[a-z0-9]{1,64}$/),
      }),
    )
    .length(1),
})

interface Press {
  readonly team: string | null
  readonly user: string
  /** Where the user is at home; another one in channels that workspaces share. */
  readonly userTeam: string | null
  readonly answerTo: URL
  readonly verdict: Decision['verdict']
  readonly request: RequestId
}

/**
 * Decisions by buttons in Slack. Slack's word alone decides nothing: its signature says that the press is from the workspace, its API
 * who that is there; then that person must be signed in at the gateway now, and decides with their own rights.
 */
export class SlackButtons implements DecisionButtons, AsyncDisposable {
  readonly #deps: SlackButtonsDeps
  readonly #api: SlackApi
  readonly #seen: SeenOnce
  readonly #underWay = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #warnedAt: Instant | undefined

  constructor(deps: SlackButtonsDeps) {
    this.#deps = deps
    this.#api = new SlackApi(deps.settings)
    this.#seen = new SeenOnce(deps.clock, 2 * skewMsMax)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underWay)
    await this.#api[Symbol.asyncDispose]()
  }

  take(post: PostedPress): 'taken' | 'refused' | 'busy' {
    const { clock, settings } = this.#deps
    if (!isFromSlack(post, settings.buttons.signingSecret, clock.now())) {
      this.#warn()
      return 'refused'
    }
    if (this.#underWay.size >= underWayMax || this.#stop.signal.aborted) return 'busy'
    if (!this.#seen.first(post.signature)) return 'refused'
    const press = readPress(post.body)
    // Something else that the app was set up to send here.
    if (press === undefined) return 'taken'
    const work: Promise<void> = this.#work(press).finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
    return 'taken'
  }

  /** Never rejects: whoever pressed is told, and the log. */
  async #work(press: Press): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(workMsMax)])
    const text = await this.#decide(press, signal).catch((error: unknown) => this.#failed(error))
    const link = new URL(`requests/${press.request}`, this.#deps.publicUrl).href
    try {
      await this.#api.answer(press.answerTo, `${escapeSlack(text)} <${link}|Look at it>`, signal)
    } catch (error) {
      this.#deps.log.warn({ err: error, request: press.request }, 'slack: whoever pressed a button was not told')
    }
  }

  #failed(error: unknown): string {
    const fault = asFault(error)
    if (fault !== undefined && fault.code !== 'STORE_FAILED')
      return `Nothing was decided. ${fault.message} ${fault.hint}`
    this.#deps.log.error({ err: error }, 'slack: a button failed')
    return 'Nothing was decided: something went wrong. Decide on the page.'
  }

  async #decide(press: Press, signal: AbortSignal): Promise<string> {
    const { request, verdict } = press
    const person = await this.#identify(press, signal)
    await this.#deps.deciding.decide(person, request, verdict, '', { via: 'slack' })
    return `You ${verdict === 'approve' ? 'approved' : 'refused'} as ${displayName(person)}.`
  }

  /** @throws Fault, recorded, unless this is one person, and they are signed in at the gateway. */
  async #identify(press: Press, signal: AbortSignal): Promise<Person> {
    const { team } = this.#deps.settings.buttons
    if (press.team !== team || (press.userTeam !== null && press.userTeam !== team)) {
      return this.#refuse(press, 'NOT_ALLOWED', 'This is another workspace than the one that decides here.')
    }
    const { user } = await this.#api.call('users.info', { user: press.user }, signal)
    const isMember = user?.id === press.user && user.deleted !== true && user.is_bot !== true && user.team_id === team
    const email = user?.profile?.email
    if (!isMember || email === undefined || email === '') {
      return this.#refuse(press, 'NOT_ALLOWED', 'Slack does not say which member of the workspace you are.')
    }
    const [person, another] = await this.#deps.deciding.peopleByEmail(email)
    if (person === undefined || another !== undefined || isMachinePerson(person)) {
      return this.#refuse(press, 'SIGN_IN_REQUIRED', 'Curfew cannot tell who you are by your e-mail address.')
    }
    if (await this.#deps.deciding.isSignedIn(person)) return person
    return this.#refuse(press, 'SIGN_IN_REQUIRED', 'You are not signed in at the gateway.', actor(person))
  }

  async #refuse(
    { request, user }: Press,
    code: 'NOT_ALLOWED' | 'SIGN_IN_REQUIRED',
    message: string,
    by: Actor = { id: null, name: null },
  ): Promise<never> {
    const about = { request, via: 'slack', slackUser: user, ...refusalData(code, message) }
    await this.#deps.deciding.record(auditEvent('decision.refused', this.#deps.clock.now(), by, about))
    throw new Fault(code, message, { hint: 'Open the page and decide there.' })
  }

  /** Anybody can post anything: it is told, but not each time. */
  #warn(): void {
    const now = this.#deps.clock.now()
    if (this.#warnedAt !== undefined && now < later(this.#warnedAt, warnEveryMs)) return
    this.#warnedAt = now
    this.#deps.log.warn({}, 'slack: a post was refused: its signature or its time is wrong')
  }
}

function readPress(body: string): Press | undefined {
  const read = pressSchema.safeParse(parseJson(new URLSearchParams(body).get('payload') ?? ''))
  const action = read.data?.actions[0]
  if (!read.success || action === undefined) return undefined
  const { team, user, response_url: answerTo } = read.data
  return {
    ...{ team: team?.id ?? null, user: user.id, userTeam: user.team_id ?? null, answerTo: new URL(answerTo) },
    verdict: action.action_id === 'curfew-approve' ? 'approve' : 'deny',
    request: action.value as RequestId,
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no press
  }
}
