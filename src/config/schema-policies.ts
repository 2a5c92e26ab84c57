import * as z from 'zod'
import { duration, groups } from './schema-fields.ts'

/** One entry of `policies`. */
export const policySchema = z.strictObject({
  name: z.string().min(1).max(80).meta({ description: 'Shown to people and written in the audit log.' }),
  who: z.strictObject({ groups: groups('Any of these groups.') }).meta({ description: 'Whom it is for.' }),
  what: z
    .strictObject({
      resources: z.array(z.string()).min(1).optional().meta({ description: 'Names of resources. Absent: any.' }),
      labels: z
        .record(z.string(), z.string())
        .default({})
        .meta({ description: 'Labels that the resource must carry, all of them.' }),
      roles: z.array(z.string()).min(1).optional().meta({ description: 'Names of roles. Absent: any.' }),
    })
    .meta({ description: 'What may be asked for. All fields that are present must match.' }),
  for: z
    .strictObject({
      default: duration('Offered length.').prefault('1h'),
      most: duration('Longest length.').prefault('8h'),
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
  approval: z
    .union([
      z.literal('none'),
      z.strictObject({
        people: z.int().min(1).max(10).default(1).meta({ description: 'How many distinct people must approve.' }),
        from: groups('Any of these groups. Never the requester.'),
      }),
    ])
    .meta({ description: '`none`: granted at once. Otherwise who must approve.' }),
})
