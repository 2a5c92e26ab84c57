import * as z from 'zod'
import { approvalSchema } from './schema-approval.ts'
import { breakGlassSchema, emergencyMs } from './schema-break-glass.ts'
import { grantsSchema } from './schema-grants.ts'
import { circumstanceFields, whatSchema, whoSchema } from './schema-circumstances.ts'
import { duration } from './schema-fields.ts'

/** One entry of `policies`. */
export const policySchema = z.strictObject({
  name: z.string().min(1).max(80).meta({ description: 'Shown to people and written in the audit log.' }),
  effect: z
    .enum(['allow', 'deny'])
    .default('allow')
    .meta({ description: '`deny` wins over every policy that allows, wherever it stands.' }),
  message: z
    .string()
    .min(1)
    .max(300)
    .optional()
    .meta({ description: 'Of one that denies: what people read. Without it they do not see what it is about.' }),
  who: whoSchema.optional().meta({
    description: 'Whom it is for; all that is given must match. Required, but for one that denies everybody.',
  }),
  what: whatSchema.meta({ description: 'What may be asked for. All fields that are present must match.' }),
  ...circumstanceFields,
  for: z
    .strictObject({
      default: duration('Offered length.').prefault('1h'),
      most: duration('Longest length. Absent: 8h; 1h for emergencies.').optional(),
    })
    .prefault({})
    .meta({ description: 'How long.' }),
  reason: z.enum(['required', 'optional']).default('required').meta({ description: 'Whether a reason must be given.' }),
  ticket: z
    .strictObject({
      pattern: z
        .string()
        .min(1)
        .max(200)
        .meta({ description: 'Regular expression for the whole ticket.', examples: ['INC-[0-9]+'] }),
      link: z
        .string()
        .optional()
        .meta({
          description: 'Address of a ticket; `{ticket}` is replaced.',
          examples: ['https://tickets.example.com/{ticket}'],
        }),
      required: z.boolean().default(true).meta({ description: 'Whether a ticket must be given.' }),
    })
    .optional()
    .meta({ description: 'A ticket to go with the reason.' }),
  approval: approvalSchema.optional().meta({
    description:
      '`none`: granted at once. Otherwise who must approve. Required, but for one that denies or is for emergencies.',
  }),
  breakGlass: breakGlassSchema.optional(),
  grants: grantsSchema.optional().meta({ description: 'What the access that it gives is like.' }),
})

export type PolicyEntry = z.output<typeof policySchema>

/** One that allows, with all that it needs; without `approval` it is for emergencies. */
export type AllowingEntry = PolicyEntry & {
  readonly who: NonNullable<PolicyEntry['who']>
}

export function allows(entry: PolicyEntry): entry is AllowingEntry {
  const asks = entry.approval !== undefined || entry.breakGlass !== undefined
  return entry.effect === 'allow' && entry.who !== undefined && asks
}

const usualMsMax = 8 * 3_600_000

/** What is offered, and the longest. */
export function lengthsOf({ for: { default: offeredMs, most }, breakGlass }: Pick<PolicyEntry, 'for' | 'breakGlass'>): {
  readonly defaultMs: number
  readonly mostMs: number
} {
  return { defaultMs: offeredMs, mostMs: most ?? (breakGlass === undefined ? usualMsMax : emergencyMs) }
}
