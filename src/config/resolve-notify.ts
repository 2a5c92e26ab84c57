import type { Secret } from '../kernel/secret.ts'
import { isLoopback } from './check-settings.ts'
import { inTurn, optionalCa, type ReferenceReader } from './files.ts'
import type {
  SlackButtonSettings,
  MailSettings,
  NotifySettings,
  SlackSettings,
  TellPlaces,
  WebhookSettings,
} from './notify-settings.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import type { NotifyInFile } from './schema-notify.ts'

/** What `notify` in the file means; null without one. Findings go to the reader. */
export async function readNotify(parts: Salvaged, reader: ReferenceReader): Promise<NotifySettings | null> {
  const { notify } = parts
  if (notify === undefined) return null
  reader.findings.push(...notifyFindings(notify), ...dangling(notify, parts))
  const { giveUpAfter, endingBefore, knownFor, includeReason, requester, security, groups, routes } = notify
  const webhooks = await inTurn(notify.webhooks, (webhook, index) =>
    readWebhook(['notify', 'webhooks', index], webhook, reader),
  )
  return {
    giveUpMs: giveUpAfter,
    endingMs: endingBefore,
    knownMs: knownFor,
    includeReason,
    requester,
    security: { ...places(security), events: security.events },
    groups: Object.fromEntries(Object.entries(groups).map(([group, one]) => [group, places(one)])),
    routes: routes.map((route) => ({
      ...places(route),
      policies: route.policies ?? null,
      resources: route.resources ?? null,
      labels: route.labels,
    })),
    mail: await readMail(notify.mail, reader),
    slack: await readSlack(notify.slack, reader),
    webhooks: webhooks.filter((webhook) => webhook !== undefined),
  }
}

function places({ mail, slack }: { mail: readonly string[]; slack?: string | undefined }): TellPlaces {
  return { mail, slack: slack ?? null }
}

async function readMail(mail: NotifyInFile['mail'], reader: ReferenceReader): Promise<MailSettings | null> {
  if (mail === undefined) return null
  const { host, port, tls, from, user, approvers: deciders } = mail
  const ca = await optionalCa(['notify', 'mail', 'ca'], mail.ca, reader)
  const at = ['notify', 'mail', 'password']
  const password = mail.password === undefined ? undefined : await reader.secret(at, mail.password)
  const login = user !== undefined && password !== undefined ? { user, password } : null
  return { host, port, tls, ca: ca ?? null, login, from, replyTo: mail.replyTo ?? null, deciders }
}

async function readSlack(slack: NotifyInFile['slack'], reader: ReferenceReader): Promise<SlackSettings | null> {
  if (slack === undefined) return null
  const path = ['notify', 'slack', 'token']
  const token = await reader.secret(path, slack.token)
  if (token === undefined) return null
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    reader.findings.push({ path, expected: 'a bot token, xoxb-…', message: 'got something with other characters' })
  }
  const apiUrl = new URL(slack.apiUrl.endsWith('/') ? slack.apiUrl : `${slack.apiUrl}/`)
  const buttons = await readSlackButtons(slack, reader)
  return { token, apiUrl, channel: slack.channel ?? null, directMessages: slack.directMessages, buttons }
}

async function readSlackButtons(
  { buttons, signingSecret, team }: NonNullable<NotifyInFile['slack']>,
  reader: ReferenceReader,
): Promise<SlackButtonSettings | null> {
  const path = ['notify', 'slack']
  const secret =
    signingSecret === undefined ? undefined : await reader.secret([...path, 'signingSecret'], signingSecret)
  if (!buttons) return null
  if (signingSecret === undefined || team === undefined) {
    const message = '`buttons` need `signingSecret` and `team`'
    reader.findings.push({ path: [...path, 'buttons'], message, at: 'key' })
    return null
  }
  return secret === undefined ? null : { signingSecret: secret, team }
}

async function readWebhook(
  at: ConfigPath,
  webhook: NotifyInFile['webhooks'][number],
  reader: ReferenceReader,
): Promise<WebhookSettings | undefined> {
  const ca = await optionalCa([...at, 'ca'], webhook.ca, reader)
  const secrets = await inTurn(webhook.secrets, (reference, index) =>
    readSecret([...at, 'secrets', index], reference, reader),
  )
  const found = secrets.filter((secret) => secret !== undefined)
  if (ca === undefined || found.length < secrets.length) return undefined
  return { name: webhook.name, url: new URL(webhook.url), secrets: found, ca, events: webhook.events }
}

/** @see Standard Webhooks, "Signature scheme": 24 to 64 random bytes, base64, prefixed `whsec_`. */
async function readSecret(path: ConfigPath, reference: string, reader: ReferenceReader): Promise<Secret | undefined> {
  const secret = await reader.secret(path, reference)
  if (secret === undefined) return undefined
  const parts = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal())
  const lengthBytes = Buffer.from(parts?.[1] ?? '', 'base64').length
  if (lengthBytes >= 24 && lengthBytes <= 64) return secret
  reader.findings.push({
    path,
    expected: '`whsec_` and 24 to 64 bytes in base64',
    message: 'got something else',
    hint: 'Make one with: echo "whsec_$(openssl rand -base64 32)"',
  })
  return undefined
}

function notifyFindings(notify: NotifyInFile): readonly Finding[] {
  return [...urlFindings(notify), ...mailFindings(notify.mail), ...namesTwice(notify), ...unreachable(notify)]
}

function urlFindings({ slack, webhooks }: NotifyInFile): readonly Finding[] {
  const urls: readonly (readonly [ConfigPath, string])[] = [
    ...webhooks.map(({ url }, index) => [['notify', 'webhooks', index, 'url'], url] as const),
    ...(slack === undefined ? [] : [[['notify', 'slack', 'apiUrl'], slack.apiUrl] as const]),
  ]
  return urls.flatMap(([path, text]) => {
    const url = new URL(text)
    const findings: Finding[] = []
    if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
      findings.push({
        path,
        expected: 'an address that begins with https://',
        message: 'got http:// for another machine',
      })
    }
    if (url.username !== '' || url.password !== '') {
      findings.push({ path, expected: 'an address without a user and password', message: 'got one with them' })
    }
    return findings
  })
}

function mailFindings(mail: NotifyInFile['mail']): readonly Finding[] {
  if (mail === undefined) return []
  const findings: Finding[] = []
  const path = ['notify', 'mail']
  if (mail.tls === 'none' && !isLoopback(mail.host)) {
    findings.push({
      path: [...path, 'tls'],
      expected: '`starttls` or `implicit`',
      message: `mail would cross the network readable to ${mail.host}`,
    })
  }
  if ((mail.user === undefined) !== (mail.password === undefined)) {
    findings.push({ path, message: '`user` and `password` go together', at: 'key' })
  }
  return findings
}

function namesTwice({ webhooks }: NotifyInFile): readonly Finding[] {
  return webhooks.flatMap(({ name }, index) =>
    webhooks.findIndex((other) => other.name === name) === index
      ? []
      : [{ path: ['notify', 'webhooks', index, 'name'], message: `there is another webhook called ${name}` }],
  )
}

/** A list or a channel that nothing is sent to, because its way is not set up. */
function unreachable({ mail, slack, security, groups, routes }: NotifyInFile): readonly Finding[] {
  const all: readonly (readonly [ConfigPath, typeof security | (typeof routes)[number] | (typeof groups)[string]])[] = [
    [['notify', 'security'], security],
    ...Object.entries(groups).map(([group, one]) => [['notify', 'groups', group], one] as const),
    ...routes.map((route, index) => [['notify', 'routes', index], route] as const),
  ]
  return all.flatMap(([path, one]) => [
    ...(mail === undefined && one.mail.length > 0
      ? [{ path: [...path, 'mail'], message: 'there is no `notify.mail` to send it with' }]
      : []),
    ...(slack === undefined && one.slack !== undefined
      ? [{ path: [...path, 'slack'], message: 'there is no `notify.slack` to send it with' }]
      : []),
  ])
}

/** Names in routes that nothing has: they would match nothing, and nobody would notice. */
function dangling({ routes }: NotifyInFile, { resourceNames, policies, complete }: Salvaged): readonly Finding[] {
  const policyNames = policies.map(({ policy }) => policy.name)
  const missing = (names: readonly string[] | undefined, known: readonly string[], path: ConfigPath, what: string) =>
    (names ?? []).flatMap((name, index) =>
      known.includes(name) ? [] : [{ path: [...path, index], message: `there is no ${what} called "${name}"` }],
    )
  return routes.flatMap((route, index) => {
    const at = ['notify', 'routes', index]
    return [
      ...missing(route.resources, resourceNames, [...at, 'resources'], 'resource'),
      ...(complete ? missing(route.policies, policyNames, [...at, 'policies'], 'policy') : []),
    ]
  })
}
