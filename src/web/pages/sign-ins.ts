import { html } from 'hono/html'
import { isBrowsers } from '../../identity/endings.ts'
import type { OwnSignIns } from '../../identity/identity.ts'
import { scopes, scopeWords, usualScopes, type Scope } from '../../identity/scopes.ts'
import type { BrowserSession, Token } from '../../identity/store.ts'
import { formatDuration, parseDurationMs, writeDuration } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { CredentialId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { browserName, programName } from '../../kernel/user-agent.ts'
import type { Html, Visit } from '../context.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { action, chip, copyable, path } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

const labelCharsMax = 80
const usualLengths = ['1h', '8h', '1d', '7d', '30d', '90d']

interface Made {
  readonly text: string
  readonly token: Token
}

/** A token that is wished for, as somebody typed it. */
interface Typed {
  readonly label: string
  readonly for: string
  readonly scopes: readonly Scope[]
}

const nothingTyped: Typed = { label: '', for: '', scopes: usualScopes }

/** What came of the form for tokens. */
interface Outcome {
  readonly made?: Made
  readonly wrong?: Fault
  readonly typed: Typed
}

/** What this person is signed in with, each with its way to end it; and tokens for programs. */
export function signInsRoutes(site: Site): void {
  const { identity } = site.deps

  site.page('/sign-ins', async (visit) =>
    site.render(visit.c, await signInsPage(site, visit, { typed: nothingTyped }), visit),
  )

  site.form('/sign-ins/tokens', async (visit, fields) => {
    const typed = read(fields)
    const { id } = visit.visitor.browserSession
    const by = { credential: id, browserSession: id }
    try {
      const made = await identity.tokens.make(visit.person, { ...wishOf(typed), by })
      // shown in the answer itself: a redirect would have to keep the secret somewhere
      const page = await signInsPage(site, visit, { made, typed: nothingTyped })
      return await site.render(visit.c, page, visit)
    } catch (error) {
      const fault = asFault(error)
      if (fault?.code !== 'INPUT_INVALID') throw error
      return site.render(visit.c, await signInsPage(site, visit, { wrong: fault, typed }), visit)
    }
  })

  // where the form leads to: after a new sign-in, or by the address bar
  site.page('/sign-ins/tokens', (visit) => visit.c.redirect('/sign-ins', 303))

  site.form('/sign-ins/:id/revoke', async (visit) => {
    const id = visit.c.req.param('id') as CredentialId
    await identity.own.revoke(visit.person, id)
    return visit.c.redirect(id === visit.visitor.browserSession.id ? '/signed-out' : '/sign-ins', 303)
  })
}

function read(fields: Fields): Typed {
  return {
    label: fields.text('label', labelCharsMax),
    for: fields.text('for', 16),
    scopes: scopes.filter((scope) => fields.flag(scopeField(scope))),
  }
}

/** @throws Fault INPUT_INVALID */
function wishOf({ label, for: length, scopes: chosen }: Typed) {
  const lengthMs = parseDurationMs(length)
  if (lengthMs === undefined) throw new Fault('INPUT_INVALID', 'Give a length of time such as 8h.')
  if (chosen.length === 0) throw new Fault('INPUT_INVALID', 'Tick at least one thing that the token may do.')
  return { label, kind: 'access', lengthMs, scopes: chosen } as const
}

async function signInsPage(site: Site, visit: Visit, { made, wrong, typed }: Outcome): Promise<Page> {
  const own = living(await site.deps.identity.own.list(visit.person.id), visit.now)
  const body = html`<h1>Sign-ins</h1>
    <p class="lead">
      Where you are signed in, what is remembered, and your tokens. Ending one ends the sessions that came in by it.
    </p>
    ${made !== undefined && madeCard(visit.show, made)}
    <h2>Browsers</h2>
    ${browsersTable(visit, own.browserSessions)}
    <h2>Remembered SSH keys</h2>
    ${keysTable(visit.show, own)}
    <h2>Remembered addresses</h2>
    ${addressesTable(visit.show, own)}
    <h2>Tokens</h2>
    ${tokensTable(visit.show, own.tokens)} ${tokenForm(site, typed, wrong)}`
  const status = made === undefined ? wrong && faultStatus[wrong.code] : 201
  return { title: 'Sign-ins', current: 'sign-ins', body, ...(status !== undefined && { status }) }
}

type Own = Awaited<ReturnType<OwnSignIns['list']>>

function living(own: Own, now: Instant): Own {
  const lives = (one: { endedAt: Instant | null; expiresAt: Instant }) => one.endedAt === null && now < one.expiresAt
  const newest = <T extends { createdAt: Instant }>(all: readonly T[]) =>
    all.toSorted((a, b) => b.createdAt - a.createdAt)
  return {
    browserSessions: newest(own.browserSessions.filter(lives)),
    bindings: newest(own.bindings.filter(lives)),
    tokens: newest(own.tokens.filter(lives)),
  }
}

function madeCard(show: Show, { text, token }: Made): Html {
  return html`<section class="card made" role="status">
    <h2 class="inside">Your token “${token.label}”</h2>
    <p>Copy it now: it is shown only this once. It works until ${show.moment(token.expiresAt)}.</p>
    ${copyable(text, 'the token')}
    <p class="small">
      It may ${mayDo(token)}. psql: write the role as <code>user=ROLE.token</code> and give it as the password. Web
      applications and the API: send it as <code>Authorization: Bearer</code>.
    </p>
  </section>`
}

function table(heads: readonly (readonly [string, string])[], rows: readonly Html[]): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          ${heads.map(([text, kind]) => html`<th scope="col" class="${kind}">${text}</th>`)}
          <th scope="col"><span class="unseen">End</span></th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </section>`
}

function browsersTable({ show, visitor }: Visit, sessions: readonly BrowserSession[]): Html {
  return table(
    [
      ['Browser', ''],
      ['Since', 'wide'],
      ['Until', ''],
    ],
    sessions.map((session) => {
      const here = session.id === visitor.browserSession.id
      // A program that came with an access token of the provider's says what it is by itself.
      const called = isBrowsers(session) ? browserName(session.userAgent) : programName(session.userAgent)
      const name = `${called} from ${session.address}`
      return html`<tr>
        <td>
          ${called}
          <span class="small mono">${session.address}</span> ${here && chip('go', 'this one')}
        </td>
        <td class="wide time small">${show.moment(session.createdAt)}</td>
        <td class="time small">${show.moment(session.expiresAt)}</td>
        <td class="num">${action(path('sign-ins', session.id, 'revoke'), 'End', 'plain', name)}</td>
      </tr>`
    }),
  )
}

/** What is remembered more than once has one row, and is forgotten at once. */
function lastOfEach(bindings: Own['bindings']): Own['bindings'] {
  const byEnd = bindings.toSorted((left, right) => left.expiresAt - right.expiresAt)
  return [...new Map(byEnd.map((binding) => [binding.value, binding])).values()].toReversed()
}

function keysTable(show: Show, { bindings, browserSessions }: Own): Html {
  const keys = lastOfEach(bindings.filter(({ kind }) => kind === 'ssh-key'))
  if (keys.length === 0)
    return html`<p class="card small">
      None. When ssh asks you to sign in, you can let it remember the key for a while.
    </p>`
  return table(
    [
      ['Key', ''],
      ['Since', 'wide'],
      ['Until', ''],
    ],
    keys.map((key) => {
      const browser = browserSessions.find(({ id }) => id === key.browserSession)
      return html`<tr>
        <td>
          <span class="mono">${key.value}</span>
          ${browser !== undefined && html`<br /><span class="small">confirmed in ${browserName(browser.userAgent)} at ${browser.address}</span>`}
        </td>
        <td class="wide time small">${show.moment(key.createdAt)}</td>
        <td class="time small">${show.moment(key.expiresAt)}</td>
        <td class="num">${action(path('sign-ins', key.id, 'revoke'), 'Forget', 'plain', key.value)}</td>
      </tr>`
    }),
  )
}

function addressesTable(show: Show, { bindings }: Own): Html {
  const addresses = lastOfEach(bindings.filter(({ kind }) => kind === 'address'))
  if (addresses.length === 0)
    return html`<p class="card small">
      None. When psql asks you to sign in, you can let it remember the address for a while.
    </p>`
  return table(
    [
      ['Address', ''],
      ['Since', 'wide'],
      ['Until', ''],
    ],
    addresses.map(
      (binding) =>
        html`<tr>
          <td class="mono">${binding.value}</td>
          <td class="wide time small">${show.moment(binding.createdAt)}</td>
          <td class="time small">${show.moment(binding.expiresAt)}</td>
          <td class="num">${action(path('sign-ins', binding.id, 'revoke'), 'Forget', 'plain', binding.value)}</td>
        </tr>`,
    ),
  )
}

function tokensTable(show: Show, tokens: readonly Token[]): Html {
  if (tokens.length === 0)
    return html`<p class="card small">None. A token lets a program in where no browser can open.</p>`
  return table(
    [
      ['For', ''],
      ['Last used', 'wide'],
      ['Until', ''],
    ],
    tokens.map(
      (token) =>
        html`<tr>
          <td>
            ${token.label}
            ${
              token.kind === 'cli' &&
              html`${chip('plain', 'command line')}<br /><span class="small">its SSH certificates end with it</span>`
            }
            ${token.kind !== 'cli' && html`<br /><span class="small">may ${mayDo(token)}</span>`}
          </td>
          <td class="wide time small">${token.lastUsedAt === null ? 'never' : show.moment(token.lastUsedAt)}</td>
          <td class="time small">${show.moment(token.expiresAt)}</td>
          <td class="num">${action(path('sign-ins', token.id, 'revoke'), 'Revoke', 'plain', token.label)}</td>
        </tr>`,
    ),
  )
}

function mayDo({ scopes: held }: Token): string {
  return held.map((scope) => scopeWords[scope]).join('; ')
}

const scopeField = (scope: string) => `scope-${scope}`

function scopeBoxes(chosen: readonly Scope[], wrong: Fault | undefined): Html {
  return html`<details class="later" ${wrong === undefined ? '' : ' open'}>
    <summary>What it may do</summary>
    ${scopes.map(
      (scope) =>
        html`<label class="check"
          ><input type="checkbox" name="${scopeField(scope)}" value="yes" ${chosen.includes(scope) && ' checked'} />
          <span>${scopeWords[scope]} <span class="small mono">${scope}</span></span></label
        >`,
    )}
  </details>`
}

function tokenForm({ deps }: Site, typed: Typed, wrong: Fault | undefined): Html {
  const mostMs = deps.identity.tokens.lengthMsMax
  const lengths = [...new Set([...usualLengths.map((text) => parseDurationMs(text)!), mostMs])]
    .filter((one) => one <= mostMs)
    .toSorted((left, right) => left - right)
  const chosenMs = parseDurationMs(typed.for)
  return html`<section class="card">
    <h2 class="inside">Make a token</h2>
    ${wrong !== undefined && html`<p class="notice stop" role="alert">No token was made. ${wrong.message} ${wrong.hint}</p>`}
    <form method="post" action="/sign-ins/tokens" class="inline">
      <div class="grow">
        <label for="label">What for</label
        ><input
          id="label"
          name="label"
          value="${typed.label}"
          required
          maxlength="${labelCharsMax}"
          autocomplete="off"
          placeholder="nightly report on ci-3"
        />
      </div>
      <div>
        <label for="length">How long</label
        ><select id="length" name="for">
          ${lengths.map((one) => html`<option value="${writeDuration(one)}" ${one === chosenMs ? ' selected' : ''}>${formatDuration(one)}</option>`)}
        </select>
      </div>
      <button class="btn go">Make</button>
      ${scopeBoxes(typed.scopes, wrong)}
    </form>
  </section>`
}
