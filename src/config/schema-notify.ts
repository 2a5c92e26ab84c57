import * as z from 'zod'
import { noticeTypes, type NoticeType } from '../access/outbox.ts'
import { duration, filePath, name, secretReference } from './schema-fields.ts'

const addressForm = { error: 'expected a mail address such as dba@example.com' }

/** Stricter than RFC 5321: what would need quotes is not taken, so that a list or a header cannot hide in it. */
const mailAddress = z
  .string(addressForm)
  .max(254)
  .regex(/^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/, addressForm)

const mailAddresses = (about: string) =>
  z
    .array(mailAddress)
    .max(50)
    .default([])
    .meta({ description: about, examples: [['dba@example.com']] })

const slackChannel = (about: string) =>
  z
    .string()
    .regex(/^(#[^\s#@<>&]{1,79}|[CG][A-Z0-9]{2,30})$/, {
      error: 'expected a channel such as #access, or its id such as C0123456789',
    })
    .meta({ description: about, examples: ['#access'] })

const events = (about: string, standard: readonly NoticeType[]) =>
  z
    .array(z.enum(noticeTypes).exclude(['test']))
    .default([...standard] as Exclude<NoticeType, 'test'>[])
    .meta({ description: about })

const places = {
  mail: mailAddresses('Mail addresses.'),
  slack: slackChannel('Slack channel.').optional(),
}

const mailSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .meta({ description: 'SMTP server.', examples: ['smtp.example.com'] }),
    port: z.int().min(1).max(65535).default(587).meta({ description: 'Its port.' }),
    tls: z.enum(['starttls', 'implicit', 'none']).default('starttls').meta({
      description:
        '`starttls`: nothing is sent before the connection is encrypted. `implicit`: TLS from the first byte (port 465). `none`: only for a server on loopback. The certificate is always verified.',
    }),
    ca: filePath('PEM file with the authorities to trust for it instead of the system’s.').optional(),
    user: z.string().min(1).optional().meta({ description: 'Login. Absent: none.' }),
    password: secretReference('Its password.').optional(),
    from: mailAddress.meta({ description: 'Sender.', examples: ['curfew@example.com'] }),
    replyTo: mailAddress.optional().meta({ description: 'Where answers go. Absent: to the sender.' }),
    approvers: z.boolean().default(true).meta({
      description:
        'Whether everybody who may decide on a request, and is known (`knownFor`), gets a mail of their own.',
    }),
  })
  .meta({ description: 'Mail.' })

const slackSchema = z
  .strictObject({
    token: secretReference('Bot token (`xoxb-…`).'),
    channel: slackChannel('For requests that no group and no route has a channel for. Absent: none.').optional(),
    directMessages: z.boolean().default(false).meta({
      description:
        'Whether those who may decide, and requesters, get direct messages; they are found by their e-mail address.',
    }),
    apiUrl: z
      .url({ protocol: /^https?$/ })
      .default('https://slack.com/api/')
      .meta({ description: 'Where the API is. `http` only on loopback.' }),
    buttons: z.boolean().default(false).meta({
      description:
        'Whether messages to those who decide have buttons, beside the link. Read notifications.md first: it says what that trusts.',
    }),
    signingSecret: secretReference('The app’s signing secret. For `buttons`.').optional(),
    team: z
      .string()
      .regex(/^T[A-Z0-9]{2,30}$/, { error: 'expected the id of a workspace such as T0123456789' })
      .optional()
      .meta({
        description: 'The workspace’s id. For `buttons`: nobody from another one decides.',
        examples: ['T0123456789'],
      }),
  })
  .meta({ description: 'Slack.' })

const webhookSchema = z.strictObject({
  name: name('For the pages and the log.'),
  url: z
    .url({ protocol: /^https?$/ })
    .meta({ description: 'Where to POST to. `http` only on loopback. Redirects are not followed.' }),
  secrets: z
    .array(secretReference('`whsec_` and 24 to 64 bytes in base64.'))
    .min(1)
    .max(2)
    .meta({ description: 'Everything is signed with each of them: give two while you exchange one.' }),
  ca: filePath('PEM file with the authorities to trust for it instead of the system’s.').optional(),
  events: events(
    'Which events. Absent: all.',
    noticeTypes.filter((type) => type !== 'test'),
  ),
})

/** `notify` in the configuration file. */
export const notifySchema = z
  .strictObject({
    giveUpAfter: duration('How long a message is tried before it is given up.').prefault('24h'),
    endingBefore: duration(
      'How long before the end of a grant `grant.ending` is sent; not for grants shorter than twice that.',
    ).prefault('15m'),
    knownFor: duration(
      'People who may decide are told in person if they signed in within this time. Nobody else is known.',
    ).prefault('90d'),
    includeReason: z.boolean().default(true).meta({
      description:
        'Whether messages carry what people wrote: reasons, tickets, comments. They are on the pages in any case.',
    }),
    requester: z
      .strictObject({
        events: events('Which events about their own requests and grants.', [
          'request.approved',
          'request.denied',
          'request.lapsed',
          'grant.revoked',
          'break-glass.used',
          'review.closed',
          'campaign.entry-ended',
        ]),
      })
      .prefault({})
      .meta({ description: 'What requesters are told, by mail and, with `slack.directMessages`, in Slack.' }),
    security: z
      .strictObject({
        ...places,
        events: events('Which events; `break-glass.used` in any case.', [
          'grant.revoked',
          'review.waiting',
          'review.closed',
          'campaign.finished',
          'lock.placed',
          'lock.lifted',
        ]),
      })
      .prefault({})
      .meta({ description: 'Those who want to know, whoever decides.' }),
    groups: z
      .record(z.string().min(1), z.strictObject(places))
      .default({})
      .meta({ description: 'Where approvers of a group are told together, by the name of the group.' }),
    routes: z
      .array(
        z.strictObject({
          policies: z.array(z.string()).min(1).optional().meta({ description: 'Names of policies. Absent: any.' }),
          resources: z.array(z.string()).min(1).optional().meta({ description: 'Names of resources. Absent: any.' }),
          labels: z
            .record(z.string(), z.string())
            .default({})
            .meta({ description: 'Labels that the resource must carry, all of them.' }),
          ...places,
        }),
      )
      .default([])
      .meta({ description: 'More places to tell of requests that match. Every one that matches counts.' }),
    mail: mailSchema.optional(),
    slack: slackSchema.optional(),
    webhooks: z.array(webhookSchema).max(20).default([]).meta({ description: 'Receivers of signed webhooks.' }),
  })
  .optional()
  .meta({ description: 'Who is told what, and how (see notifications.md). Absent: nobody is.' })

export type NotifyInFile = NonNullable<z.output<typeof notifySchema>>
