import { html } from 'hono/html'
import { questionCommentLengthMax, type QuestionView } from '../../access/answer-question.ts'
import type { StatementQuestion } from '../../access/question.ts'
import { displayName } from '../../identity/person.ts'
import { asFault } from '../../kernel/fault.ts'
import type { QuestionId } from '../../kernel/ids.ts'
import { approversWords } from '../../policy/approval.ts'
import { sameHuman } from '../../policy/subject.ts'
import type { Html, Visit } from '../context.ts'
import type { Page } from '../html/layout.ts'
import { chip, countdown, notice, path, query, words, type Tone } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

type Verdict = 'approve' | 'refuse'

/** The small page on which somebody agrees to a statement that waits, or does not. */
export function statementRoutes(site: Site): void {
  const { questions } = site.deps.access

  site.page('/statements/:id', async (visit) => {
    const view = await questions.view(visit.person, idOf(visit))
    const late = visit.c.req.query('late')
    const isLate = late === 'approve' || late === 'refuse' ? late : null
    return site.render(visit.c, statementPage(visit, view, isLate), visit)
  })

  site.form('/statements/:id', async (visit, fields) => {
    const id = idOf(visit)
    const verdict = fields.text('verdict', 16) === 'approve' ? 'approve' : 'refuse'
    const late = await decideOrLate(site, visit, id, verdict, fields.text('comment', questionCommentLengthMax))
    return visit.c.redirect(query(path('statements', id), { late: late ? verdict : undefined }), 303)
  })
}

function idOf({ c }: Visit): QuestionId {
  return c.req.param('id') as QuestionId
}

/** Somebody was quicker, or so was the clock: the page itself tells what is true. */
async function decideOrLate({ deps }: Site, visit: Visit, id: QuestionId, verdict: Verdict, comment: string) {
  try {
    await deps.access.questions.decide(visit.person, id, verdict, comment, visit)
    return false
  } catch (error) {
    const code = asFault(error)?.code
    if (code === 'QUESTION_CLOSED') return !(await isSaid(deps, visit, id, verdict))
    if (code === 'SELF_APPROVAL' || code === 'NOT_ALLOWED') return true
    throw error
  }
}

/** By themselves, and so: it was a second tap. */
async function isSaid({ access }: Site['deps'], { person }: Visit, id: QuestionId, verdict: Verdict): Promise<boolean> {
  const { question, decidedBy } = await access.questions.view(person, id)
  return decidedBy?.id === person.id && question.state === (verdict === 'approve' ? 'approved' : 'refused')
}

/** Above the requests on the list of what waits for somebody. */
export function waitingStatements(show: Show, views: readonly QuestionView[]): Html | false {
  if (views.length === 0) return false
  return html`<h2>Statements that wait</h2>
    ${views.map(
      ({ question, person }) =>
        html`<section class="card">
          <div class="row">
            <div class="grow">
              <span class="name">${displayName(person)}</span>
              <span class="role">wants to run a statement on ${question.resource} as ${question.role}</span>
              ${words(question.about)}
              <div class="small">asked ${show.ago(question.askedAt)} · ${countdown(show, question.lapsesAt)} left</div>
            </div>
            <a
              class="btn go"
              href="${path('statements', question.id)}"
              aria-label="Decide on a statement of ${displayName(person)}"
              >Decide</a
            >
          </div>
        </section>`,
    )}`
}

function statementPage({ show, person: visitor }: Visit, view: QuestionView, late: Verdict | null): Page {
  const { question, person, request, mayDecide } = view
  const title = `${displayName(person)} wants to run a statement on ${question.resource}`
  const body = html`<h1>${title}</h1>
    <p class="lead">
      Asked ${show.ago(question.askedAt)}.
      ${question.state === 'waiting' && html`It waits ${countdown(show, question.lapsesAt)} more.`}
    </p>
    ${!mayDecide && standing(show, view, visitor, late)}
    <section class="card">
      <pre class="body">${visible(question.sql)}</pre>
      ${cutWords(question)}
    </section>
    <section class="card">
      <dl>
        <dt>What it does</dt>
        <dd>${words(question.about)}</dd>
        <dt>Where</dt>
        <dd>
          ${question.resource} as ${question.role}, in
          <a href="${path('sessions', question.session)}">a live session</a>
        </dd>
        <dt>Why it is asked</dt>
        <dd>
          ${question.rule === null ? 'The guard of the role asks about it.' : `Rule “${question.rule}” of the role’s guard.`}
          ${question.message !== null && words(question.message)}
        </dd>
        <dt>Access</dt>
        <dd>
          <a href="${path('approvals', request.id)}"
            >${words(request.reason === '' ? 'without a reason' : request.reason)}</a
          >
        </dd>
        ${
          question.askers !== null &&
          html`<dt>Who decides</dt>
            <dd>${approversWords(question.askers)}</dd>`
        }
      </dl>
    </section>
    ${mayDecide && decideForm(view)}`
  return { title, current: 'approvals', narrow: true, slim: true, topic: 'statement', version: question.state, body }
}

function cutWords({ sql, sqlChars }: StatementQuestion): Html | false {
  return (
    sqlChars > sql.length &&
    notice('wait', `This is the beginning only: ${sql.length} of ${sqlChars} characters. The recording has more.`)
  )
}

/** A text that reads otherwise than it runs (such as with letters that turn the direction) is shown as it is. */
function visible(sql: string): string {
  return sql
    .replaceAll('\r\n', '\n')
    .replaceAll(
      /[^\P{C}\n\t]|[\u2028\u2029]/gu,
      (letter) => `⟨U+${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`,
    )
}

const outcomes: Readonly<Record<Exclude<StatementQuestion['state'], 'waiting'>, readonly [Tone, string]>> = {
  approved: ['go', 'agreed to it'],
  refused: ['stop', 'refused it'],
  lapsed: ['wait', 'Nobody answered in time; the statement failed.'],
  'given-up': ['plain', 'It was given up, or its session ended, before anybody answered.'],
}

function standing(
  show: Show,
  { question, decidedBy, request }: QuestionView,
  visitor: Visit['person'],
  late: Verdict | null,
): Html {
  const tooLate = late === null ? '' : `Your ${late === 'approve' ? 'agreement' : 'refusal'} came too late. `
  if (question.state === 'waiting') {
    const isOwn = question.person === visitor.id || (decidedBy === null && request.person === visitor.id)
    if (show.now >= question.lapsesAt) return notice('wait', `${tooLate}Its time is over: nobody answered.`)
    return notice(
      'wait',
      isOwn ? 'This is your own statement: somebody else must agree.' : 'You may look, and others decide.',
    )
  }
  const [tone, did] = outcomes[question.state]
  if (!('decidedBy' in question)) return notice(tone, `${tooLate}${did}`)
  const isMine = decidedBy !== null && sameHuman(decidedBy, visitor)
  const who = isMine ? 'You' : decidedBy === null ? 'Somebody' : displayName(decidedBy)
  const said = question.comment === '' ? '' : html` ${words(`“${question.comment}”`)}`
  return notice(tone, html`${tooLate}${who} ${did} ${show.clock(question.closedAt)}.${said}`)
}

function decideForm({ question, person }: QuestionView): Html {
  return html`<form id="decide" method="post" action="${path('statements', question.id)}" autocomplete="off">
      <label for="comment">Comment <span class="optional">${displayName(person)} sees it when you refuse</span></label>
      <textarea id="comment" name="comment" rows="2" maxlength="${questionCommentLengthMax}"></textarea>
    </form>
    <div class="decide-bar">
      <p class="small" role="status" data-stale hidden>
        Something changed here while you wrote. <a href="${path('statements', question.id)}">Look again</a>
      </p>
      <div class="actions">
        <button class="btn stop" form="decide" name="verdict" value="refuse">Refuse</button
        ><button class="btn go" form="decide" name="verdict" value="approve">Let it run</button>
      </div>
    </div>`
}

/** Below the list of requests: what became of those that waited. */
export function closedStatements(show: Show, views: readonly QuestionView[]): Html | false {
  if (views.length === 0) return false
  return html`<h2>Statements lately</h2>
    <section class="card flat">
      <table>
        <thead>
          <tr>
            <th scope="col">Who and what</th>
            <th scope="col">How it went</th>
            <th scope="col" class="wide">When</th>
          </tr>
        </thead>
        <tbody>
          ${views.map(
            ({ question, person }) =>
              html`<tr>
                <td>
                  <a href="${path('statements', question.id)}">${displayName(person)}</a>
                  <span class="role">${question.about}, ${question.role} on ${question.resource}</span>
                </td>
                <td>${statementChip(question)}</td>
                <td class="wide time small">${show.moment(question.askedAt)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
}

function statementChip({ state }: StatementQuestion): Html {
  return chip(state === 'waiting' ? 'wait' : outcomes[state][0], stateWords[state])
}

const stateWords: Readonly<Record<StatementQuestion['state'], string>> = {
  waiting: 'waits for an answer',
  approved: 'agreed to',
  refused: 'refused',
  lapsed: 'not answered',
  'given-up': 'given up',
}
