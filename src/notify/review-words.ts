import type { Audience, NoticeType } from '../access/outbox.ts'
import type { ReviewFacts } from './review-facts.ts'
import { line, moment, personLine, type Wording } from './word-parts.ts'

/** Loud where it happens, plain where it waits. */
export function reviewWording(type: NoticeType, review: ReviewFacts, audience: Audience): Wording {
  const { person, role, resource, closedBy, link } = review
  return {
    headline: headlineOf(type, review, audience),
    lines: [
      ['Who', personLine(person)],
      ['What', `${role} on ${resource}`],
      ['From', moment(review.startedAt)],
      ['Until', moment(review.endedAt ?? review.expiresAt)],
      ...line('Ticket', review.ticket),
      ['Asked', review.origin],
      ['Policy', review.policy],
      ['To review', review.reviewers],
      ...line('Verdict', review.verdict === null ? null : verdictWords[review.verdict]),
      ...line('Reviewed by', closedBy === null ? null : personLine(closedBy)),
    ],
    quotes: [...line('Reason', review.reason), ...line(`Comment of ${closedBy?.name ?? 'nobody'}`, review.comment)],
    link: { text: audience === 'deciders' ? 'Look at it, and close the review' : 'Look at it', url: link },
  }
}

const verdictWords = { justified: 'justified', 'not-justified': 'not justified' } as const

function headlineOf(type: NoticeType, review: ReviewFacts, audience: Audience): string {
  const { person, role, resource, verdict } = review
  const what = `${role} on ${resource}`
  if (type === 'break-glass.used') {
    return audience === 'requester'
      ? `EMERGENCY: access to ${what} was taken in your name`
      : `EMERGENCY: ${person.name} took ${role} on ${resource}`
  }
  if (type === 'review.waiting') return `Nobody has reviewed the emergency of ${person.name} (${what}) yet`
  const whose = audience === 'requester' ? 'Your emergency' : `The emergency of ${person.name}`
  return `${whose} (${what}) was reviewed: ${verdict === null ? 'open' : verdictWords[verdict]}`
}
