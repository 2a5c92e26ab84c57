import * as z from 'zod'
import { parseDurationMs } from '../kernel/durations.ts'

const durationMsMax = 3650 * 86_400_000

const durationForm = { error: 'expected a length of time such as 90s, 30m, 8h or 2d' }

const duration = (about: string) =>
  z
    .string(durationForm)
    .regex(/^(0|\d{1,9}(ms|s|m|h|d))$/, durationForm)
    .refine((text) => (parseDurationMs(text) ?? 0) <= durationMsMax, {
      error: 'expected a length of time of at most 3650d',
    })
    .transform((text) => parseDurationMs(text)!)
    .meta({ description: about, examples: ['30m'] })

const sizeForm = { error: 'expected a size such as 256KiB, 1MiB or 2GiB' }

const size = (about: string) =>
  z
    .string(sizeForm)
    .regex(/^\d{1,12}(B|KiB|MiB|GiB)$/, sizeForm)
    .transform((text) => {
      const [, count, unit] = /^(\d+)(\w+)$/.exec(text)!
      return Number(count) * { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[unit as 'B' | 'KiB' | 'MiB' | 'GiB']
    })
    .meta({ description: about, examples: ['1MiB'] })

const secretForm = { error: 'expected a reference, env:NAME or file:PATH, as secrets are never written here' }

const secretReference = (about: string) =>
  z
    .string(secretForm)
    .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, secretForm)
    .meta({
      description: `${about} A reference: \`env:NAME\` or \`file:PATH\`.`,
      examples: ['env:SECRET', 'file:secrets/key.pem'],
    })

const filePath = (about: string) =>
  z
    .string()
    .min(1)
    .meta({ description: `${about} A path, relative to the folder of the configuration file.` })

const name = (about: string) =>
  z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/, {
      error: 'expected a name of a-z, 0-9, - and _, at most 63 characters, that begins and ends with a letter or digit',
    })
    .meta({ description: about })

const listenAddress = z.strictObject({
  address: z.string().default('127.0.0.1').meta({ description: 'Address to listen on; `0.0.0.0` or `::` for all.' }),
  port: z.int().min(0).max(65535).meta({ description: 'TCP port; 0 lets the system choose.' }),
})

const tlsFiles = z
  .strictObject({
    certificate: filePath('PEM file with the certificate and its chain.'),
    key: secretReference('PEM private key.'),
  })
  .meta({ description: 'Certificate and key. TLS 1.2 and 1.3 are offered.' })

const groups = (about: string) => z.array(z.string().min(1)).min(1).meta({ description: about })

const postgresRole = z.strictObject({
  description: z.string().max(200).default('').meta({ description: 'What it may do, in words for the pages.' }),
  login: z.string().min(1).max(63).meta({ description: 'The user that the gateway logs in as at the target.' }),
  password: secretReference('Password of `login`.').optional(),
  databases: z
    .array(z.string().min(1).max(63))
    .min(1)
    .meta({ description: 'Databases that may be opened; the first is the default.' }),
  recording: z.enum(['strict', 'bestEffort', 'off']).default('strict').meta({
    description:
      '`strict`: what cannot be recorded is not forwarded. `bestEffort`: the session outlives a failed recording. `off`: nothing is recorded.',
  }),
})

/** One entry of `resources`. */
export const resourceSchema = z.strictObject({
  kind: z.literal('postgres').meta({ description: 'A PostgreSQL server.' }),
  description: z.string().max(200).default('').meta({ description: 'One line for the pages.' }),
  labels: z
    .record(z.string(), z.string())
    .default({})
    .meta({ description: 'Free key and value pairs that policies can match.' }),
  host: z.string().min(1).meta({ description: 'Host name or address of the target.' }),
  port: z.int().min(1).max(65535).default(5432).meta({ description: 'Port of the target.' }),
  tls: z
    .strictObject({
      mode: z
        .enum(['verify-full', 'disable'])
        .default('verify-full')
        .meta({ description: 'As libpq names them. `disable` is for targets on the same host.' }),
      ca: filePath('PEM file with the authorities to trust instead of the system’s.').optional(),
      serverName: z
        .string()
        .optional()
        .meta({ description: 'Name expected in the certificate, when it differs from `host`.' }),
    })
    .default({ mode: 'verify-full' })
    .meta({ description: 'How the target proves who it is.' }),
  roles: z
    .record(name('Role name: what people write as the PostgreSQL user.'), postgresRole)
    .meta({ description: 'What a person can be on it.' }),
})

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

/** The configuration file, before references are resolved. Descriptions here are the configuration reference. */
export const configSchema = z
  .strictObject({
    gateway: z
      .strictObject({
        name: name('This node, as recordings and the audit log name it.').default('gw-1'),
        publicUrl: z.url({ protocol: /^https$/ }).meta({
          description: 'Address of the pages as browsers reach them. HTTPS.',
          examples: ['https://gw.example.com'],
        }),
        clientHost: z
          .string()
          .optional()
          .meta({ description: 'Host name that psql is told to connect to. Default: the host of `publicUrl`.' }),
        clientRootCertificate: z.string().optional().meta({
          description:
            'What the pages tell clients to write as `sslrootcert`: the path of the CA file on their machines, or `system`. Absent: not written.',
        }),
        data: filePath('Folder for state, keys and recordings. Made if missing.').default('data'),
        drainFor: duration('How long live sessions may go on after SIGTERM; they are warned at once.').prefault('10s'),
      })
      .meta({ description: 'The gateway itself.' }),
    listen: z
      .strictObject({
        web: listenAddress.extend({ tls: tlsFiles }).meta({ description: 'The pages and the API.' }),
        postgres: z
          .array(
            listenAddress.extend({
              tls: tlsFiles.optional(),
              plaintext: z
                .enum(['refuse', 'allow'])
                .default('refuse')
                .meta({ description: 'Whether clients may connect without TLS. For a sidecar on loopback.' }),
            }),
          )
          .default([])
          .meta({ description: 'Listeners for PostgreSQL clients.' }),
        ops: listenAddress
          .prefault({ port: 9090 })
          .meta({ description: 'Plain HTTP for `/healthz`, `/readyz` and `/metrics`. Keep it inside.' }),
      })
      .meta({ description: 'Where the gateway listens.' }),
    limits: z
      .strictObject({
        unauthenticatedPerAddress: z
          .int()
          .min(1)
          .default(256)
          .meta({ description: 'Connections of one address that have not signed in yet.' }),
        unauthenticated: z.int().min(1).default(2048).meta({ description: 'The same for all addresses together.' }),
        sessionsPerPerson: z
          .int()
          .min(1)
          .default(500)
          .meta({ description: 'Live sessions of one person on this node; one more is refused.' }),
        handshake: duration('Longest time from connect to a complete startup message.').prefault('10s'),
      })
      .prefault({})
      .meta({ description: 'Bounds before authentication.' }),
    identity: z
      .strictObject({
        issuer: z.url({ protocol: /^https?$/ }).meta({
          description: 'The OIDC provider. `http` only on loopback.',
          examples: ['https://login.example.com'],
        }),
        clientId: z.string().min(1).meta({ description: 'The client that the provider knows the gateway as.' }),
        clientSecret: secretReference('Secret of that client.'),
        ca: filePath('PEM file with the authorities to trust for the provider instead of the system’s.').optional(),
        scopes: z.array(z.string()).default(['openid', 'email', 'profile', 'groups']).meta({
          description: 'Scopes to ask for. Add `offline_access` so that groups are refreshed while people work.',
        }),
        groupsClaim: z.string().default('groups').meta({ description: 'Claim that lists the groups.' }),
        sessionFor: duration('How long a browser stays signed in.').prefault('12h'),
        rememberFor: duration('How long a sign-in from psql is remembered; 0 asks every time.').prefault('8h'),
        signInFor: duration('How long psql and the CLI wait for the sign-in page.').prefault('5m'),
        sameAddress: z
          .boolean()
          .default(false)
          .meta({ description: 'Whether the page must be opened from the address that the connection comes from.' }),
        refreshEvery: duration('How often groups are refreshed where the provider gave a refresh token.').prefault(
          '5m',
        ),
        tokenFor: duration(
          'Longest life of a token. Nobody looks its person up again while they have no sign-in, so keep it short.',
        ).prefault('7d'),
      })
      .meta({ description: 'Who people are.' }),
    staff: z
      .strictObject({
        reviewers: groups('See every recording and the audit log.').default([]),
        operators: groups('See and end live sessions, revoke grants, place locks.').default([]),
      })
      .prefault({})
      .meta({ description: 'Groups with duties on the gateway itself.' }),
    access: z
      .strictObject({
        waitFor: duration('How long psql waits for an approval; 0 refuses at once.').prefault('10m'),
        requestFor: duration('How long a request stays open before it lapses.').prefault('24h'),
        warnBefore: z
          .array(duration('Time before the end.'))
          .prefault(['5m', '1m'])
          .meta({ description: 'When people are warned that their access ends.' }),
      })
      .prefault({})
      .meta({ description: 'From request to grant.' }),
    recording: z
      .strictObject({
        maxUnsaved: size('A session pauses when more than this is not on disk yet.').prefault('1MiB'),
        maxUnsavedFor: duration('A session pauses when something has not reached the disk for this long.').prefault(
          '250ms',
        ),
        minFree: size('New sessions are refused when the disk has less than this free.').prefault('256MiB'),
      })
      .prefault({})
      .meta({ description: 'Recordings.' }),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error'])
          .default('info')
          .meta({ description: 'Least important line to write.' }),
      })
      .prefault({})
      .meta({ description: 'The JSON log on standard output.' }),
    resources: z
      .record(name('Resource name: what people write as the database.'), resourceSchema)
      .meta({ description: 'What stands behind the gateway.' }),
    policies: z
      .array(policySchema)
      .meta({ description: 'Who may ask for what. The first that matches decides; without a match the answer is no.' }),
  })
  .meta({ title: 'Curfew configuration' })

export type ConfigFile = z.output<typeof configSchema>
