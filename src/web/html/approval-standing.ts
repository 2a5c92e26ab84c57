import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { displayName, type Person } from '../../identity/person.ts'
import { isAmong, stepWords } from '../../policy/approval.ts'
import { sameHuman } from '../../policy/subject.ts'
import type { Html } from '../context.ts'
import { notice, path, type Tone } from './parts.ts'
import type { Show } from './show.ts'
import { termsWords } from './terms.ts'

/** Who looks at a request, and what there is for them to do. */
export interface Looker {
  readonly person: Person
  /** Whether their word counts in some step, now or not. */
  readonly decidesOn: boolean
  /** Whether it is waited for. */
  readonly mayDecide: boolean
  /** Why nobody can decide on it, or use it, while that lock stands. */
  readonly locked: string | null
  /** What they pressed when it was too late. */
  readonly late: 'approve' | 'deny' | null
}

/** How it stands, for somebody who has nothing (more) to decide; false where they are to decide now. */
export function approvalStanding(show: Show, view: RequestView, looker: Looker): Html | false {
  const { request } = view
  const tooLate =
    looker.late === null ? '' : `Your ${looker.late === 'approve' ? 'approval' : 'refusal'} came too late. `
  if (request.state !== 'requested') {
    return notice(tones[request.state], html`${tooLate}${outcome(show, view, looker.person)} ${grantWords(show, view)}`)
  }
  if (show.now >= request.lapsesAt) {
    return notice('wait', html`${tooLate}It lapsed ${show.clock(request.lapsesAt)}: nobody decided in time.`)
  }
  const own = ownRequest(view, looker.person)
  if (own !== false) return notice('wait', own)
  const mine = view.decisions.find(({ person }) => sameHuman(person, looker.person))
  if (mine !== undefined) {
    const { verdict, at, terms } = mine.decision
    const narrowed = terms !== null && termsWords(show, terms)
    const did = verdict === 'approve' ? 'approved' : 'refused'
    return notice('go', html`You ${did} ${show.clock(at)}${narrowed && html`, ${narrowed}`}. ${next(view)}`)
  }
  if (looker.locked !== null)
    return notice('stop', html`Locked: ${looker.locked} Nothing can be decided until the lock is lifted.`)
  if (looker.mayDecide) return false
  if (!looker.decidesOn) return notice('plain', html`You may look, and others decide. ${next(view)}`)
  return notice(
    'wait',
    html`${tooLate}${isBefore(view, looker) ? 'It is not your turn yet.' : 'Your turn is over.'} ${next(view)}`,
  )
}

const tones: Readonly<Record<Exclude<RequestView['request']['state'], 'requested'>, Tone>> = {
  approved: 'go',
  denied: 'stop',
  cancelled: 'wait',
  lapsed: 'wait',
}

function ownRequest({ request, requesters }: RequestView, person: Person): Html | false {
  if (!requesters.some((requester) => sameHuman(requester, person))) return false
  const isTheirs = request.person === person.id || request.askedBy === person.id
  return html`This is your own request${!isTheirs && ', under another account'}: somebody else must decide.
  ${isTheirs && html`<a href="${path('requests', request.id)}">See how it stands</a>.`}`
}

/** Whom it waits for now, in a sentence. */
function next({ waitsFor, steps, request }: RequestView): string {
  const step = steps[request.step]
  if (waitsFor === null || step === undefined) return ''
  const more = waitsFor.missing === 1 ? 'One more person' : `${waitsFor.missing} more people`
  const word = steps.length > 1 ? `, in step ${request.step + 1} of ${steps.length}` : ''
  return `${more} must agree${word}: ${stepWords(step.step)}.`
}

/** Whether a step that is theirs is still to come, or they are called only after silence. */
function isBefore({ steps, waitsFor }: RequestView, { person }: Looker): boolean {
  const others = waitsFor?.others ?? null
  if (others !== null && !others.called && isAmong(others, person)) return true
  return steps.some(
    ({ state, step }) =>
      state === 'to-come' && (isAmong(step, person) || (step.escalate !== null && isAmong(step.escalate.to, person))),
  )
}

function outcome(show: Show, view: RequestView, person: Person): Html {
  const { request } = view
  switch (request.state) {
    case 'approved':
      return request.approval.kind === 'none'
        ? html`Approved at once by policy “${request.policy}”, ${show.clock(request.closedAt)}.`
        : html`Approved by ${voices(view, 'approve', person)}, ${show.clock(request.closedAt)}.`
    case 'denied':
      return html`Refused by ${voices(view, 'deny', person)}, ${show.clock(request.closedAt)}.`
    case 'cancelled':
      return html`Called off by ${displayName(view.requesters.at(-1) ?? view.requester)},
      ${show.clock(request.closedAt)}.`
    default:
      return html`It lapsed ${request.state === 'lapsed' && show.clock(request.closedAt)}:
      ${view.decisions.length === 0 ? 'nobody decided' : 'not enough people approved'} in time.`
  }
}

function voices({ decisions }: RequestView, verdict: 'approve' | 'deny', reader: Person): string {
  const names = decisions
    .filter(({ decision }) => decision.verdict === verdict)
    .map(({ person }) => (person.id === reader.id ? 'you' : displayName(person)))
  return names.length === 0 ? 'the gateway' : names.join(' and ')
}

/** What came of it. */
function grantWords(show: Show, { grant, request, requester }: RequestView): Html | false {
  if (grant === undefined) return false
  const who = displayName(requester)
  const narrowed = termsWords(show, {
    ...{ lengthMs: null, startsAt: null, databases: grant.databases, networks: grant.networks },
    role: grant.role === request.role ? null : grant.role,
  })
  const isOver = show.now >= grant.expiresAt
  switch (grant.state) {
    case 'scheduled':
      return isOver
        ? html`The access has ended.`
        : html`${who} can connect from ${show.clock(grant.startsAt)} until
          ${show.clock(grant.expiresAt)}${narrowed && html`, ${narrowed}`}.`
    case 'active':
      return isOver
        ? html`The access has ended.`
        : html`${who} can connect until ${show.clock(grant.expiresAt)}${narrowed && html`, ${narrowed}`}.`
    case 'expired':
      return html`The access ended on time, ${show.clock(grant.endedAt)}.`
    case 'revoked':
      return html`The access was revoked ${show.clock(grant.endedAt)}${grant.comment && html`: “${grant.comment}”`}.`
    case 'ended':
      return html`The access was handed back ${show.clock(grant.endedAt)}.`
  }
}
