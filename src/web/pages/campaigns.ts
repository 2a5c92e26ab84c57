import { html } from 'hono/html'
import type { Entry, EntryState } from '../../access/campaign.ts'
import { standingMs, type CampaignCount, type CampaignView, type EntryView } from '../../access/campaigns.ts'
import { displayName } from '../../identity/person.ts'
import { formatDuration, parseDurationMs, writeDuration } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { CampaignId, EntryId } from '../../kernel/ids.ts'
import { campaignCsv, campaignViewJson } from '../campaign-json.ts'
import type { Html, Visit } from '../context.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { chip, empty, noneByEnter, path, query, words, type Tone } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

const commentCharsMax = 1000
const usualLengths = ['3d', '7d', '14d', '30d', '60d']

/** Reviews of standing access: who starts them, who says what stays, and what came of each. */
export function campaignRoutes(site: Site): void {
  const { campaigns } = site.deps.access
  const at = (visit: Visit) => visit.c.req.param('id') as CampaignId

  site.page('/reviews/campaigns', async (visit) => {
    return site.render(visit.c, await listPage(site, visit, nothingTyped), visit)
  })

  site.form('/reviews/campaigns', async (visit, fields) => {
    const typed = read(fields)
    try {
      const { campaign } = await campaigns.start(visit.person, wishOf(typed))
      return visit.c.redirect(path('reviews', 'campaigns', campaign.id), 303)
    } catch (error) {
      const fault = asFault(error)
      if (fault?.code !== 'INPUT_INVALID' && fault?.code !== 'RATE_LIMITED') throw error
      return site.render(visit.c, await listPage(site, visit, typed, fault), visit)
    }
  })

  site.page('/reviews/campaigns/:id', async (visit) => {
    const late = new URL(visit.c.req.url).searchParams.get('late') === 'yes'
    return site.render(visit.c, viewPage(visit.show, await campaigns.view(visit.person, at(visit)), late), visit)
  })

  site.page('/reviews/campaigns/:id/report.csv', async (visit) => {
    const view = await campaigns.view(visit.person, at(visit))
    visit.c.header('Content-Type', 'text/csv; charset=utf-8; header=present')
    visit.c.header('Content-Disposition', `attachment; filename="${view.campaign.id}.csv"`)
    return visit.c.body(campaignCsv(view))
  })

  site.page('/reviews/campaigns/:id/report.json', async (visit) => {
    const view = await campaigns.view(visit.person, at(visit))
    visit.c.header('Content-Disposition', `attachment; filename="${view.campaign.id}.json"`)
    return visit.c.json(campaignViewJson(site.deps.publicUrl, view))
  })

  site.form('/reviews/campaigns/:id/entries/:entry', async (visit, fields) => {
    const word = fields.text('word', 16)
    if (word !== 'confirm' && word !== 'end') throw new Fault('INPUT_INVALID', 'Say whether it stays or ends.')
    const entry = visit.c.req.param('entry') as EntryId
    const comment = fields.text('comment', commentCharsMax)
    const late = await decideOrLate(site, visit, { campaign: at(visit), entry, word, comment })
    return visit.c.redirect(query(path('reviews', 'campaigns', at(visit)), { late: late ? 'yes' : undefined }), 303)
  })
}

/** Somebody was quicker, or the time is over: the page itself says so. */
async function decideOrLate({ deps }: Site, { person }: Visit, { campaign, entry, word, comment }: Word) {
  const { campaigns } = deps.access
  try {
    await campaigns.decide(person, entry, word, comment)
    return false
  } catch (error) {
    if (asFault(error)?.code !== 'REVIEW_CLOSED') throw error
    const { entries } = await campaigns.view(person, campaign)
    const said = entries.find((one) => one.entry.id === entry)
    const isSecondTap = said?.decidedBy?.id === person.id && said.entry.state === wordStates[word]
    return !isSecondTap
  }
}

interface Word {
  readonly campaign: CampaignId
  readonly entry: EntryId
  readonly word: 'confirm' | 'end'
  readonly comment: string
}

const wordStates = { confirm: 'confirmed', end: 'ended' } as const

/** How a campaign is to be, as somebody typed it. */
interface Typed {
  readonly name: string
  readonly for: string
  readonly grants: string
  readonly tokens: string
  readonly reviewers: string
}

const nothingTyped: Typed = {
  ...{ name: '', for: '14d', grants: writeDuration(standingMs), tokens: writeDuration(standingMs), reviewers: '' },
}

function read(fields: Fields): Typed {
  return {
    name: fields.text('name', 80),
    for: fields.text('for', 16),
    grants: fields.text('grants', 16),
    tokens: fields.text('tokens', 16),
    reviewers: fields.text('reviewers', 500),
  }
}

function wishOf(typed: Typed) {
  const groups = typed.reviewers.split(',').map((group) => group.trim())
  return {
    name: typed.name,
    ...{ lengthMs: lengthIn(typed.for), grantMs: lengthIn(typed.grants), tokenMs: lengthIn(typed.tokens) },
    reviewers: typed.reviewers === '' ? undefined : groups.filter((group) => group !== ''),
  }
}

function lengthIn(text: string): number {
  const lengthMs = parseDurationMs(text)
  if (lengthMs === undefined) throw new Fault('INPUT_INVALID', 'Give a length of time.', { hint: 'Such as 7d.' })
  return lengthMs
}

async function listPage({ deps }: Site, { show, person }: Visit, typed: Typed, wrong?: Fault): Promise<Page> {
  const { campaigns } = deps.access
  const list = await campaigns.list(person)
  const body = html`<h1>Access reviews</h1>
    <p class="lead">
      A campaign looks at access that stands: long and recurring grants, long tokens, and policies that ask nobody. What
      nobody confirms until it is due, ends. Emergencies are under <a href="/reviews">Reviews</a>.
    </p>
    ${wrong !== undefined && html`<p class="notice stop" role="alert">Nothing was started. ${wrong.message} ${wrong.hint}</p>`}
    ${list.length === 0 ? empty('There was no campaign yet.') : list.map((one) => countCard(show, one))}
    ${campaigns.mayStart(person) && startForm(typed)}`
  const status = wrong === undefined ? { topic: 'reviews' } : { status: faultStatus[wrong.code] }
  return { title: 'Access reviews', current: 'reviews', ...status, body }
}

function countCard(show: Show, { campaign, entries, waiting }: CampaignCount): Html {
  const { id, name, startedAt, dueAt, finishedAt } = campaign
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <a class="name" href="${path('reviews', 'campaigns', id)}">${name}</a>
        <div class="small">
          Since ${show.moment(startedAt)}, due ${show.moment(dueAt)} ·
          ${entries === 1 ? 'one entry' : `${entries} entries`}
        </div>
      </div>
      ${finishedAt === null ? chip('wait', `${waiting} to decide`) : chip('plain', 'finished')}
    </div>
  </section>`
}

function startForm(typed: Typed): Html {
  return html`<h2>Start one</h2>
    <section class="card">
      <form method="post" action="/reviews/campaigns" class="stack">
        <label for="name">Name</label
        ><input
          id="name"
          name="name"
          value="${typed.name}"
          required
          maxlength="80"
          autocomplete="off"
          placeholder="autumn"
        />
        <label for="for">Due in</label
        ><select id="for" name="for">
          ${usualLengths.map((one) => html`<option value="${one}" ${one === typed.for ? ' selected' : ''}>${formatDuration(parseDurationMs(one)!)}</option>`)}
        </select>
        <div class="pair">
          <div>
            <label for="grants">Grants of at least</label
            ><input id="grants" name="grants" required maxlength="16" value="${typed.grants}" />
          </div>
          <div>
            <label for="tokens">Tokens of at least</label
            ><input id="tokens" name="tokens" required maxlength="16" value="${typed.tokens}" />
          </div>
        </div>
        <label for="reviewers"
          >Who decides <span class="optional">groups, with commas; empty: the reviewers</span></label
        ><input id="reviewers" name="reviewers" value="${typed.reviewers}" maxlength="500" autocomplete="off" />
        <div class="actions"><button class="btn go">Start</button></div>
      </form>
    </section>`
}

function viewPage(show: Show, view: CampaignView, late: boolean): Page {
  const { campaign, startedBy, entries } = view
  const { id, name, startedAt, dueAt, finishedAt, reviewers } = campaign
  const waiting = entries.filter(({ entry }) => entry.state === 'waiting')
  const decided = entries.filter(({ entry }) => entry.state !== 'waiting')
  const body = html`<h1>Access review: ${name}</h1>
    <p class="lead">
      ${finishedAt === null ? html`${chip('wait', `${waiting.length} to decide`)} Due ${show.moment(dueAt)}; what nobody has confirmed then, ends.` : html`${chip('plain', 'finished')} ${show.moment(finishedAt)}.`}
      Started by ${displayName(startedBy)}, ${show.moment(startedAt)}. ${reviewers.join(' or ')} decide.
    </p>
    ${late && html`<p class="notice wait" role="status">It was decided before you, or the time is over; your word was not taken.</p>`}
    <p class="next">
      <a class="btn plain small-btn" href="${path('reviews', 'campaigns', id, 'report.csv')}">CSV</a>
      <a class="btn plain small-btn" href="${path('reviews', 'campaigns', id, 'report.json')}">JSON</a>
    </p>
    ${waiting.map((one) => entryCard(show, campaign.id, one))}
    ${
      decided.length > 0 &&
      html`<h2>Decided</h2>
        ${decided.map((one) => entryCard(show, campaign.id, one))}`
    }`
  // A page that renews itself would take away what was typed.
  const topic = entries.some(({ mayDecide }) => mayDecide) ? {} : { topic: 'reviews' }
  return { title: `Access review: ${name}`, current: 'reviews', ...topic, body }
}

const stateChips: Readonly<Record<EntryState, readonly [Tone, string]>> = {
  waiting: ['wait', 'waits'],
  confirmed: ['go', 'confirmed'],
  ended: ['stop', 'ended'],
  silent: ['stop', 'ended by silence'],
  gone: ['plain', 'was over already'],
}

function entryCard(show: Show, campaign: CampaignId, { entry, holder, decidedBy, mayDecide }: EntryView): Html {
  const whose = holder === null ? '' : displayName(holder)
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${entry.title}</span> <span class="role">${whose}</span>
        <div class="small">${entry.details}</div>
        <div class="small">
          ${entry.expiresAt !== null && html`until ${show.moment(entry.expiresAt)} · `}${usage(show, entry)}
        </div>
        ${entry.comment !== '' && words(`“${entry.comment}”`)}
        ${decidedBy !== null && entry.decidedAt !== null && html`<div class="small">${displayName(decidedBy)}, ${show.moment(entry.decidedAt)}</div>`}
        ${leftToOperator(entry) && html`<p class="small"><strong>It stands until you change the configuration file.</strong></p>`}
      </div>
      ${chip(...stateChips[entry.state])}
    </div>
    ${mayDecide && decideForm(campaign, entry, whose)}
  </section>`
}

function usage(show: Show, { kind, lastUsedAt }: Entry): Html | string {
  if (kind === 'policy') return 'for as long as the file says so'
  return lastUsedAt === null ? 'not used yet' : html`last used ${show.moment(lastUsedAt)}`
}

/** The gateway reads the file; it does not write it. */
function leftToOperator({ kind, state }: Entry): boolean {
  return kind === 'policy' && (state === 'ended' || state === 'silent')
}

function decideForm(campaign: CampaignId, { id, kind, title }: Entry, whose: string): Html {
  const about = `${title} ${whose}`.trim()
  return html`<form method="post" action="${path('reviews', 'campaigns', campaign, 'entries', id)}" class="inline">
    ${noneByEnter}
    <div class="grow">
      <label for="c-${id}">Comment <span class="optional">needed to confirm</span></label
      ><input id="c-${id}" name="comment" maxlength="${commentCharsMax}" autocomplete="off" />
    </div>
    <button class="btn stop" name="word" value="end" aria-label="End: ${about}">
      ${kind === 'policy' ? 'Should end' : 'End'}</button
    ><button class="btn go" name="word" value="confirm" aria-label="Confirm: ${about}">Confirm</button>
  </form>`
}
