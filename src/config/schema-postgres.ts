import * as z from 'zod'
import { postgresLogins, targetSessionAttributes, upstreamTlsModes } from '../resources/catalogue.ts'
import { databaseUserSchema } from './schema-database-user.ts'
import { guardSchema } from './schema-guard.ts'
import {
  described,
  duration,
  filePath,
  keepalives,
  minTlsVersion,
  recording,
  roleDescription,
  roles,
  secretReference,
  size,
} from './schema-fields.ts'

const postgresRole = z.strictObject({
  description: roleDescription,
  login: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .meta({ description: 'The user that the gateway logs in as at the target. Either this or `user`.' }),
  password: secretReference('Password of `login`. A file is read again for each login.').optional(),
  user: databaseUserSchema.optional().meta({
    description:
      'A user of the target’s own for each grant, instead of `login`: made when its first session begins, dropped when it is over. The target’s log then names the person.',
  }),
  databases: z
    .array(z.string().min(1).max(63))
    .min(1)
    .meta({ description: 'Databases that may be opened; the first is the default.' }),
  parameters: z
    .record(z.string().regex(/^[a-z_][a-z0-9_.]{0,62}$/i), z.union([z.string().max(1000), z.int(), z.boolean()]))
    .default({})
    .meta({
      description:
        'Settings that every session begins with, whatever the client says, such as `default_transaction_read_only: on`. Defaults, no wall: SET changes them for the session, RESET ALL brings them back; rights at the target are the wall.',
      examples: [{ default_transaction_read_only: 'on', statement_timeout: '5min', search_path: 'shop' }],
    }),
  applicationName: z.enum(['client', 'session']).default('client').meta({
    description:
      'What the target sees as `application_name`: what the client says, or the session’s id, the person and then what the client says.',
  }),
  replication: z.boolean().default(false).meta({
    description:
      'Whether replication connections (pg_basebackup, logical replication) may pass. Only commands and sizes of them are recorded.',
  }),
  sessions: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'Sessions that one person may have with this role at once.' }),
  idleTimeout: duration(
    'A session that does nothing for so long is ended. Without it none is ended for that.',
  ).optional(),
  recordRows: z
    .strictObject({
      rows: z.int().min(1).max(10_000).default(100).meta({ description: 'At most so many rows of each result.' }),
      size: size('At most so much of each result.').prefault('64KiB'),
    })
    .optional()
    .meta({
      description:
        'Record the beginning of each result, too. Without it results are only counted. They hold what people read.',
    }),
  serverFiles: z.enum(['allow', 'refuse']).default('allow').meta({
    description:
      '`refuse`: COPY to and from programs and files of the server fails, and so do functions that reach its files. Every statement is parsed for it. DO blocks and functions are not looked into: what `login` must not reach, take from it at the target.',
  }),
  guard: guardSchema.optional().meta({
    description:
      'Rules over what statements do, against accidents: rights at the target are the wall. `read-only`: only what reads passes. Without it nothing is parsed.',
    examples: [
      {
        rules: [
          // oxlint-disable-next-line unicorn/no-thenable -- a word of the file; nobody awaits it
          { name: 'no-full-tables', when: { kinds: ['update', 'delete'], where: 'missing' }, then: 'refuse' },
          // oxlint-disable-next-line unicorn/no-thenable -- the same
          { name: 'schema-changes', when: { kinds: ['ddl'] }, then: 'ask' },
        ],
      },
    ],
  }),
  recording,
})

const place = z.string().min(1).max(300)

export const postgresResource = z
  .strictObject({
    kind: z.literal('postgres').meta({ description: 'A PostgreSQL server.' }),
    ...described,
    host: z.union([place, z.array(place).min(1).max(16)]).meta({
      description:
        'Host name or address of the target; or a list of them, tried in this order, each with a port of its own where it differs (`db-2.internal:5433`, `[2001:db8::7]:5433`). A folder (`/var/run/postgresql`) means the socket in it.',
      examples: ['db.internal', ['db-1.internal', 'db-2.internal:5433'], '/var/run/postgresql'],
    }),
    port: z.int().min(1).max(65535).default(5432).meta({ description: 'Port of the target.' }),
    targetSession: z.enum(targetSessionAttributes).default('any').meta({
      description:
        'Which of several hosts will do, as libpq’s `target_session_attrs`: the first that is, for example, `read-write` or a `standby`.',
    }),
    connectTimeout: duration('Longest time until a host is ready for queries; then the next one is tried.').prefault(
      '15s',
    ),
    keepalives: keepalives('the target'),
    logins: z.array(z.enum(postgresLogins)).min(1).default(['scram-sha-256', 'md5', 'none']).meta({
      description:
        'How the target may ask the gateway to log in, as libpq’s `require_auth`. `password` sends the password in clear text; `none` is a target that does not ask (trust, peer, client certificates).',
    }),
    tls: z
      .strictObject({
        mode: z.enum(upstreamTlsModes).default('verify-full').meta({
          description:
            'As libpq names them. Only `verify-full` knows whom it speaks to; `disable` is for targets on the same host. A socket folder has no TLS.',
        }),
        ca: filePath('PEM file with the authorities to trust instead of the system’s.').optional(),
        serverName: z
          .string()
          .optional()
          .meta({ description: 'Name expected in the certificate, when it differs from `host`.' }),
        certificate: filePath('PEM file with the gateway’s own certificate, for targets that ask for one.').optional(),
        key: secretReference('Private key of `certificate`, PEM.').optional(),
        minVersion: minTlsVersion,
      })
      .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
        error: 'expected `certificate` and `key` together',
      })
      .prefault({})
      .meta({ description: 'How the target proves who it is, and the gateway to it.' }),
    roles: roles('what people write as the PostgreSQL user', postgresRole),
  })
  .meta({ title: 'PostgreSQL' })
