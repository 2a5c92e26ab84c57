import * as z from 'zod'
import { hasControls } from './forms.ts'

// Statements that wait in sessions until somebody agrees, as the API gives and takes them.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const someone = z.object({ id: z.string(), displayName: z.string() })

export const statement = z.object({
  id: z.string(),
  link: z.url(),
  state: z.enum(['waiting', 'approved', 'refused', 'lapsed', 'given-up']),
  person: someone,
  request: z.string(),
  grant: z.string(),
  session: z.string(),
  resource: z.string(),
  role: z.string(),
  sql: z.string().meta({ description: 'Passwords masked; its beginning, when it is long.' }),
  sqlChars: z.int().meta({ description: 'Length of the whole.' }),
  about: z.string().meta({ description: 'What it does, such as `delete on shop.orders`.' }),
  rule: z.string().nullable(),
  message: z.string().nullable(),
  askedAt: instant,
  lapsesAt: instant,
  mayDecide: z.boolean().meta({ description: 'Whether your word is waited for.' }),
  decidedBy: someone.nullable(),
  closedAt: instant.nullable(),
  comment: z.string().nullable(),
})
/** `waiting`: for your word, the oldest first. `closed`: the last that you may see. */
export const statementList = z.object({ waiting: z.array(statement), closed: z.array(statement) })

export const statementWord = z.strictObject({
  verdict: z.enum(['approve', 'refuse']),
  comment: z
    .string()
    .trim()
    .max(1000)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
    .default('')
    .meta({ description: 'The person reads it when you refuse.' }),
})
