import type { Audience, NoticeChannel, NoticeType } from '../access/outbox.ts'
import type { Request } from '../access/states.ts'
import type { NotifySettings, TellPlaces } from '../config/notify-settings.ts'
import type { Person } from '../identity/person.ts'
import { currentStep, mayDecideNow } from '../policy/approval.ts'
import type { Happening } from './facts.ts'

/** One place that a notice goes to. */
export interface Place {
  readonly channel: NoticeChannel
  readonly recipient: string
  readonly audience: Audience
}

/** Groups, channels and lists beyond this are more than anybody reads. */
export const placesMax = 500

/** Every receiver of its own kind: webhooks that asked for it, the security list, the requester. */
export function placesFor({ type, about }: Happening, settings: NotifySettings): readonly Place[] {
  const { webhooks, security, requester } = settings
  return [
    ...webhooks
      .filter(({ events }) => events.includes(type))
      .map(({ name }): Place => ({ channel: 'webhook', recipient: name, audience: 'subscriber' })),
    ...(security.events.includes(type) ? listed(security, 'security') : []),
    ...(about !== null && requester.events.includes(type) && !grantedAtOnce(type, about.request)
      ? inPerson(about.requester, 'requester', settings, settings.mail !== null)
      : []),
  ]
}

/** Whoever gets access without asking anybody sees so at once. */
function grantedAtOnce(type: NoticeType, { approval }: Request): boolean {
  return type === 'request.approved' && approval.kind === 'none'
}

/**
 * Those who may decide, and only those: in person, and together where the operator named a list or a channel.
 * @param known people with an e-mail address who signed in lately.
 * @param labels of the resource.
 */
export function decidersOf(
  { request, requester }: NonNullable<Happening['about']>,
  known: readonly Person[],
  labels: Readonly<Record<string, string>>,
  settings: NotifySettings,
): readonly Place[] {
  const step = currentStep(request)
  if (step === undefined) return []
  const { mail, slack, routes, groups } = settings
  const callsOn = request.escalatedAt === null || step.escalate === null ? step.from : step.escalate.to.from
  const asked = callsOn.flatMap((group) => (Object.hasOwn(groups, group) ? [groups[group]!] : []))
  const together = [...asked, ...routes.filter((route) => matches(route, request, labels))]
  const hasChannel = together.some((one) => one.slack !== null)
  const standard: readonly TellPlaces[] = hasChannel ? [] : [{ mail: [], slack: slack?.channel ?? null }]
  const place = { ...request, isEscalated: request.escalatedAt !== null }
  const people = known.filter((person) => mayDecideNow(place, person, [requester]))
  return [
    ...[...together, ...standard].flatMap((one) => listed(one, 'deciders')),
    ...people.flatMap((person) => inPerson(person, 'deciders', settings, mail?.deciders ?? false)),
  ].slice(0, placesMax)
}

function matches(
  { policies, resources, labels: wanted }: NotifySettings['routes'][number],
  request: Request,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    (policies === null || policies.includes(request.policy)) &&
    (resources === null || resources.includes(request.resource)) &&
    Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value)
  )
}

function listed({ mail, slack }: TellPlaces, audience: Audience): readonly Place[] {
  return [
    ...mail.map((recipient): Place => ({ channel: 'mail', recipient: recipient.toLowerCase(), audience })),
    ...(slack === null ? [] : [{ channel: 'slack', recipient: slack, audience } satisfies Place]),
  ]
}

export function inPerson(
  { email }: Person,
  audience: Audience,
  { slack }: Pick<NotifySettings, 'slack'>,
  byMail: boolean,
): readonly Place[] {
  const address = email === null ? undefined : readAddress(email)
  if (address === undefined) return []
  return [
    ...(byMail ? [{ channel: 'mail', recipient: address, audience } satisfies Place] : []),
    ...(slack?.directMessages === true
      ? [{ channel: 'slack', recipient: `@${address}`, audience } satisfies Place]
      : []),
  ]
}

/**
 * The address that a provider gave, if mail can go there without quotes: nothing in it can be taken for a list, a name or
 * a header. @returns undefined for anything else.
 */
export function readAddress(text: string): string | undefined {
  const trimmed = text.trim()
  const plain = /^[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}](?:[\p{L}\p{N}.-]{0,250}[\p{L}\p{N}])?$/u
  return trimmed.length <= 254 && plain.test(trimmed) ? trimmed.toLowerCase() : undefined
}

/** The same place twice is one: the first reason to tell somebody counts. */
export function distinct(places: readonly Place[]): readonly Place[] {
  const seen = new Map(places.toReversed().map((place) => [`${place.channel} ${place.recipient}`, place]))
  return places.filter((place) => seen.get(`${place.channel} ${place.recipient}`) === place)
}
