import * as z from 'zod'
import { hasControls } from './forms.ts'

// Who decides on a request, in which step, and what approvers may make of it. Lengths are milliseconds.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const shown = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
const lengthMs = z.int().min(1000)
const names = (charsMax: number, most: number) => z.array(shown(charsMax).min(1)).min(1).max(most)

/** The requester reads the comment. All other fields make less of what was asked for. */
export const approving = z.strictObject({
  comment: shown(1000).default(''),
  lengthMs: lengthMs.optional().meta({ description: 'At most what was asked for.' }),
  startsAt: instant.optional().meta({ description: 'Not before what was asked for.' }),
  role: shown(64).min(1).optional().meta({ description: 'Another of `rolesToGive`.' }),
  databases: names(63, 50).optional().meta({ description: 'Only these.' }),
  networks: names(64, 20).optional().meta({ description: 'Only from these addresses and networks.' }),
})

/** Null fields: as it was asked for. */
export const terms = z.object({
  lengthMs: z.int().nullable(),
  startsAt: instant.nullable(),
  role: z.string().nullable(),
  databases: z.array(z.string()).nullable(),
  networks: z.array(z.string()).nullable(),
})
/** What the approvals so far come to. */
export const agreed = terms.extend({ lengthMs: z.int(), role: z.string() })

const someone = z.object({ id: z.string(), displayName: z.string() })

/** Whoever any of these means. */
const approvers = {
  groups: z.array(z.string()),
  /** Whoever is in all of them. */
  allOfGroups: z.array(z.string()),
  /** E-mail addresses; the manager's is among them. */
  named: z.array(z.string()),
  manager: z.boolean(),
  /** Such as `dba or leads or the manager (kim@example.com)`. */
  words: z.string(),
}

export const step = z.object({
  ...approvers,
  state: z.enum(['done', 'waits', 'to-come', 'stopped']),
  people: z.int().meta({ description: 'Distinct people that it takes.' }),
  missing: z.int(),
  refusals: z.int().meta({ description: 'How many refusals decide.' }),
  approvedBy: z.array(someone),
  refusedBy: z.array(someone),
})

/** `others`: whose word counts as well, `called` already since `at`, or from then on. */
export const waitsFor = z.object({
  ...approvers,
  step: z.int().meta({ description: 'From 1.' }),
  missing: z.int(),
  since: instant,
  refused: z.int(),
  refusals: z.int(),
  others: z.object({ ...approvers, called: z.boolean(), at: instant }).nullable(),
})
