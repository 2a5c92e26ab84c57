import { html } from 'hono/html'
import type { Notifications, Receiver } from '../../access/notifications.ts'
import { noticeChannels, type QueuedMessage } from '../../access/outbox.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Html, Visit } from '../context.ts'
import { chip, empty, notice, query, type Tone } from '../html/parts.ts'
import type { Site } from '../site.ts'

const place = '/operations/notifications'

/** What is told to people outside, and what did not get through. For operators. */
export function notificationRoutes(site: Site): void {
  site.page(place, async (visit) => {
    operatorsOnly(site, visit)
    const body = await notificationsBody(site.deps.notifications, visit)
    return site.render(visit.c, { title: 'Notifications', current: 'notifications', renewS: 10, body }, visit)
  })

  site.form(`${place}/test`, async (visit, fields) => {
    operatorsOnly(site, visit)
    const channel = noticeChannels.find((one) => one === fields.text('channel', 20))
    if (channel === undefined) throw new Fault('NOT_FOUND', 'There is no such channel.')
    await configured(site).test(visit.person, channel, fields.text('name', 80))
    return visit.c.redirect(query(place, { tested: 'yes' }), 303)
  })

  site.form(`${place}/switch-on`, async (visit, fields) => {
    operatorsOnly(site, visit)
    await configured(site).switchOn(visit.person, fields.text('name', 80))
    return visit.c.redirect(place, 303)
  })
}

function operatorsOnly({ deps }: Site, { person }: Visit): void {
  if (!deps.access.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Notifications are for operators.')
}

function configured({ deps }: Site): Notifications {
  if (deps.notifications === null) throw new Fault('NOT_FOUND', 'No notifications are configured.')
  return deps.notifications
}

async function notificationsBody(notifications: Notifications | null, visit: Visit): Promise<Html> {
  const lead = html`<h1>Notifications</h1>
    <p class="lead">What approvers, requesters and others are told by mail, Slack and webhooks.</p>`
  if (notifications === null) {
    return html`${lead} ${empty('Nobody is told anything: the configuration has no section notify.')}`
  }
  const { receivers, recent } = await notifications.overview(visit.person)
  const isFailed = ({ message }: QueuedMessage) => message.state === 'waiting' || message.state === 'given-up'
  const [failed, others] = [recent.filter(isFailed), recent.filter((one) => !isFailed(one))]
  const tested = visit.c.req.query('tested') === 'yes'
  return html`${lead} ${tested && notice('plain', 'A test message was queued. What becomes of it shows below.')}
    <h2>Ways out</h2>
    ${receivers.length === 0 ? empty('No mail, Slack or webhook is configured.') : receivers.map((one) => card(one, visit))}
    ${
      failed.length > 0 &&
      html`<h2>Not got through</h2>
        ${table(failed, visit)}`
    }
    <h2>Last messages</h2>
    ${others.length === 0 ? empty('Nothing was sent yet.') : table(others, visit)}`
}

function card({ channel, name, place: where, ...receiver }: Receiver, { show }: Visit): Html {
  const { waiting, oldestReadyAt, switchedOffAt, testGoesTo } = receiver
  const title = channel === 'webhook' ? `Webhook ${name}` : { mail: 'Mail', slack: 'Slack' }[channel]
  const state =
    switchedOffAt !== null
      ? chip('stop', 'switched off')
      : waiting > 0
        ? chip('wait', `${waiting} waiting`)
        : chip('go', 'nothing waits')
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${title}</span>
        <div class="small">
          ${where}${oldestReadyAt !== null && ` · the oldest waits for ${formatDuration(Math.max(1000, show.now - oldestReadyAt))}`}
          ${switchedOffAt !== null && html` · it answered 410 Gone, ${show.moment(switchedOffAt)}`}
        </div>
      </div>
      ${state}
      ${testGoesTo !== null && switchedOffAt === null && form('test', { channel, name }, 'Send a test message', title)}
      ${switchedOffAt !== null && form('switch-on', { name }, 'Switch on', title)}
    </div>
  </section>`
}

function form(step: string, fields: Readonly<Record<string, string>>, text: string, about: string): Html {
  return html`<form method="post" action="${place}/${step}">
    ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    <button class="btn plain" aria-label="${text}: ${about}">${text}</button>
  </form>`
}

function table(messages: readonly QueuedMessage[], { show }: Visit): Html {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Message</th>
        <th scope="col">State</th>
      </tr>
    </thead>
    <tbody>
      ${messages.map(
        ({ message, notice: about }) =>
          html`<tr>
            <td>
              ${about.type}
              <div class="small">${message.channel} ${message.recipient}</div>
            </td>
            <td>
              ${chip(...stateWords(message))}
              <div class="small">
                ${message.state === 'waiting' && 'next '}${show.moment(message.settledAt ?? message.dueAt)}
                ${message.problem !== null && `· ${message.problem}`}
              </div>
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`
}

function stateWords({ state, attempts }: QueuedMessage['message']): readonly [Tone, string] {
  const tries = `${attempts} ${attempts === 1 ? 'try' : 'tries'}`
  switch (state) {
    case 'waiting':
      return ['wait', `tried again, ${tries}`]
    case 'sent':
      return ['go', 'sent']
    case 'given-up':
      return ['stop', `given up, ${tries}`]
    case 'dropped':
      return ['plain', 'not needed']
  }
}
