import { html } from 'hono/html'
import type { Lock } from '../../access/states.ts'
import { displayName } from '../../identity/person.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { LockId, PersonId } from '../../kernel/ids.ts'
import type { Html, Visit } from '../context.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { action, chip, empty, path, words } from '../html/parts.ts'
import type { Site } from '../site.ts'

interface Typed {
  readonly person: string
  readonly resource: string
  readonly role: string
  readonly reason: string
}

const nothingTyped: Typed = { person: '', resource: '', role: '', reason: '' }

/** Locks: this person, resource or role, nothing, now. For operators. */
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
      const person = typed.person === '' ? null : await personNamed(site, typed.person)
      const scope = { person, resource: typed.resource || null, role: typed.role || null }
      await access.placeLock(visit.person, scope, typed.reason)
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
    resource: fields.text('resource', 64),
    role: fields.text('role', 64),
    reason: fields.text('reason', 300),
  }
}

/** With what was typed, when something is wrong with it: whoever locks is in a hurry. */
async function locksPage(site: Site, visit: Visit, typed: Typed, wrong: Fault | undefined): Promise<Page> {
  const locks = await site.deps.access.locks()
  const shown = await Promise.all(locks.map((lock) => lockCard(site, visit, lock)))
  const body = html`<h1>Locks</h1>
    <p class="lead">A lock ends matching live sessions at once and refuses new ones until it is lifted.</p>
    ${wrong !== undefined && html`<p class="notice stop" role="alert">Nothing was locked. ${wrong.message} ${wrong.hint}</p>`}
    <h2>Standing</h2>
    ${shown.length === 0 ? empty('Nothing is locked.') : shown} ${lockForm(site, typed)}`
  // A page that renews itself would take away what was typed.
  const topic = wrong === undefined ? { topic: 'locks' } : { status: faultStatus[wrong.code] }
  return { title: 'Locks', current: 'locks', ...topic, body }
}

function operatorsOnly({ deps }: Site, { person }: Visit): void {
  if (!deps.access.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Locks are for operators.')
}

/** By id, or by an e-mail address that belongs to exactly one person. */
async function personNamed({ deps }: Site, text: string): Promise<PersonId> {
  const byId = text.startsWith('person-') ? await deps.identity.person(text as PersonId) : undefined
  if (byId !== undefined) return byId.id
  const [found, another] = await deps.identity.peopleByEmail(text)
  if (found === undefined) {
    throw new Fault('INPUT_INVALID', 'Nobody with that e-mail address or id has signed in here.', {
      hint: 'Check it; whoever has never signed in is stopped at the identity provider.',
    })
  }
  if (another !== undefined) {
    throw new Fault('INPUT_INVALID', 'More than one person has that e-mail address.', {
      hint: 'Give the id (person-…).',
    })
  }
  return found.id
}

async function lockCard(
  { deps }: Site,
  { show }: Visit,
  { id, scope, reason, placedBy, placedAt }: Lock,
): Promise<Html> {
  const [locked, placer] = await Promise.all([
    scope.person === null ? undefined : deps.identity.person(scope.person),
    deps.identity.person(placedBy),
  ])
  const what = [
    scope.person !== null && (locked === undefined ? scope.person : displayName(locked)),
    scope.resource !== null && `resource ${scope.resource}`,
    scope.role !== null && `role ${scope.role}`,
  ].filter((part) => part !== false)
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${what.join(', ')}</span>
        ${words(reason)}
        <div class="small">By ${placer === undefined ? placedBy : displayName(placer)}, ${show.moment(placedAt)}</div>
      </div>
      ${chip('stop', 'locked')}${action(path('locks', id, 'lift'), 'Lift', 'plain', what.join(', '))}
    </div>
  </section>`
}

function lockForm({ deps }: Site, typed: Typed): Html {
  const roles = [...new Set(deps.catalogue.resources.flatMap((resource) => Object.keys(resource.roles)))]
  const options = (names: readonly string[], chosen: string) =>
    html`<option value="">any</option>
      ${names.map((name) => html`<option ${name === chosen ? ' selected' : ''}>${name}</option>`)}`
  return html`<h2>Place a lock</h2>
    <section class="card">
      <form method="post" action="/locks" class="stack">
        <label for="person">Person <span class="optional">e-mail address or id; empty for everybody</span></label
        ><input id="person" name="person" value="${typed.person}" maxlength="200" autocomplete="off" />
        <div class="pair">
          <div>
            <label for="resource">Resource</label
            ><select id="resource" name="resource">
              ${options(
                deps.catalogue.resources.map(({ name }) => name),
                typed.resource,
              )}
            </select>
          </div>
          <div>
            <label for="role">Role</label
            ><select id="role" name="role">
              ${options(roles, typed.role)}
            </select>
          </div>
        </div>
        <label for="reason">Reason <span class="optional">those it stops read it</span></label
        ><input id="reason" name="reason" value="${typed.reason}" required maxlength="300" autocomplete="off" />
        <div class="actions"><button class="btn stop">Lock now</button></div>
      </form>
    </section>`
}
