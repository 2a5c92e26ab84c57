import type { Audience, NoticeType } from '../access/outbox.ts'
import { termsWords } from '../access/terms-words.ts'
import { formatDuration } from '../kernel/durations.ts'
import { timeForPeople, type Instant } from '../kernel/time.ts'
import type { GrantFacts, LockFacts, NoticeFacts, RequestFacts, TermsFacts } from './facts.ts'
import { grantLifeLines, requestLifeLines } from './life-facts.ts'
import { campaignWording } from './campaign-words.ts'
import { statementWording } from './statement-words.ts'
import { reviewWording } from './review-words.ts'
import { line, moment, personLine, type Wording } from './word-parts.ts'

export type { Wording } from './word-parts.ts'

/** The same facts read differently for those who decide and those who asked. */
export function wordingOf(type: NoticeType, facts: NoticeFacts, audience: Audience): Wording {
  if (facts.request !== undefined) return requestWording(facts.request, audience)
  if (facts.grant !== undefined) return grantWording(type, facts.grant, audience)
  if (facts.review !== undefined) return reviewWording(type, facts.review, audience)
  if (facts.campaign !== undefined) return campaignWording(type, facts.campaign, facts.entry, audience)
  if (facts.statement !== undefined) return statementWording(type, facts.statement, audience)
  if (facts.lock !== undefined) return lockWording(type, facts.lock)
  return testWording(facts)
}

/** What all messages about one request share, so that mail programs keep them together. */
export function requestTopic({ requester, role, resource, kind }: RequestFacts): string {
  return `${requester.name} asks for ${kind === 'extension' ? 'more time as ' : ''}${role} on ${resource}`
}

function requestWording(request: RequestFacts, audience: Audience): Wording {
  const { role, resource, link } = request
  const open = request.state === 'requested'
  const topic = audience === 'requester' ? `Your request for ${role} on ${resource}` : requestTopic(request)
  return {
    headline: open ? topic : `${topic}: ${requestStates[request.state]}`,
    lines: [
      ['Who', personLine(request.requester)],
      ['What', `${role} on ${resource}`],
      ['How long', formatDuration(request.lengthSeconds * 1000) + (request.kind === 'extension' ? ' more' : '')],
      ...requestLifeLines(request),
      ...line('Ticket', request.ticket),
      ...line('From', request.startsAt === null ? null : moment(request.startsAt)),
      ...(audience === 'requester' ? [] : riskLines(request.risk)),
      ...line('Open until', open ? moment(request.lapsesAt) : null),
      ...request.decisions.map(
        ({ by, verdict, at, terms }) =>
          [
            verdict === 'approve' ? 'Approved by' : 'Refused by',
            `${personLine(by)}, ${moment(at)}${made(terms)}`,
          ] as const,
      ),
      ...waitsForLines(request.waitsFor),
      ['State', requestStates[request.state]],
    ],
    quotes: [
      ...line('Reason', request.reason),
      ...request.decisions.flatMap(({ by, comment }) => line(`Comment of ${by.name}`, comment)),
    ],
    link: { text: open && audience === 'deciders' ? 'Look at it and decide' : 'Look at it', url: link },
    ...(open && audience === 'deciders' && { decides: decidesWords(request) }),
  }
}

function decidesWords({ id, requester, role, resource, lengthSeconds }: RequestFacts): NonNullable<Wording['decides']> {
  const what = `${role} on ${resource} for ${formatDuration(lengthSeconds * 1000)}`
  return {
    request: id,
    approve: `You approve ${requester.name}: ${what}.`,
    deny: `You refuse ${requester.name}: ${what}.`,
  }
}

/** Messages that were queued before there was any have none. */
function riskLines(risk: RequestFacts['risk'] | undefined): Wording['lines'] {
  if (risk === null || risk === undefined) return []
  return [
    ['Risk', `${risk.level}, ${risk.score} of 100`],
    ...risk.factors.map(({ label, weight }) => [`+${weight}`, label] as const),
  ]
}

/** Messages that were queued before there were any have none; so with whom a request waits for. */
function made(terms: TermsFacts | null | undefined): string {
  if (terms === null || terms === undefined) return ''
  const startsAt = terms.startsAt === null ? null : (Date.parse(terms.startsAt) as Instant)
  const lengthMs = terms.lengthSeconds === null ? null : terms.lengthSeconds * 1000
  return ` (${termsWords({ ...terms, lengthMs, startsAt }, timeForPeople)})`
}

function waitsForLines(waits: RequestFacts['waitsFor'] | undefined): Wording['lines'] {
  if (waits === null || waits === undefined) return []
  const { who, missing, step, steps, escalation } = waits
  const place = steps === 1 ? '' : ` (step ${step} of ${steps})`
  return [
    ['Waits for', `${missing === 1 ? 'one more' : `${missing} more`} of ${who}${place}`],
    ...(escalation === null
      ? []
      : [[escalation.called ? 'Called since' : 'Calls', `${moment(escalation.at)}: ${escalation.to}`] as const]),
  ]
}

const requestStates: Readonly<Record<RequestFacts['state'], string>> = {
  requested: 'waits for a decision',
  approved: 'approved',
  denied: 'refused',
  cancelled: 'called off',
  lapsed: 'lapsed, nobody decided in time',
}

function grantWording(type: NoticeType, grant: GrantFacts, audience: Audience): Wording {
  const { role, resource, person, endedBy } = grant
  const access = `${role} on ${resource}`
  const whose = audience === 'requester' ? `Your access as ${access}` : `Access of ${person.name} as ${access}`
  return {
    headline: `${whose} ${grantWords(type)}`,
    lines: [
      ['Who', personLine(person)],
      ['What', access],
      ['From', moment(grant.startsAt)],
      ['Until', moment(grant.endedAt ?? grant.expiresAt)],
      ...(grant.endedAt === null ? grantLifeLines(grant, audience === 'requester') : []),
      ...line('Ended by', endedBy === null ? null : personLine(endedBy)),
    ],
    quotes: line('Comment', grant.comment),
    link: { text: 'Look at it', url: grant.link },
  }
}

function grantWords(type: NoticeType): string {
  switch (type) {
    case 'grant.started':
      return 'has begun'
    case 'grant.extended':
      return 'was extended'
    case 'grant.ending':
      return 'ends soon'
    case 'grant.revoked':
      return 'was revoked'
    case 'grant.handed-back':
      return 'was handed back'
    default:
      return 'has ended'
  }
}

function lockWording(type: NoticeType, lock: LockFacts): Wording {
  const { person, group, resource, role, address } = lock
  const parts = [
    person?.name,
    group && `group ${group}`,
    resource,
    role && `role ${role}`,
    address && `from ${address}`,
  ]
  const scope = parts.filter(Boolean).join(', ')
  return {
    headline: `${type === 'lock.lifted' ? 'Unlocked' : 'Locked'}: ${scope}`,
    lines: [
      ['Placed by', `${personLine(lock.placedBy)}, ${moment(lock.placedAt)}`],
      ...line('Until', lock.until === null ? null : moment(lock.until)),
      ...line('Lifted by', lock.liftedBy === null ? null : personLine(lock.liftedBy)),
    ],
    quotes: line('Reason', lock.reason),
    link: { text: 'Look at the locks', url: lock.link },
  }
}

function testWording({ test }: NoticeFacts): Wording {
  return {
    headline: 'A test message from Curfew',
    lines: line('Sent by', test === undefined ? null : personLine(test.by)),
    quotes: [],
    link: { text: 'Look at the notifications', url: test?.link ?? '' },
  }
}
