import { html } from 'hono/html'
import type { SignIn } from '../../identity/store.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import type { SignInId } from '../../kernel/ids.ts'
import type { Html, Visit } from '../context.ts'
import { unlessAlready } from '../failure.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { noneByEnter, notice, path, query } from '../html/parts.ts'
import { createRateLimit } from '../rate-limit.ts'
import type { Site } from '../site.ts'

const codeCharsMax = 24

/** Answering a sign-in that psql, ssh or the CLI waits for. The page shows who asks: the defence against a phished link. */
export function inBandRoutes(site: Site): void {
  const { inBand } = site.deps.identity
  // codes are short: nobody gets to try many
  const guesses = createRateLimit(site.deps.clock, { burst: 20, perMs: 6000 })

  async function waiting(visit: Visit): Promise<SignIn> {
    const code = (visit.c.req.param('code') ?? '').toUpperCase()
    const found = code.length <= codeCharsMax ? await inBand.byCode(code) : undefined
    if (found !== undefined) return found
    guesses.take(visit.address)
    guesses.take(visit.person.id)
    throw new Fault('SIGN_IN_TIMED_OUT', 'There is no sign-in with this code, or it is over.')
  }

  async function answer(visit: Visit, signIn: SignIn, fields: Fields): Promise<void> {
    if (fields.text('answer', 16) !== 'confirm') return inBand.refuse(signIn, visit.visitor)
    await inBand.confirm(signIn, visit.visitor, { address: visit.address }, fields.flag('remember'))
  }

  site.page('/s', (visit) => {
    const code = (visit.c.req.query('code') ?? '').trim().toUpperCase().slice(0, codeCharsMax)
    return code === '' ? site.render(visit.c, enterCode, visit) : visit.c.redirect(path('s', code), 303)
  })

  site.page('/s/:code', async (visit) => {
    const signIn = await waiting(visit)
    if (signIn.state !== 'waiting') return visit.c.redirect(path('answered', signIn.id), 303)
    return site.render(visit.c, confirmPage(visit, signIn, inBand.rememberMs), visit)
  })

  site.form('/s/:code', async (visit, fields) => {
    const signIn = await waiting(visit)
    await answer(visit, signIn, fields).catch(unlessAlready('ALREADY_DECIDED'))
    return visit.c.redirect(path('answered', signIn.id), 303)
  })

  site.page('/answered/:id', async (visit) => {
    const signIn = await inBand.byId(visit.c.req.param('id') as SignInId)
    if (signIn?.person !== visit.person.id) {
      throw new Fault('NOT_FOUND', 'There is no such sign-in of yours.', {
        hint: 'Somebody else answered it, or it is over.',
      })
    }
    return site.render(visit.c, await answeredPage(site, visit, signIn), visit)
  })
}

const enterCode: Page = {
  title: 'Enter a code',
  narrow: true,
  current: 'sign-ins',
  body: html`<h1>Enter a code</h1>
    <p class="lead">The one that psql, ssh or the command line shows while it waits.</p>
    <form action="/s" class="stack">
      <label for="code">Code</label>
      <input
        id="code"
        name="code"
        class="code"
        required
        maxlength="${codeCharsMax}"
        autocomplete="off"
        autocapitalize="characters"
        spellcheck="false"
      />
      <div class="actions"><button class="btn go">Go on</button></div>
    </form>`,
}

const programs: Readonly<Record<SignIn['purpose'], string>> = {
  postgres: 'A database client',
  ssh: 'An SSH client',
  cli: 'A command line',
}

function confirmPage(visit: Visit, signIn: SignIn, rememberMs: number): Page {
  const body = html`<h1>Was this you?</h1>
    <p class="lead">
      ${programs[signIn.purpose]} waits to be let in as
      <strong>${visit.person.email ?? visit.person.name ?? visit.person.subject}</strong>. It must show this code:
    </p>
    <p class="code big" aria-label="Code ${signIn.code}">${signIn.code}</p>
    ${addressNotice(visit, signIn)}
    <section class="card">
      <dl>
        <dt>Wants</dt>
        <dd>${wantsText(signIn)}</dd>
        <dt>Program</dt>
        <dd>${signIn.application || 'does not say'} <span class="small">(its own words)</span></dd>
        <dt>From</dt>
        <dd class="mono">${signIn.address}</dd>
        ${signIn.purpose === 'ssh' && keyRow(signIn.keyFingerprint)}
        <dt>Since</dt>
        <dd class="time">${visit.show.second(signIn.createdAt)}</dd>
        <dt>Waits until</dt>
        <dd class="time">${visit.show.second(signIn.expiresAt)}</dd>
      </dl>
    </section>
    <form method="post" action="${path('s', signIn.code)}" class="stack">
      ${noneByEnter} ${rememberMs > 0 && rememberBox(visit, signIn, rememberMs)}
      <div class="actions">
        <button class="btn stop" name="answer" value="refuse">Not me: refuse</button
        ><button class="btn go" name="answer" value="confirm">This was me: let it in</button>
      </div>
    </form>`
  return { title: 'Was this you?', narrow: true, body }
}

function wantsText({ purpose, resource, role }: SignIn): Html | string {
  if (resource !== null) return html`<span class="name">${resource}</span>${role !== null && html` as ${role}`}`
  return purpose === 'cli' ? 'to act as you on the command line' : 'to see what you may use, and choose'
}

function keyRow(fingerprint: string | null): Html {
  return html`<dt>Key</dt>
    ${
      fingerprint === null
        ? html`<dd>none <span class="small">(so it will be asked each time)</span></dd>`
        : html`<dd class="mono fingerprint">${fingerprint}</dd>`
    }`
}

function addressNotice({ address }: Visit, signIn: SignIn): Html {
  return address === signIn.address
    ? notice('go', 'It comes from the same address as this browser.')
    : notice(
        'wait',
        html`It comes from <span class="mono">${signIn.address}</span>, and this browser from
          <span class="mono">${address}</span>. Go on only if you started it there yourself; never because somebody sent
          you the link.`,
      )
}

/** Ticked only where it is plain that nobody else is meant. */
function rememberBox({ address }: Visit, signIn: SignIn, rememberMs: number): Html | false {
  const same = address === signIn.address
  const length = formatDuration(rememberMs)
  if (signIn.purpose === 'postgres') {
    // any address but this machine's own may be shared, and the page cannot tell
    return check(
      same && isLoopback(address),
      html`Remember <span class="mono">${signIn.address}</span> for ${length}`,
      'Connections from that address need no browser until then. Not for addresses that others share.',
    )
  }
  if (signIn.keyFingerprint === null) return false
  return check(
    same,
    html`Remember this key for ${length}`,
    'Whoever holds it comes in as you until then, from anywhere and without a browser. Not for keys that others use.',
  )
}

function check(ticked: boolean, label: Html, help: string): Html {
  return html`<label class="check"
    ><input type="checkbox" name="remember" value="yes" ${ticked ? ' checked' : ''} />
    <span>${label}<span class="help">${help}</span></span></label
  >`
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

const goesOn: Readonly<Record<SignIn['purpose'], string>> = {
  postgres: 'it knows you now.',
  ssh: 'the connection goes on by itself.',
  cli: 'the command goes on by itself.',
}

async function answeredPage(site: Site, visit: Visit, signIn: SignIn): Promise<Page> {
  if (signIn.state === 'refused') {
    const body = html`<h1>Refused</h1>
      <p class="lead">Nothing was let in. If somebody sent you that link, tell your security people.</p>
      <p class="next"><a class="btn plain" href="/">My access</a></p>`
    return { title: 'Refused', narrow: true, body }
  }
  const body = html`<h1>You are signed in there</h1>
    <p class="lead">Go back to the terminal: ${goesOn[signIn.purpose]}</p>
    ${signIn.purpose === 'ssh' && (await keyNotice(site, visit, signIn))} ${await nextStep(site, visit, signIn)}`
  return { title: 'Signed in', narrow: true, topic: 'access', body }
}

/** Says what the next connection will be like. */
async function keyNotice({ deps }: Site, { person, show }: Visit, { keyFingerprint: key }: SignIn): Promise<Html> {
  if (key === null) return notice('plain', 'It showed no key, so the next connection asks again.')
  const { bindings } = await deps.identity.own.list(person.id)
  const binding = bindings.find(({ kind, value }) => kind === 'ssh-key' && value === key)
  if (binding === undefined) return notice('plain', 'Its key is not remembered, so the next connection asks again.')
  return notice(
    'go',
    html`Its key is remembered until ${show.clock(binding.expiresAt)}: connections with it need no browser until then.
      <a href="/sign-ins">Forget it</a> whenever you like.`,
  )
}

/** Signed in is not yet allowed: says what is still missing. */
async function nextStep({ deps }: Site, { person, now, show }: Visit, signIn: SignIn): Promise<Html | false> {
  const { resource, role } = signIn
  if (resource === null || role === null) return false
  const same = (one: { resource: string; role: string }) => one.resource === resource && one.role === role
  const grant = (await deps.access.livingGrants(person.id)).find((one) => same(one) && one.startsAt <= now)
  if (grant !== undefined)
    return notice('go', html`Your access to ${resource} as ${role} is open until ${show.clock(grant.expiresAt)}.`)
  const open = (await deps.access.requestsOf(person, 30)).find((one) => same(one) && one.state === 'requested')
  if (open !== undefined)
    return notice(
      'wait',
      html`<a href="${path('requests', open.id)}">Your request for ${resource} as ${role}</a> waits for a decision. The
        terminal goes on by itself once it is approved.`,
    )
  if (!deps.access.offers(person, undefined, resource).some((offer) => offer.role.name === role)) {
    return notice(
      'stop',
      html`No policy lets you use ${resource} as ${role}. <a href="/">See what you may ask for</a>.`,
    )
  }
  return html`<section class="card row">
    <span class="grow"
      >You have no access to <span class="name">${resource}</span> as ${role} yet. The terminal waits while you
      ask.</span
    ><a class="btn go" href="${query('/ask', { resource, role })}">Ask for it</a>
  </section>`
}
