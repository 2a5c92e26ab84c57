import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { waitsForUse } from '../../access/grant-life.ts'
import { lockMatch } from '../../access/locks.ts'
import type { Grant, Lock, Request } from '../../access/states.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { GrantId } from '../../kernel/ids.ts'
import type { HttpRole, PostgresRole, SshRole } from '../../resources/catalogue.ts'
import { connectCommands } from '../../resources/connect.ts'
import type { Html, Visit } from '../context.ts'
import { unlessAlready } from '../failure.ts'
import {
  action,
  chip,
  copyable,
  countdown,
  empty,
  grantChip,
  needs,
  notice,
  path,
  progress,
  query,
  requestChip,
} from '../html/parts.ts'
import { filedForMachines, machineOffersFor, machineOffersList } from '../html/on-behalf.ts'
import { roleFacts } from '../html/role-facts.ts'
import { grantLimits, moreTime } from '../html/grant-life.ts'
import { offersTable, readFinding } from '../html/offers.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'
import { bundleOffers } from './ask-bundle.ts'
import { emergencyOffers } from './ask-emergency.ts'

const pastMax = 8
const soonMs = 5 * 60_000

/** The first page: what is open now, what waits, what can be asked for, what was. */
export function myAccessRoutes(site: Site): void {
  const { access } = site.deps
  site.page('/', async (visit) => {
    const [living, requests, sessions, locks] = await Promise.all([
      access.livingGrants(visit.person.id),
      access.requestsOf(visit.person, 30),
      site.deps.live.live({ person: visit.person.id }),
      access.locks(),
    ])
    const emergencies = await access.reviews.emergencies(living.map(({ id }) => id))
    const past = requests.filter(
      (request) => request.state === 'requested' || !living.some((grant) => isBehind(request, grant)),
    )
    const closed = past.filter((request) => request.state !== 'requested').slice(0, pastMax)
    const views = await Promise.all(closed.map((request) => access.view(visit.person, request.id)))
    const connections = (grant: Grant) => sessions.filter(({ session }) => session.grant === grant.id).length
    const offers = access.offers(visit.person, visit)
    const finding = readFinding(visit, '/')
    const body = html`<h1>My access</h1>
      <p class="lead">What you may use now, and what you can ask for.</p>
      ${lockNotices(locks, living, visit)}
      <h2>Open now</h2>
      ${living.length === 0 ? nothingOpen(offers.length) : living.map((grant) => openGrant(site, visit.show, grant, { connections: connections(grant), isEmergency: emergencies.has(grant.id) }))}
      ${pending(
        visit.show,
        past.filter((request) => request.state === 'requested'),
      )}
      ${bundleOffers(access.bundles(visit.person, visit))}
      <h2>You can ask for</h2>
      ${offersTable(visit.show, offers, finding)}
      ${emergencyOffers(visit.show, access.emergencies(visit.person, visit), finding)}
      ${machineOffersList(await machineOffersFor(site, visit))} ${await filedForMachines(site, visit)}
      ${recent(visit.show, views)}`
    return site.render(visit.c, { title: 'My access', current: 'access', topic: 'access', body }, visit)
  })

  site.form('/grants/:id/hand-back', async (visit) => {
    await access.handBack(visit.person, visit.c.req.param('id') as GrantId).catch(unlessAlready('GRANT_IN_WRONG_STATE'))
    return visit.c.redirect('/', 303)
  })
}

/** Whether it led to that access, or to more of it. */
function isBehind({ id, extends: extended }: Request, grant: Grant): boolean {
  return grant.request === id || grant.id === extended
}

/** Access stays open on paper while a lock stands; without this the page and psql would contradict each other. */
function lockNotices(locks: readonly Lock[], living: readonly Grant[], { person, address, show }: Visit): Html[] {
  const holder = { person: person.id, groups: person.groups, addresses: [address] }
  const isAbout = ({ scope }: Lock) =>
    lockMatch({ ...scope, resource: null, role: null })({ ...holder, resource: '', role: '' }) ||
    living.some(({ resource, role }) => lockMatch(scope)({ ...holder, resource, role }))
  return locks.filter(isAbout).map(({ scope, reason, until }) => {
    const what = [scope.resource, scope.role && `as ${scope.role}`].filter(Boolean).join(' ') || 'Everything'
    return notice(
      'stop',
      html`Locked for ${lockedWhom(scope)}: ${what}${until !== null && html`, until ${show.moment(until)}`}. “${reason}”
      Your security or operations people can lift it.`,
    )
  })
}

function lockedWhom({ person, group = null, address = null }: Lock['scope']): string {
  if (person !== null) return 'you'
  const parts = [group !== null && `the group ${group}`, address !== null && `connections from ${address}`]
  return parts.filter((part) => part !== false).join(', ') || 'everybody'
}

function nothingOpen(offers: number): Html {
  return offers === 0
    ? empty(
        'Nothing is open, and no policy lets you ask for anything yet. Your operations people can tell which groups may.',
      )
    : empty('Nothing is open. Pick what you need below; psql, ssh and web applications tell you the same.')
}

/** What is known of a living grant where it is shown. */
interface Around {
  /** Undefined: on the page of its own request. */
  readonly connections?: number
  readonly isEmergency: boolean
}

/** One living grant with how long is left and what to type. */
export function openGrant(site: Site, show: Show, grant: Grant, { connections, isEmergency }: Around): Html {
  const about = `${grant.resource} as ${grant.role}`
  return html`<section class="card" aria-label="${about}">
    <div class="row">
      <div class="grow">
        <span class="name">${grant.resource}</span> <span class="role">as ${grant.role}</span>
        <div class="small">
          ${connections !== undefined && html`<a href="${path('requests', grant.request)}">Request</a> · `}by policy
          “${grant.policy}”${connections !== undefined && connections > 0 && html` · <a href="/sessions">${connections === 1 ? 'one connection' : `${connections} connections`}</a>`}
        </div>
        ${grantLimits(show, grant)}
      </div>
      ${grant.state === 'scheduled' ? startsLater(show, grant) : leftNow(show, grant)} ${moreTime(grant, isEmergency)}
      ${action(path('grants', grant.id, 'hand-back'), 'Hand back', 'plain', about)}
    </div>
    ${grant.state === 'active' && !waitsForUse(grant) && progress(show, clockStartOf(grant), grant.expiresAt)}
    ${connectLine(site, grant)}
  </section>`
}

function clockStartOf({ clock, startsAt, firstUsedAt }: Grant): number {
  return clock === 'first-use' ? (firstUsedAt ?? startsAt) : startsAt
}

function leftNow(show: Show, grant: Grant): Html {
  if (waitsForUse(grant)) return chip('wait', 'waits for its first use')
  const soon = grant.expiresAt - show.now < soonMs
  return html`${soon ? chip('wait', 'ends soon') : grantChip(grant)}
    <div class="time">
      ${countdown(show, grant.expiresAt)} <span class="small">until ${show.clock(grant.expiresAt)}</span>
    </div>`
}

function startsLater(show: Show, grant: Grant): Html {
  return html`${grantChip(grant)}
    <div class="time small">from ${show.clock(grant.startsAt)} until ${show.clock(grant.expiresAt)}</div>`
}

/** What to type or to press, and what else the role opens. */
function connectLine(site: Site, { resource, role: name, state }: Grant): Html {
  const role = site.deps.catalogue.role(resource, name)
  if (role === undefined) return html`<p class="small">This role does not exist any more.</p>`
  return role.kind === 'http' ? openLine(site, resource, role, state === 'active') : typeLine(site, resource, role)
}

function typeLine({ deps }: Site, resource: string, role: PostgresRole | SshRole): Html {
  const commands = connectCommands(deps, resource, role)
  if (commands.length === 0)
    return html`<p class="small">The gateway has no ${protocols[role.kind]} listener open at the moment.</p>`
  const label = (command: string) => (commands.length === 1 ? 'command' : `${command.split(' ', 1)[0]} command`)
  const shown = (command: string) =>
    command.includes(' oauth_issuer=')
      ? html`<p class="small others">psql 18 can sign in by itself:</p>
          ${copyable(command, `the command of psql 18 for ${resource}`)}`
      : copyable(command, `the ${label(command)} for ${resource}`)
  return html`${commands.map(shown)}
  ${role.kind === 'ssh' ? html`<p class="small others">${roleFacts(role)}</p>` : otherDatabases(resource, role)}`
}

const protocols = { postgres: 'PostgreSQL', ssh: 'SSH' } as const

function openLine({ deps }: Site, resource: string, role: HttpRole, open: boolean): Html {
  const [address] = connectCommands(deps, resource, role)
  if (address === undefined) return html`<p class="small">This application has no host name at the moment.</p>`
  const href = query(path('open', resource), { role: role.name })
  return html`${copyable(address, `the address of ${resource}`)}
    <div class="row">
      <p class="small others grow">${roleFacts(role)}</p>
      ${open && html`<a class="btn go" href="${href}" aria-label="Open ${resource} as ${role.name}">Open</a>`}
    </div>`
}

function otherDatabases(resource: string, { databases: [, ...others] }: PostgresRole): Html | false {
  return (
    others.length > 0 &&
    html`<p class="small others">
      Other databases: ${others.map((name, at) => html`${at > 0 && ', '}<code>dbname=${resource}/${name}</code>`)}
    </p>`
  )
}

function pending(show: Show, requests: readonly Request[]): Html | false {
  if (requests.length === 0) return false
  return html`<h2>Waiting for a decision</h2>
    ${requests.map(
      (request) =>
        html`<section class="card">
          <div class="row">
            <div class="grow">
              <a class="name" href="${path('requests', request.id)}">${request.resource}</a>
              <span class="role"
                >as ${request.role}, for
                ${formatDuration(request.lengthMs)}${request.kind === 'extension' && ' more'}</span
              >
              <div class="small">
                Asked ${show.ago(request.askedAt)} · takes ${needs(request.approval)} · lapses
                ${show.clock(request.lapsesAt)}
              </div>
            </div>
            ${requestChip(request)}${action(path('requests', request.id, 'cancel'), 'Call off', 'plain', `${request.resource} as ${request.role}`)}
          </div>
        </section>`,
    )}`
}

function recent(show: Show, views: readonly RequestView[]): Html | false {
  if (views.length === 0) return false
  return html`<h2>Lately</h2>
    <section class="card flat">
      <table>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">How it went</th>
            <th scope="col" class="wide">When</th>
            <th scope="col"><span class="unseen">Again</span></th>
          </tr>
        </thead>
        <tbody>
          ${views.map(
            ({ request, grant }) =>
              html`<tr>
                <td>
                  <a class="name" href="${path('requests', request.id)}">${request.resource}</a>
                  <span class="role">as ${request.role}</span>
                </td>
                <td>${grant === undefined ? requestChip(request) : grantChip(grant)}</td>
                <td class="wide time small">${show.moment(request.askedAt)}</td>
                <td class="num">
                  <a
                    href="${query('/ask', { resource: request.resource, role: request.role, reason: request.reason, ticket: request.ticket ?? undefined })}"
                    aria-label="Ask again for ${request.resource} as ${request.role}"
                    >Again</a
                  >
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
}
