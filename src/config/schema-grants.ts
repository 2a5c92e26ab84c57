import * as z from 'zod'
import { duration, name } from './schema-fields.ts'

/** What the grants of a policy are like: `grants` of an entry of `policies`. */
export const grantsSchema = z.strictObject({
  clock: z
    .enum(['approval', 'first-use'])
    .default('approval')
    .meta({ description: 'When the time begins to count: at the approval, or when the first session begins.' }),
  uses: z
    .enum(['many', 'once'])
    .default('many')
    .meta({ description: '`once`: for one session; when it ends, the access is over.' }),
  unused: duration(
    'Access that nobody used for so long after it could be used is over. With `clock: first-use` it is 24h unless you say otherwise.',
  ).optional(),
  total: duration('How long access may last with all extensions. Absent: as long as each is approved.').optional(),
  recurring: duration(
    'The longest stretch for which one request may ask for the same hours again and again. Each time lasts at most `for.most`. Absent: nobody may.',
  ).optional(),
})
export type GrantsEntry = z.output<typeof grantsSchema>

/** One entry of `bundles`. */
export const bundleSchema = z.strictObject({
  name: name('What people ask for it by.'),
  description: z.string().max(200).default('').meta({ description: 'Shown to people.' }),
  items: z
    .array(
      z.strictObject({
        resource: z.string().meta({ description: 'Name of a resource.' }),
        role: z.string().meta({ description: 'Name of one of its roles.' }),
        for: duration('How long. Absent: what is asked for, or what the policy offers.').optional(),
      }),
    )
    .min(1)
    .max(20)
    .meta({ description: 'What it is made of. Each is decided by its own policy.' }),
})
export type BundleEntry = z.output<typeof bundleSchema>
