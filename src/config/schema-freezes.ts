import * as z from 'zod'
import { datesFields, whatSchema, zone } from './schema-circumstances.ts'
import { groups } from './schema-fields.ts'

/** One entry of `freezes`. */
export const freezeSchema = z.strictObject({
  name: z.string().min(1).max(80).meta({ description: 'Shown to people and written in the audit log.' }),
  ...datesFields,
  zone,
  what: whatSchema.prefault({}).meta({ description: 'What is frozen. Absent: everything.' }),
  except: z
    .strictObject({
      groups: groups('Groups that it does not stop.').optional(),
      breakGlass: z
        .boolean()
        .default(false)
        .meta({ description: 'Whether it leaves emergencies alone (`breakGlass`).' }),
    })
    .optional()
    .meta({ description: 'Whom, or what, it does not stop.' }),
  message: z.string().min(1).max(300).optional().meta({ description: 'What people read.' }),
})
