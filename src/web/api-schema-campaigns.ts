import * as z from 'zod'
import { entryStates } from '../access/campaign.ts'
import { hasControls } from './forms.ts'

// Reviews of standing access, as the API gives and takes them. Lengths are milliseconds.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const someone = z.object({ id: z.string(), displayName: z.string() })
const shown = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
const atLeastMs = z
  .int()
  .min(0)
  .max(3650 * 86_400_000)

const about = {
  id: z.string(),
  link: z.url(),
  name: z.string(),
  startedAt: instant,
  /** From then on it is too late to say something; what nobody confirmed ends. */
  dueAt: instant,
  finishedAt: instant.nullable(),
  /** Groups whose word counts. */
  reviewers: z.array(z.string()),
  grantMs: z.int(),
  tokenMs: z.int(),
}
export const campaign = z.object({ ...about, entries: z.int(), waiting: z.int() })
/** The last that began first. */
export const campaignList = z.object({ campaigns: z.array(campaign) })

export const campaignEntry = z.object({
  id: z.string(),
  kind: z.enum(['grant', 'token', 'policy']),
  /** Id of the grant or token; role and name of the policy. */
  subject: z.string(),
  title: z.string(),
  details: z.string(),
  /** Null for a policy. */
  holder: someone.nullable(),
  expiresAt: instant.nullable(),
  /** Before the campaign began. */
  lastUsedAt: instant.nullable(),
  state: z.enum(entryStates).meta({ description: '`silent`: nobody said anything; `gone`: it was over already.' }),
  decidedBy: someone.nullable(),
  decidedAt: instant.nullable(),
  comment: z.string(),
  /** Whether your word is waited for. */
  mayDecide: z.boolean(),
})
export const campaignView = z.object({ ...about, startedBy: someone, entries: z.array(campaignEntry) })

export const campaignWish = z.strictObject({
  name: shown(80).min(1),
  lengthMs: z
    .int()
    .min(60_000)
    .max(90 * 86_400_000)
    .meta({ description: 'Until it is due.' }),
  grantMs: atLeastMs.optional().meta({ description: 'Grants that last at least so long; absent: 7 days.' }),
  tokenMs: atLeastMs.optional().meta({ description: 'The same for tokens.' }),
  reviewers: z
    .array(shown(200).min(1))
    .min(1)
    .max(20)
    .optional()
    .meta({ description: 'Groups whose word counts; absent: the reviewers of the gateway.' }),
})
export const campaignQuery = z.object({
  format: z.enum(['json', 'csv']).default('json').meta({ description: '`csv`: RFC 4180, with a line of keys' }),
})
export const entryConfirming = z.strictObject({
  comment: shown(1000).min(1).meta({ description: 'Why it is still needed; it stays on record.' }),
})

/** An entry as a line of a table. */
export const entryCsvKeys = [
  ...['entry', 'kind', 'subject', 'title', 'details', 'holder', 'expiresAt', 'lastUsedAt'],
  ...['state', 'decidedBy', 'decidedAt', 'comment'],
]

export function entryCells(one: z.output<typeof campaignEntry>): readonly (string | null)[] {
  return [
    ...[one.id, one.kind, one.subject, one.title, one.details, one.holder?.displayName ?? null],
    ...[one.expiresAt, one.lastUsedAt, one.state, one.decidedBy?.displayName ?? null, one.decidedAt, one.comment],
  ]
}
