import * as z from 'zod'
import { reviewVerdicts } from '../access/review.ts'
import { hasControls } from './forms.ts'

// Reviews of emergencies, as the API gives and takes them.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const someone = z.object({ id: z.string(), displayName: z.string() })

export const review = z.object({
  id: z.string(),
  link: z.url(),
  state: z.enum(['open', 'closed']),
  person: someone,
  request: z.string(),
  grant: z.string(),
  grantState: z.enum(['scheduled', 'active', 'expired', 'revoked', 'ended']),
  resource: z.string(),
  role: z.string(),
  reason: z.string(),
  ticket: z.string().nullable(),
  policy: z.string(),
  origin: z.string(),
  startedAt: instant,
  /** When the access ended or ends. */
  until: instant,
  /** Such as `security or leads`. */
  reviewers: z.string(),
  /** Whether your word closes it. */
  mayClose: z.boolean(),
  /** Of the request, 0 to 100; null: not worked out. */
  risk: z.int().nullable(),
  sessions: z.array(
    z.object({
      id: z.string(),
      link: z.url(),
      recording: z.url().nullable(),
      startedAt: instant,
      endedAt: instant.nullable(),
    }),
  ),
  verdict: z.enum(reviewVerdicts).nullable(),
  comment: z.string().nullable(),
  closedBy: someone.nullable(),
  closedAt: instant.nullable(),
})
/** `open`: the oldest first. `closed`: the last. */
export const reviewList = z.object({ open: z.array(review), closed: z.array(review) })

export const reviewClosing = z.strictObject({
  verdict: z.enum(reviewVerdicts),
  comment: z
    .string()
    .trim()
    .min(1)
    .max(1000)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
    .meta({ description: 'What you found; it stays on record, and the person reads it.' }),
})
