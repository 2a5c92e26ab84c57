import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import { unusedMsOfFirstUse } from '../../access/grant-life.ts'
import { formatDuration, parseDurationMs } from '../../kernel/durations.ts'
import { asFault, Fault, type FaultCode } from '../../kernel/fault.ts'
import type { Html, Visit } from '../context.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import { fieldsOf, type Fields } from '../forms.ts'
import { forField, machineOffersFor, machineOffersList } from '../html/on-behalf.ts'
import {
  instantIn,
  lengthField,
  reasonField,
  startField,
  StartRefused,
  ticketField,
  type FieldName,
  type Wrong,
} from '../html/ask-fields.ts'
import { hoursFields, hoursWished, readHoursFields, type TypedHours } from '../html/hours-fields.ts'
import { needs, notice, path, query } from '../html/parts.ts'
import { roleFacts } from '../html/role-facts.ts'
import { onwardFields, readOnward, type Onward } from '../onward.ts'
import type { Site } from '../site.ts'
import { bundleOf, bundleOffers, bundlePage, readBundle } from './ask-bundle.ts'
import { offersTable, readFinding, stoppedLine } from '../html/offers.ts'

const limits = { name: 64, length: 16, reason: 1000, ticket: 100, zone: 64 } as const

interface Typed {
  readonly resource: string
  readonly role: string
  readonly length: string
  readonly reason: string
  readonly ticket: string
  readonly startsAt: string
  readonly zone: string
  readonly hours: TypedHours
  /** Name of a machine; empty: for themselves. */
  readonly onBehalfOf: string
  /** The application that waits for it. */
  readonly onward: Onward | undefined
}

/** Asking for access: a form that a link can fill in, and that keeps what was typed when something is wrong. */
export function askRoutes(site: Site): void {
  const { access } = site.deps

  site.page('/ask', async (visit) => {
    const typed = read(fieldsOf(new URL(visit.c.req.url).searchParams))
    const bundle = readBundle(fieldsOf(new URL(visit.c.req.url).searchParams))
    if (bundle.bundle !== '') {
      const together = await bundleOf(site, visit, bundle)
      return site.render(visit.c, bundlePage(visit, together, bundle, undefined), visit)
    }
    if (typed.resource === '' || typed.role === '') return chooseFirst(site, visit)
    const { only, link } = emergencyOf(site, visit, typed)
    if (only && typed.onBehalfOf === '') return visit.c.redirect(link, 303)
    const offer = await offerFor(site, visit, typed)
    return site.render(visit.c, await askPage(site, visit, offer, typed, undefined, link), visit)
  })

  site.form('/ask', async (visit, fields) => {
    const typed = read(fields)
    const offer = await offerFor(site, visit, typed)
    try {
      const request = await access.ask(visit.person, wishOf(visit, typed))
      return visit.c.redirect(query(path('requests', request.id), onwardFields(typed.onward, 'then')), 303)
    } catch (error) {
      const fault = asFault(error)
      const field = fault && fieldOf(fault.code, error)
      if (fault === undefined || field === null) throw error
      return site.render(visit.c, await askPage(site, visit, offer, typed, { field, fault }), visit)
    }
  })
}

function read(fields: Fields): Typed {
  return {
    resource: fields.text('resource', limits.name),
    role: fields.text('role', limits.name),
    length: fields.text('for', limits.length),
    reason: fields.text('reason', limits.reason),
    ticket: fields.text('ticket', limits.ticket),
    startsAt: fields.text('startsAt', limits.zone),
    zone: fields.text('zone', limits.zone),
    hours: readHoursFields(fields),
    onBehalfOf: fields.text('onBehalfOf', limits.name),
    onward: readOnward(fields, 'then'),
  }
}

/** Of the machine, if it is for one: where it will be is not known. */
async function offerFor({ deps }: Site, visit: Visit, { resource, role, onBehalfOf }: Typed): Promise<Offer> {
  const { access } = deps
  if (onBehalfOf === '') return access.offer(visit.person, resource, role, visit)
  return access.offer(await access.holder(visit.person, onBehalfOf), resource, role)
}

function wishOf({ address }: Visit, typed: Typed) {
  const hours = hoursWished(typed.hours)
  const lengthMs = hours?.lengthMs ?? parseDurationMs(typed.length)
  if (lengthMs === undefined) {
    throw new Fault('LENGTH_REFUSED', 'Give a length of time.', { hint: 'Such as 30m or 2h.' })
  }
  return {
    resource: typed.resource,
    role: typed.role,
    lengthMs,
    reason: typed.reason,
    ticket: typed.ticket === '' ? null : typed.ticket,
    startsAt: typed.startsAt === '' ? null : instantIn(typed.startsAt, typed.zone),
    origin: `browser at ${address}`,
    windows: hours?.windows ?? null,
    onBehalfOf: typed.onBehalfOf || undefined,
    asker: { address },
  }
}

const ofTheForm: readonly FaultCode[] = ['LOCKED', 'RATE_LIMITED', 'POLICY_DENIES', 'FROM_ELSEWHERE', 'NOT_ALLOWED']

/** Which field a fault belongs to; undefined: the whole form; null: not the form's fault at all. */
function fieldOf(code: FaultCode, error: unknown): FieldName | undefined | null {
  if (code === 'REASON_REQUIRED') return 'reason'
  if (code === 'TICKET_REQUIRED') return 'ticket'
  if (code === 'LENGTH_REFUSED') return 'for'
  if (code === 'OUTSIDE_WINDOW') return 'startsAt'
  if (code === 'INPUT_INVALID') return error instanceof StartRefused ? 'startsAt' : undefined
  return ofTheForm.includes(code) ? undefined : null
}

async function chooseFirst(site: Site, visit: Visit): Promise<Response> {
  const body = html`<h1>Ask for access</h1>
    <p class="lead">Pick what you need. Access begins when it is approved and ends by itself.</p>
    ${bundleOffers(site.deps.access.bundles(visit.person, visit))}
    ${offersTable(visit.show, site.deps.access.offers(visit.person, visit), readFinding(visit, '/ask'))}
    ${machineOffersList(await machineOffersFor(site, visit))}`
  return site.render(visit.c, { title: 'Ask for access', current: 'access', body }, visit)
}

/** Where the same can be had in an emergency, and whether there is no other way. */
function emergencyOf({ deps }: Site, visit: Visit, { resource, role, onward, onBehalfOf }: Typed) {
  if (onBehalfOf !== '') return { only: false, link: '' } // machines have no emergencies
  const isMeant = (offer: Offer) => offer.role.name === role
  const { person } = visit
  const isThere = deps.access.emergencies(person, visit, resource).some(isMeant)
  const only = isThere && !deps.access.offers(person, visit, resource).some(isMeant)
  const link = query('/ask/emergency', { resource, role, ...onwardFields(onward, 'then') })
  return { only, link: isThere ? link : '' }
}

async function askPage(site: Site, visit: Visit, offer: Offer, typed: Typed, wrong: Wrong | undefined, emergency = '') {
  const { resource, role, policy, stopped } = offer
  const own = site.deps.access.offers(visit.person, visit, resource.name)
  const forThemselves = own.some((one) => one.role.name === role.name)
  const machines = await machineOffersFor(site, visit)
  const may = [role.description, ...(role.kind === 'postgres' ? [] : [roleFacts(role)])].filter(Boolean).join(' · ')
  const body = html`<h1>Ask for ${resource.name} as ${role.name}</h1>
    <p class="lead">
      ${
        policy.approval.kind === 'none'
          ? `Needs nobody’s approval. ${clockWords(policy)}`
          : `Needs approval by ${needs(policy.approval)}. ${clockWords(policy)}`
      }
    </p>
    ${
      (resource.description !== '' || may !== '') &&
      html`<section class="card">
        <dl>
          ${
            resource.description !== '' &&
            html`<dt>What it is</dt>
              <dd>${resource.description}</dd>`
          }${
            may !== '' &&
            html`<dt>You may</dt>
              <dd>${may}</dd>`
          }
        </dl>
      </section>`
    }
    ${stopped !== undefined && notice('stop', html`${stoppedLine(visit.show, stopped)} ${stopped.opensAt !== null && 'Ask for a start after that.'}`)}
    <form method="post" action="/ask" class="stack">
      ${wrong !== undefined && html`<p class="notice stop" role="alert">${wrong.fault.message} ${wrong.fault.hint}</p>`}
      ${hiddenFields({ resource: resource.name, role: role.name, ...onwardFields(typed.onward, 'then') })}
      ${forField(offer, machines, { forThemselves, chosen: typed.onBehalfOf })} ${lengthField(offer, typed, wrong)}
      ${reasonField(offer, typed, wrong)} ${ticketField(offer, typed, wrong)} ${startField(visit, typed, wrong)}
      ${hoursFields(visit.show, policy, typed.hours)}
      <div class="actions"><a class="btn plain" href="/">Back</a><button class="btn go">Ask</button></div>
    </form>
    ${emergency !== '' && html`<p class="small">Something is on fire? <a href="${emergency}">In an emergency</a> it begins at once.</p>`}`
  return {
    title: `Ask for ${resource.name}`,
    current: 'access' as const,
    narrow: true,
    ...(wrong !== undefined && { status: faultStatus[wrong.fault.code] }),
    body,
  }
}

/** When its time counts, and what ends it before. */
function clockWords({ grants, approval }: Offer['policy']): string {
  const { clock = 'start', uses = 'many', unusedMs: bound = null } = grants ?? {}
  const unusedMs = bound ?? (clock === 'start' ? null : unusedMsOfFirstUse)
  const from = approval.kind === 'none' ? 'It begins at once' : 'The clock starts at the approval'
  return [
    `${clock === 'start' ? from : 'The clock starts with your first session'}, and the access ends by itself.`,
    ...(uses === 'once' ? ['It is for one session.'] : []),
    ...(unusedMs === null ? [] : [`Unused for ${formatDuration(unusedMs)}, it is over.`]),
  ].join(' ')
}

function hiddenFields(fields: Readonly<Record<string, string>>): Html[] {
  return Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)
}
