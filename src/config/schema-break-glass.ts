import * as z from 'zod'
import { groups } from './schema-fields.ts'

const hourMs = 3_600_000

/** The longest that a policy for emergencies may give, and what it gives unless it says otherwise. */
export const emergencyMsMax: number = 4 * hourMs
export const emergencyMs: number = hourMs

/** `breakGlass` of a policy. */
export const breakGlassSchema = z
  .strictObject({
    review: z
      .strictObject({
        from: groups('Any of these groups.').optional(),
        named: z
          .array(z.string().regex(/^[^\s@]+@[^\s@]+$/, { error: 'expected an e-mail address' }))
          .min(1)
          .optional()
          .meta({ description: 'Any of these e-mail addresses; case does not matter.' }),
      })
      .meta({ description: 'Who looks at each use afterwards; one of them must close the review. Never the person.' }),
  })
  .meta({
    description:
      'Only for emergencies: at once, told loudly, for at most 4h, and reviewed afterwards. Without `approval`; a reason is always required.',
  })
