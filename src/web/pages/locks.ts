import { html } from 'hono/html'
import type { Lock } from '../../access/states.ts'
import { displayName } from '../../identity/person.ts'
import { formatDuration, parseDurationMs } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { LockId, PersonId } from '../../kernel/ids.ts'
import type { Html, Visit } from '../context.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { action, chip, empty, path, words } from '../html/parts.ts'
import { placeLock } from '../lock-wish.ts'
import type { Site } from '../site.ts'

interface Typed {
  readonly person: string
  readonly machine: string
  readonly group: string
  readonly resource: string
  readonly role: string
  readonly address: string
  readonly for: string
  readonly reason: string
}

const nothingTyped: Typed = {
  ...{ person: '', machine: '', group: '', resource: '', role: '', address: '', for: '', reason: '' },
}
const usualLengths = ['15m', '1h', '4h', '1d', '7d', '30d']
const pastShownMax = 20

/** Locks: this person, machine, group, resource, role or address, nothing, now. For operators. */
export function lockRoutes(site: Site): void {
  const { access } = site.deps

  site.page('/locks', async (visit) => {
    operatorsOnly(site, visit)
    return site.render(visit.c, await locksPage(site, visit, nothingTyped, undefined), visit)
  })

  site.form('/locks', async (visit, fields) => {
    operatorsOnly(site, visit)
    const typed = read(fields)
    try {
      await placeLock(site, visit.person, wishOf(typed))
    } catch (error) {
      const fault = asFault(error)
      if (fault?.code !== 'INPUT_INVALID') throw error
      return site.render(visit.c, await locksPage(site, visit, typed, fault), visit)
    }
    return visit.c.redirect('/locks', 303)
  })

  site.form('/locks/:id/lift', async (visit) => {
    await access.liftLock(visit.person, visit.c.req.param('id') as LockId)
    return visit.c.redirect('/locks', 303)
  })
}

function read(fields: Fields): Typed {
  return {
    person: fields.text('person', 200),
    machine: fields.text('machine', 64),
    group: fields.text('group', 200),
    resource: fields.text('resource', 64),
    role: fields.text('role', 64),
    address: fields.text('address', 64),
    for: fields.text('for', 16),
    reason: fields.text('reason', 300),
  }
}

function wishOf({ person, machine, group, resource, role, address, for: length, reason }: Typed) {
  const lengthMs = length === '' ? null : parseDurationMs(length)
  if (lengthMs === undefined) throw new Fault('INPUT_INVALID', 'Give a length of time.', { hint: 'Such as 30m or 2h.' })
  return {
    ...{ person: person || null, machine: machine || null, group: group || null, resource: resource || null },
    ...{ role: role || null, address: address || null, reason, lengthMs },
  }
}

/** With what was typed, when something is wrong with it: whoever locks is in a hurry. */
async function locksPage(site: Site, visit: Visit, typed: Typed, wrong: Fault | undefined): Promise<Page> {
  const { access } = site.deps
  const [standing, past] = await Promise.all([access.locks(), access.pastLocks(pastShownMax)])
  const cards = (locks: readonly Lock[]) => Promise.all(locks.map((lock) => lockCard(site, visit, lock)))
  const [shown, over] = await Promise.all([cards(standing), cards(past)])
  const body = html`<h1>Locks</h1>
    <p class="lead">
      A lock ends matching live sessions at once and refuses new ones, until it is lifted or its time is over.
    </p>
    ${wrong !== undefined && html`<p class="notice stop" role="alert">Nothing was locked. ${wrong.message} ${wrong.hint}</p>`}
    <h2>Standing</h2>
    ${shown.length === 0 ? empty('Nothing is locked.') : shown} ${lockForm(site, typed)}
    ${
      over.length > 0 &&
      html`<h2>Over</h2>
        ${over}`
    }`
  // A page that renews itself would take away what was typed.
  const topic = wrong === undefined ? { topic: 'locks' } : { status: faultStatus[wrong.code] }
  return { title: 'Locks', current: 'locks', ...topic, body }
}

function operatorsOnly({ deps }: Site, { person }: Visit): void {
  if (!deps.access.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Locks are for operators.')
}

async function lockCard(site: Site, { show }: Visit, lock: Lock): Promise<Html> {
  const { id, scope, reason, placedAt, until, liftedAt } = lock
  const [person, placer, lifter] = await Promise.all(
    [scope.person, lock.placedBy, lock.liftedBy].map((one) => nameOf(site, one)),
  )
  const what = [
    ...(person === null ? [] : [person]),
    ...told('group', scope.group),
    ...told('resource', scope.resource),
    ...told('role', scope.role),
    ...told('from', scope.address),
  ].join(', ')
  const ending = until === null ? '' : html`, until ${show.moment(until)}`
  const lifting = lifter === null ? 'Its time was over' : html`Lifted by ${lifter}`
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${what}</span>
        ${words(reason)}
        <div class="small">By ${placer}, ${show.moment(placedAt)}${ending}</div>
        ${liftedAt !== null && html`<div class="small">${lifting}, ${show.moment(liftedAt)}</div>`}
      </div>
      ${
        liftedAt === null
          ? html`${chip('stop', 'locked')}${action(path('locks', id, 'lift'), 'Lift', 'plain', what)}`
          : chip('plain', lifter === null ? 'over' : 'lifted')
      }
    </div>
  </section>`
}

function told(kind: string, value: string | null | undefined): readonly string[] {
  return value === null || value === undefined ? [] : [`${kind} ${value}`]
}

async function nameOf({ deps }: Site, id: PersonId | null): Promise<string | null> {
  if (id === null) return null
  const person = await deps.identity.person(id)
  if (person === undefined) return id
  return person.kind === 'machine' ? `machine ${displayName(person)}` : displayName(person)
}

function lockForm({ deps }: Site, typed: Typed): Html {
  const { resources } = deps.catalogue
  const { machines } = deps.identity
  const roles = [...new Set(resources.flatMap((resource) => Object.keys(resource.roles)))]
  const names = resources.map(({ name }) => name)
  return html`<h2>Place a lock</h2>
    <section class="card">
      <form method="post" action="/locks" class="stack">
        <p class="small still">It stops what matches all that you fill in.</p>
        <label for="person">Person <span class="optional">e-mail address or id; empty for everybody</span></label
        ><input id="person" name="person" value="${typed.person}" maxlength="200" autocomplete="off" />
        ${machines.names.length > 0 && choice('machine', 'Machine', ['', ...machines.names], typed.machine, 'none in particular')}
        <div class="pair">
          ${field('group', 'Group', 'as the provider calls it', typed.group, 200)}
          ${field('address', 'Address', 'or network', typed.address, 64)}
        </div>
        <div class="pair">
          ${choice('resource', 'Resource', ['', ...names], typed.resource)}
          ${choice('role', 'Role', ['', ...roles], typed.role)}
        </div>
        <label for="for">How long</label>
        <select id="for" name="for">
          <option value="">until it is lifted</option>
          ${usualLengths.map(
            (one) =>
              html`<option value="${one}" ${one === typed.for ? ' selected' : ''}>
                ${formatDuration(parseDurationMs(one) ?? 0)}
              </option>`,
          )}
        </select>
        <label for="reason">Reason <span class="optional">those it stops read it</span></label
        ><input id="reason" name="reason" value="${typed.reason}" required maxlength="300" autocomplete="off" />
        <div class="actions"><button class="btn stop">Lock now</button></div>
      </form>
    </section>`
}

function field(name: string, label: string, about: string, value: string, charsMax: number): Html {
  return html`<div>
    <label for="${name}">${label} <span class="optional">${about}</span></label
    ><input id="${name}" name="${name}" value="${value}" maxlength="${charsMax}" autocomplete="off" />
  </div>`
}

function choice(name: string, label: string, values: readonly string[], chosen: string, none = 'any'): Html {
  return html`<div>
    <label for="${name}">${label}</label
    ><select id="${name}" name="${name}">
      ${values.map(
        (value) =>
          html`<option value="${value}" ${value === chosen ? ' selected' : ''}>${value === '' ? none : value}</option>`,
      )}
    </select>
  </div>`
}
