import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { seesRisk } from '../../access/assess.ts'
import { stoppingLock } from '../../access/locks.ts'
import type { PastUse } from '../../access/past-use.ts'
import type { Decision } from '../../access/states.ts'
import { displayName, type Person } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { asFault, Fault, type FaultCode } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { GrantId, RequestId } from '../../kernel/ids.ts'
import { sameHuman } from '../../policy/subject.ts'
import type { Html, Visit } from '../context.ts'
import { createDoneInShort, type Done } from '../done-in-short.ts'
import { unlessAlready } from '../failure.ts'
import type { Fields } from '../forms.ts'
import { approvalFacts, approvalTitle } from '../html/approval-facts.ts'
import { approvalForm, commentCharsMax, type Choices, type Refused } from '../html/approval-form.ts'
import { approvalStanding, type Looker } from '../html/approval-standing.ts'
import { approvalSteps } from '../html/approval-steps.ts'
import { evidenceLinks } from '../html/evidence.ts'
import type { Page } from '../html/layout.ts'
import { path, query } from '../html/parts.ts'
import { pastUsesCard, type Past } from '../html/past-uses.ts'
import { riskChip, riskFactors } from '../html/risk.ts'
import type { Site } from '../site.ts'
import { readTypedTerms, termsOf } from '../terms-wish.ts'

/** Recordings that are opened for one page. */
const countedMax = 12
/** What the approver can mend on the form. */
const mendable: readonly FaultCode[] = ['INPUT_INVALID', 'LENGTH_REFUSED', 'LOCKED']
/** Somebody was quicker, or so was the clock: the page itself tells what is true. */
const tooLate: readonly FaultCode[] = ['REQUEST_CLOSED', 'REQUEST_LAPSED', 'NOT_ALLOWED', 'SELF_APPROVAL']

type Verdict = Decision['verdict']
type DoneInShort = ReturnType<typeof createDoneInShort>

/** The one small page on which somebody decides. */
export function approvalRoutes(site: Site): void {
  const { access } = site.deps
  const doneInShort = createDoneInShort(site.deps.recordingsFolder)

  site.page('/approvals/:id', async (visit) => {
    const late = visit.c.req.query('late')
    return show(visit, idOf(visit), late === 'approve' || late === 'deny' ? late : null)
  })

  site.form('/approvals/:id', async (visit, fields) => {
    const id = idOf(visit)
    const verdict = fields.text('verdict', 16) === 'approve' ? 'approve' : 'deny'
    const outcome = await decide(site, visit, { id, verdict, fields })
    if (outcome !== null && typeof outcome === 'object') return show(visit, id, null, outcome)
    return visit.c.redirect(query(path('approvals', id), { late: outcome ?? undefined }), 303)
  })

  site.form('/grants/:id/revoke', async (visit, fields) => {
    const request = fields.text('request', 64)
    const [id, comment] = [visit.c.req.param('id') as GrantId, fields.text('comment', commentCharsMax)]
    await access.revoke(visit.person, id, comment).catch(unlessAlready('GRANT_IN_WRONG_STATE'))
    return visit.c.redirect(request === '' ? '/sessions' : path('approvals', request), 303)
  })

  async function show(visit: Visit, id: RequestId, late: Verdict | null, refused?: Refused): Promise<Response> {
    const view = await access.view(visit.person, id)
    const past = await withDeeds(await access.pastUses(view), doneInShort)
    const looker = await lookerAt(site, visit, view, late)
    return site.render(visit.c, approvalPage(site, visit, { view, past, looker, refused }), visit)
  }
}

/** @returns null when it is decided, the verdict when it came too late, and what to mend otherwise. */
async function decide(
  site: Site,
  visit: Visit,
  { id, verdict, fields }: { readonly id: RequestId; readonly verdict: Verdict; readonly fields: Fields },
): Promise<null | Verdict | Refused> {
  const comment = fields.text('comment', commentCharsMax)
  const databases = await offeredDatabases(site, visit.person, id)
  const typed = readTypedTerms(fields, databases)
  try {
    const terms = verdict === 'approve' ? termsOf(typed, databases) : null
    await site.deps.access.decide(visit.person, id, verdict, comment, visit, terms)
    return null
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    if (error.code === 'ALREADY_DECIDED') return null // a second tap
    if (mendable.includes(error.code)) return { fault: error, comment, terms: typed }
    if (tooLate.includes(error.code)) return verdict
    throw error
  }
}

/** Nobody is turned away here: a decision that may not be taken is refused, and recorded, where decisions are. */
async function offeredDatabases(site: Site, person: Person, id: RequestId): Promise<readonly string[]> {
  try {
    return choicesOn(site, await site.deps.access.view(person, id)).databases
  } catch (error) {
    if (asFault(error)?.code === 'REQUEST_UNKNOWN') return []
    throw error
  }
}

/** Counts in the newest sessions only: each is a file. */
async function withDeeds(uses: readonly PastUse[], doneInShort: DoneInShort): Promise<readonly Past[]> {
  const done = new Map<string, Done>()
  for (const row of uses.flatMap(({ sessions }) => sessions).slice(0, countedMax)) {
    const known = await doneInShort(row)
    if (known !== undefined) done.set(row.session.id, known)
  }
  return uses.map((use) => ({ ...use, done }))
}

function idOf({ c }: Visit): RequestId {
  return c.req.param('id') as RequestId
}

async function lookerAt({ deps }: Site, visit: Visit, view: RequestView, late: Verdict | null): Promise<Looker> {
  const { access, clock } = deps
  const { person, address } = visit
  return {
    person,
    decidesOn: access.decidesOn(person, view),
    mayDecide: clock.now() < view.request.lapsesAt && access.mayDecide(person, view),
    locked: view.request.state === 'requested' ? await lockOn(deps, person, address, view) : null,
    late,
  }
}

/** Why a decision of theirs would be refused now. */
async function lockOn(
  deps: Site['deps'],
  { id, groups }: Person,
  address: string,
  { request }: RequestView,
): Promise<string | null> {
  const { resource, role } = request
  const target = { person: id, groups, resource, role, addresses: [address] }
  return stoppingLock(await deps.access.locks(), target, deps.clock.now())?.reason ?? null
}

function choicesOn({ deps }: Site, { request, rolesToGive }: RequestView): Choices {
  const role = deps.catalogue.role(request.resource, request.role)
  return { roles: rolesToGive, databases: role?.kind === 'postgres' ? role.databases : [] }
}

interface Shown {
  readonly view: RequestView
  readonly past: readonly Past[]
  readonly looker: Looker
  readonly refused: Refused | undefined
}

function approvalPage(site: Site, visit: Visit, { view, past, looker, refused }: Shown): Page {
  const { deps } = site
  const { show } = visit
  const { request } = view
  const standing = approvalStanding(show, view, looker)
  const title = approvalTitle(view)
  const risk = seesRisk(view, visit.person) ? request.risk : null
  const body = html`<h1>${title}</h1>
    <p class="lead">
      Asked ${show.ago(request.askedAt)}, for ${formatDuration(request.lengthMs)}. ${risk !== null && riskChip(risk)}
    </p>
    ${standing} ${standing !== false && afterwards(site, visit, view)}
    ${approvalFacts(show, view, deps.catalogue.role(request.resource, request.role))} ${riskFactors(risk)}
    ${pastUsesCard(show, request.resource, past, deps.access.isReviewer(visit.person))} ${approvalSteps(show, view)}
    ${evidenceLinks(site, visit, request)}
    ${standing === false && approvalForm(show, view, choicesOn(site, view), refused)}`
  return {
    ...{ title, current: 'approvals', narrow: true, slim: true, topic: 'request', body },
    version: versionOf(view),
    ...(refused !== undefined && { status: faultStatus[refused.fault.code] }),
  }
}

/** Changes with everything that somebody who writes a comment should know of. */
function versionOf({ request, decisions, grant }: RequestView): string {
  return [request.state, request.step, request.escalatedAt ?? 0, decisions.length, grant?.state ?? ''].join(' ')
}

/** What can be done once it is decided: end it, or go on to the next. */
function afterwards(site: Site, visit: Visit, view: RequestView): Html {
  return html`${revokeForm(site, visit, view)}
    <p class="next"><a class="btn plain" href="/approvals">Other requests</a></p>`
}

/** While the access lives, those who could have refused it can end it. The access room has the last word. */
function revokeForm({ deps }: Site, { person }: Visit, view: RequestView): Html | false {
  const { grant, requester, request, decisions } = view
  const isLiving = grant !== undefined && (grant.state === 'active' || grant.state === 'scheduled')
  if (!isLiving || deps.clock.now() >= grant.expiresAt || sameHuman(requester, person)) return false
  if (!(deps.access.decidesOn(person, view) || deps.access.isOperator(person))) return false
  const isMine = decisions.some(({ decision }) => decision.person === person.id && decision.verdict === 'approve')
  return html`<details class="card undo">
    <summary>${isMine ? 'Undo: end this access' : 'End this access'}</summary>
    <form method="post" action="${path('grants', grant.id, 'revoke')}" class="stack">
      <input type="hidden" name="request" value="${request.id}" />
      <label for="why">Why <span class="optional">${displayName(requester)} sees it</span></label
      ><input id="why" name="comment" maxlength="${commentCharsMax}" />
      <div class="actions"><button class="btn stop">Revoke, and cut live sessions</button></div>
    </form>
  </details>`
}
