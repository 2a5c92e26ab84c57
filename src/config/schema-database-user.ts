import * as z from 'zod'
import { duration, secretReference } from './schema-fields.ts'

const roleName = z.string().min(1).max(63)

const administrator = z
  .strictObject({
    login: roleName.meta({
      description: 'The user that makes and drops them. docs/security.md says what rights it needs.',
    }),
    password: secretReference('Password of `login`. A file is read again for each login.').optional(),
    database: z.string().min(1).max(63).default('postgres').meta({ description: 'The database that it connects to.' }),
  })
  .meta({ description: 'Who makes users at the target. People never get this login.' })

/** `user` of a PostgreSQL role. */
export const databaseUserSchema = z.strictObject({
  administrator,
  memberOf: z
    .array(roleName)
    .min(1)
    .max(100)
    .meta({ description: 'Roles of the target whose rights it has.', examples: [['shop_read']] }),
  settings: z
    .record(z.string().regex(/^[a-z_][a-z0-9_.]{0,62}$/i), z.union([z.string().max(1000), z.int(), z.boolean()]))
    .default({})
    .meta({
      description:
        'Settings that are kept with the user at the target (ALTER ROLE … SET). Defaults, no wall: clients send others with their start, and SET changes them.',
      examples: [{ statement_timeout: '5min' }],
    }),
  keepFor: duration(
    'How long it stays when its last session is over. When the access ends it is dropped in any case.',
  ).prefault('5m'),
})
