import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import type { Grant } from '../../access/states.ts'
import type { AppPlace } from '../../identity/apps.ts'
import type { Person } from '../../identity/person.ts'
import { Fault } from '../../kernel/fault.ts'
import type { RequestId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { type HttpResource, unknownName } from '../../resources/catalogue.ts'
import { originOf } from '../../resources/hosts.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { chip, path, query } from '../html/parts.ts'
import { roleFacts } from '../html/role-facts.ts'
import type { Site } from '../site.ts'
import { onwardFields, placeOf, readOnward, type Onward } from '../onward.ts'

const nameCharsMax = 64
const requestsMax = 50

/** One role of an application, and how this person stands to it. */
interface Choice {
  readonly offer: Offer
  /** They may go in now. */
  readonly open: boolean
  /** Asked for, or approved and not begun: its page goes on by itself. */
  readonly waiting: RequestId | undefined
}

/** Somebody on the way into an application. */
interface Way {
  readonly visit: Visit
  readonly resource: HttpResource
  /** Undefined without a way that was begun at the application's host: it is begun there. */
  readonly begun: (AppPlace & Onward) | undefined
}

/**
 * The way from an application's host through the sign-in and back: `/open/RESOURCE?state=STATE[&role=ROLE][&host=HOST]`.
 * `choose=yes` shows the roles although one of them is open.
 * Changes nothing; the ticket that it makes works once, for a minute, in the browser that began this way.
 */
export function openRoutes(site: Site): void {
  site.page('/open/:resource', async (visit) => {
    const fields = fieldsOf(new URL(visit.c.req.url).searchParams)
    const { resource, offers } = await visibleApp(site, visit.person, visit.c.req.param('resource') ?? '')
    const way = { visit, resource, begun: begun(site, resource, readOnward(fields, 'state')) }
    const choices = await choicesOf(site, visit, offers)
    const role = fields.text('role', nameCharsMax)
    const wantsToChoose = fields.text('choose', nameCharsMax) !== ''
    const unnamed = wantsToChoose ? undefined : obvious(choices)
    const chosen = role === '' ? unnamed : named(choices, role)
    return chosen === undefined
      ? site.render(visit.c, chooser(way, choices), visit)
      : visit.c.redirect(nextStep(site, way, chosen), 303)
  })
}

/** @throws Fault RESOURCE_UNKNOWN for what they may not see, and for what is no application. */
async function visibleApp(
  { deps }: Site,
  person: Person,
  name: string,
): Promise<{ resource: HttpResource; offers: readonly Offer[] }> {
  const apps = (await deps.access.usable(person)).filter(({ role }) => role.kind === 'http')
  const offers = apps.filter(({ resource }) => resource.name === name)
  const resource = offers[0]?.resource
  if (resource?.kind !== 'http') {
    const taken = deps.access.emergencies(person).find((offer) => offer.resource.name === name)
    // says that it is for emergencies only, and where
    if (taken?.role.kind === 'http') deps.access.offer(person, name, taken.role.name)
    throw unknownName('resource', name, [...new Set(apps.map((offer) => offer.resource.name))])
  }
  return { resource, offers }
}

function begun({ deps }: Site, resource: HttpResource, onward: Onward | undefined): Way['begun'] {
  const place = onward && placeOf(deps, resource, onward)
  return place && onward && { ...onward, ...place }
}

async function choicesOf({ deps }: Site, { person, now }: Visit, offers: readonly Offer[]): Promise<Choice[]> {
  const [grants, requests] = await Promise.all([
    deps.access.livingGrants(person.id),
    deps.access.requestsOf(person, requestsMax),
  ])
  return offers.map((offer) => {
    const isMeant = (one: { readonly resource: string; readonly role: string }) =>
      one.resource === offer.resource.name && one.role === offer.role.name
    const living = grants.filter((grant) => isMeant(grant) && now < grant.expiresAt)
    const asked = requests.find(
      (request) => isMeant(request) && request.state === 'requested' && now < request.lapsesAt,
    )
    return { offer, open: living.some((grant) => isActive(grant, now)), waiting: living[0]?.request ?? asked?.id }
  })
}

/** As the gate sees it: one whose start was not noticed yet would send people to and fro. */
function isActive(grant: Grant, now: Instant): boolean {
  return grant.state === 'active' && now < grant.expiresAt
}

/** The only one that is open, or the only one that there is. */
function obvious(choices: readonly Choice[]): Choice | undefined {
  const open = choices.filter((choice) => choice.open)
  if (open.length === 1) return open[0]
  return choices.length === 1 ? choices[0] : undefined
}

/** @throws Fault ROLE_UNKNOWN */
function named(choices: readonly Choice[], role: string): Choice {
  const found = choices.find(({ offer }) => offer.role.name === role)
  if (found !== undefined) return found
  throw unknownName(
    'role',
    role,
    choices.map(({ offer }) => offer.role.name),
  )
}

/** In with a ticket; to the request that waits; or to ask. */
function nextStep(site: Site, { visit, resource, begun }: Way, { offer, open, waiting }: Choice): string {
  const role = offer.role.name
  if (!open) {
    const then = onwardFields(begun, 'then')
    return waiting === undefined
      ? query('/ask', { resource: resource.name, role, ...then })
      : query(path('requests', waiting), then)
  }
  if (begun === undefined) return beginThere(site, resource, role)
  const ticket = site.deps.identity.apps.ticket(visit.visitor, begun, role, begun.state)
  return query(`https://${begun.host}/.curfew/enter`, { ticket })
}

/** @throws Fault NOT_FOUND when it has no host name. */
function beginThere({ deps }: Site, resource: HttpResource, role: string): string {
  const origin = originOf(deps.hosts, resource, deps.publicUrl)
  if (origin !== undefined) return query(`${origin}/.curfew/enter`, { role })
  throw new Fault('NOT_FOUND', `${resource.name} has no host name.`, {
    hint: 'Your operations people can give it one with "hosts".',
  })
}

function chooser({ resource, begun }: Way, choices: readonly Choice[]): Page {
  const body = html`<h1>Open ${resource.name}</h1>
    <p class="lead">You can be more than one thing there. As what do you want to go in?</p>
    ${choices.map((choice) => choiceCard(choice, begun))}
    <p class="next"><a class="btn plain" href="/">Back</a></p>`
  return { title: `Open ${resource.name}`, current: 'access', narrow: true, body }
}

function choiceCard({ offer: { resource, role }, open, waiting }: Choice, begun: Way['begun']): Html {
  const href = query(path('open', resource.name), { role: role.name, ...onwardFields(begun, 'state') })
  const word = open ? 'Open' : waiting === undefined ? 'Ask' : 'Look'
  return html`<section class="card" aria-label="${role.name}">
    <div class="row">
      <div class="grow">
        <span class="name">${role.name}</span>
        ${role.description !== '' && html`<div class="small">${role.description}</div>`}
        <div class="small">${roleFacts(role)}</div>
      </div>
      ${open ? chip('go', 'open') : waiting !== undefined && chip('wait', 'waits')}
      <a class="btn ${open ? 'go' : 'plain'}" href="${href}" aria-label="${word} ${resource.name} as ${role.name}"
        >${word}</a
      >
    </div>
  </section>`
}
