import * as z from 'zod'
import { weekdays } from '../policy/wall-clock.ts'
import { hasControls } from './forms.ts'

// How long access lives: recurring hours, more time, bundles. Lengths are milliseconds.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const shown = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
const lengthMs = z
  .int()
  .min(1000)
  .max(366 * 86_400_000)
const clock = z.string().regex(/^([01]\d|2[0-4]):[0-5]\d$/, 'expected a time such as 09:00')

/** By what a clock on the wall shows. */
export const hours = z.strictObject({
  days: z.array(z.enum(weekdays)).min(1).max(7).meta({ description: 'On which it begins.' }),
  from: clock.meta({ description: 'The first minute inside.' }),
  to: clock.meta({ description: 'The first minute outside; not after `from`: on the next day.' }),
  zone: shown(64).default('UTC').meta({ description: 'Time zone by its IANA name.' }),
})
/** For wishes. */
export const hoursWish = z
  .array(hours)
  .min(1)
  .max(10)
  .nullable()
  .default(null)
  .meta({ description: 'Only in these, again and again for `lengthMs`; where the policy offers that.' })

/** How a grant lives. Null fields narrow nothing. */
export const life = {
  lengthMs: z.int().meta({ description: 'How long it lasts once its clock has started.' }),
  clock: z.enum(['start', 'first-use']),
  uses: z.enum(['many', 'once']),
  firstUsedAt: instant.nullable(),
  useBy: instant.nullable().meta({ description: 'Unused then, it is over.' }),
  hours: z.array(hours).nullable(),
  databases: z.array(z.string()).nullable(),
  networks: z.array(z.string()).nullable(),
  comment: z.string().nullable().meta({ description: 'Why it ended, where there is more to say.' }),
}

export const extensionWish = z.strictObject({
  lengthMs: lengthMs
    .optional()
    .meta({ description: 'How much more, counted from the end. Absent: as the policy offers.' }),
  reason: shown(1000).default(''),
  ticket: shown(100).min(1).nullable().default(null),
})

/** Asks for all that is in a bundle: a request for each part, or none. */
export const bundleWish = z.strictObject({
  bundle: shown(64).min(1).meta({ description: 'Its name.' }),
  lengthMs: lengthMs.optional().meta({ description: 'For each part. Absent: as the bundle and the policies say.' }),
  reason: shown(1000).default(''),
  ticket: shown(100).min(1).nullable().default(null),
  startsAt: instant.nullable().default(null).meta({ description: 'Not before; null: at the approval.' }),
  onBehalfOf: shown(64)
    .min(1)
    .optional()
    .meta({ description: 'Name of the machine that is to have it; you must be named by its `askedForBy`.' }),
})
/** Those that you may ask for. */
export const bundleList = z.object({
  bundles: z.array(
    z.object({
      name: z.string(),
      description: z.string(),
      items: z.array(
        z.object({
          resource: z.string(),
          role: z.string(),
          lengthMs: z.int().meta({ description: 'When no other is asked for.' }),
          policy: z.string(),
        }),
      ),
    }),
  ),
})
