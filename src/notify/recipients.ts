import type { askingTypes, Audience, NoticeChannel, NoticeType } from '../access/outbox.ts'
import type { Request } from '../access/states.ts'
import type { NotifySettings, TellPlaces } from '../config/notify-settings.ts'
import type { Person } from '../identity/person.ts'
import { currentStep, isAmong, type Approvers } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { About, Happening } from './facts.ts'

/** One place that a notice goes to. */
export interface Place {
  readonly channel: NoticeChannel
  readonly recipient: string
  readonly audience: Audience
}

/** Groups, channels and lists beyond this are more than anybody reads. */
export const placesMax = 500

/** Every receiver of its own kind: webhooks that asked for it, the security list, the requester. */
export function placesFor({ type, about, holder }: Happening, settings: NotifySettings): readonly Place[] {
  const { webhooks, security, requester } = settings
  return [
    ...webhooks
      .filter(({ events }) => events.includes(type))
      .map(({ name }): Place => ({ channel: 'webhook', recipient: name, audience: 'subscriber' })),
    // An emergency is never quiet.
    ...(type === 'break-glass.used' || security.events.includes(type) ? listed(security, 'security') : []),
    ...(about !== null && requester.events.includes(type) && !grantedAtOnce(type, about.request)
      ? // A machine reads no mail: who asked for it does.
        inPerson(about.requesters.at(-1) ?? about.requester, 'requester', settings, settings.mail !== null)
      : []),
    ...(holder !== undefined && requester.events.includes(type)
      ? inPerson(holder, 'requester', settings, settings.mail !== null)
      : []),
  ]
}

/** Whoever gets access without asking anybody sees so at once. */
function grantedAtOnce(type: NoticeType, { approval }: Request): boolean {
  return type === 'request.approved' && approval.kind === 'none'
}

/** What asks people for their word. */
type Asking = (typeof askingTypes)[number]

/**
 * Those whose word is waited for and who have not given it, and only those: in person, and together where the operator
 * named a list or a channel. An escalation asks those whom it calls.
 * @param known people with an e-mail address who signed in lately; who is named needs not be among them.
 * @param labels of the resource.
 */
export function decidersOf(
  type: Asking,
  { request, requesters, voices }: About,
  known: readonly Person[],
  labels: Readonly<Record<string, string>>,
  settings: NotifySettings,
): readonly Place[] {
  const step = currentStep(request)
  if (step === undefined) return []
  const { mail, slack, routes, groups } = settings
  const whom: Approvers | undefined = type === 'request.escalated' ? step.escalate?.to : step
  if (whom === undefined) return []
  const asked = whom.from.flatMap((group) => (Object.hasOwn(groups, group) ? [groups[group]!] : []))
  const together = [...asked, ...routes.filter((route) => matches(route, request, labels))]
  const hasChannel = together.some((one) => one.slack !== null)
  const standard: readonly TellPlaces[] = hasChannel ? [] : [{ mail: [], slack: slack?.channel ?? null }]
  const silent = [...requesters, ...voices.map(({ person }) => person)]
  const people = known.filter((person) => isAmong(whom, person) && !silent.some((one) => sameHuman(one, person)))
  const strangers = whom.named.filter((address) => ![...silent, ...people].some(({ email }) => isOf(email, address)))
  return [
    ...[...together, ...standard].flatMap((one) => listed(one, 'deciders')),
    ...[...people, ...strangers.map((email) => ({ email }))].flatMap((one) =>
      inPerson(one, 'deciders', settings, mail?.deciders ?? false),
    ),
  ].slice(0, placesMax)
}

function isOf(email: string | null, address: string): boolean {
  return email?.toLowerCase() === address
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

/** Those who decide in a campaign: in person, and together where the operator named a list or a channel. */
export function campaignReviewersOf(
  { campaign }: Pick<Happening, 'campaign'>,
  known: readonly Person[],
  settings: NotifySettings,
): readonly Place[] {
  if (campaign === undefined || campaign.finishedAt !== null) return []
  const { reviewers } = campaign
  const together = reviewers.flatMap((group) =>
    Object.hasOwn(settings.groups, group) ? [settings.groups[group]!] : [],
  )
  const people = known.filter(({ groups }) => reviewers.some((group) => groups.includes(group)))
  return [
    ...together.flatMap((one) => listed(one, 'deciders')),
    ...people.flatMap((person) => inPerson(person, 'deciders', settings, settings.mail?.deciders ?? false)),
  ].slice(0, placesMax)
}

/**
 * Those who look at an emergency afterwards, as long as nobody has: in person whatever is told in person otherwise, and
 * together where the operator named a list or a channel.
 */
export function reviewersOf(
  { review, about }: Pick<Happening, 'review' | 'about'>,
  known: readonly Person[],
  settings: NotifySettings,
): readonly Place[] {
  if (review?.state !== 'open' || about === null) return []
  const { reviewers } = review
  const together = reviewers.from.flatMap((group) =>
    Object.hasOwn(settings.groups, group) ? [settings.groups[group]!] : [],
  )
  const people = known.filter((person) => isAmong(reviewers, person) && !sameHuman(person, about.requester))
  const strangers = reviewers.named.filter(
    (address) => ![about.requester, ...people].some(({ email }) => isOf(email, address)),
  )
  return [
    ...together.flatMap((one) => listed(one, 'deciders')),
    ...[...people, ...strangers.map((email) => ({ email }))].flatMap((one) =>
      inPerson(one, 'deciders', settings, settings.mail !== null),
    ),
  ].slice(0, placesMax)
}

/** Those whose word a waiting statement needs: in person, and together where the operator named a list or a channel. */
export function statementAskersOf(
  { question, about }: Pick<Happening, 'question' | 'about'>,
  known: readonly Person[],
  labels: Readonly<Record<string, string>>,
  settings: NotifySettings,
): readonly Place[] {
  if (question?.state !== 'waiting' || about === null) return []
  const { approval } = about.request
  const whom: readonly Approvers[] =
    question.askers !== null ? [question.askers] : approval.kind === 'none' ? [] : approval.steps
  const { groups, routes, slack } = settings
  const named = whom
    .flatMap(({ from }) => from)
    .flatMap((group) => (Object.hasOwn(groups, group) ? [groups[group]!] : []))
  const together = [...named, ...routes.filter((route) => matches(route, about.request, labels))]
  const hasChannel = together.some((one) => one.slack !== null)
  const standard: readonly TellPlaces[] = hasChannel ? [] : [{ mail: [], slack: slack?.channel ?? null }]
  const others = known.filter((person) => !about.requesters.some((one) => sameHuman(one, person)))
  const people = others.filter((person) => whom.some((approvers) => isAmong(approvers, person)))
  const strangers = whom
    .flatMap(({ named }) => named)
    .filter((address) => ![...about.requesters, ...people].some(({ email }) => isOf(email, address)))
  return [
    ...[...together, ...standard].flatMap((one) => listed(one, 'deciders')),
    ...[...people, ...strangers.map((email) => ({ email }))].flatMap((one) =>
      inPerson(one, 'deciders', settings, settings.mail?.deciders ?? false),
    ),
  ].slice(0, placesMax)
}

function listed({ mail, slack }: TellPlaces, audience: Audience): readonly Place[] {
  return [
    ...mail.map((recipient): Place => ({ channel: 'mail', recipient: recipient.toLowerCase(), audience })),
    ...(slack === null ? [] : [{ channel: 'slack', recipient: slack, audience } satisfies Place]),
  ]
}

export function inPerson(
  { email }: Pick<Person, 'email'>,
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
