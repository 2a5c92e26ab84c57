import * as z from 'zod'
import { httpClaims } from '../resources/catalogue.ts'
import {
  described,
  duration,
  filePath,
  hostNamePattern,
  recording,
  roleDescription,
  roles,
  secretReference,
  size,
} from './schema-fields.ts'

/** RFC 9110 section 5.6.2. */
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/

const headerForm = { error: 'expected the name of a header' }

const headerName = z.string(headerForm).regex(token, headerForm)

const methodForm = { error: 'expected a method such as GET' }

const method = z
  .string(methodForm)
  .regex(token, methodForm)
  .transform((text) => text.toUpperCase())

const pathForm = { error: 'expected a path that begins with `/`' }

const path = z.string(pathForm).regex(/^\/.{0,1000}$/, pathForm)

const rule = z.strictObject({
  methods: z
    .array(method)
    .prefault([])
    .meta({ description: 'Methods; `GET` covers `HEAD`. Empty: every method.', examples: ['GET'] }),
  paths: z
    .array(path)
    .default([])
    .meta({
      description:
        'Globs over the path that the target will see: `*` for any text within a segment, a segment `**` for any number of segments. Empty: every path.',
      examples: ['/api/**'],
    }),
})

const credentialsForm = { error: 'expected exactly one of `basic`, `bearer`, `header`, `certificate`' }

const credentials = z
  .strictObject({
    basic: z
      .strictObject({
        user: z.string().min(1).max(255).meta({ description: 'User name.' }),
        password: secretReference('Password of `user`.'),
      })
      .optional()
      .meta({ description: '`Authorization: Basic`.' }),
    bearer: secretReference('Token for `Authorization: Bearer`.').optional(),
    header: z
      .strictObject({
        name: headerName.meta({ description: 'Name of the header.', examples: ['X-Api-Key'] }),
        value: secretReference('Value of the header.'),
      })
      .optional()
      .meta({ description: 'A header of its own.' }),
    certificate: z
      .strictObject({
        certificate: filePath('PEM file with the certificate and its chain.'),
        key: secretReference('PEM private key.'),
      })
      .optional()
      .meta({ description: 'A client certificate, shown to `https` addresses.' }),
  })
  .refine((given) => Object.keys(given).length === 1, credentialsForm)
  .meta({
    description:
      'What the gateway shows the target, so that people need not have it: exactly one of `basic`, `bearer`, `header`, `certificate`.',
    minProperties: 1,
    maxProperties: 1,
  })

const httpRole = z.strictObject({
  description: roleDescription,
  allow: z
    .array(rule)
    .prefault([])
    .meta({ description: 'A request must fit one of these. Empty: every request does.' }),
  deny: z.array(rule).prefault([]).meta({
    description:
      'What fits one of these is refused, whatever `allow` says. Of a target that takes `/Admin` for `/admin`, no list of these is complete: use `allow` there.',
  }),
  headers: z
    .record(headerName, z.enum(httpClaims))
    .default({})
    .meta({
      description:
        'Headers that tell the target who the person is, by name: `email`, `name`, `subject`, `id`, `groups` (joined by commas) or `role`. What a client sends by these names never arrives. The signed `Curfew-Assertion` is always there.',
      examples: ['X-WEBAUTH-USER: email'],
    }),
  credentials: credentials.optional(),
  recordBodies: z
    .strictObject({
      types: z
        .array(z.string().regex(/^[\w.+*-]+\/[\w.+*-]+$/, { error: 'expected a media type such as application/json' }))
        .min(1)
        .meta({ description: 'Media types; `*` stands for any text.', examples: ['application/json', 'text/*'] }),
      limit: size('How much of each body.').prefault('64KiB'),
    })
    .optional()
    .meta({ description: 'Whose bodies are recorded. Absent: none. They may hold passwords.' }),
  recording,
})

const hostForm = {
  error: 'expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com',
}

const hosts = z
  .array(z.string(hostForm).regex(hostNamePattern, hostForm))
  .default([])
  .meta({
    description: 'Host names besides `NAME.` and `gateway.domain`. A certificate of `listen.web` must be for them.',
    examples: ['wiki.example.com'],
  })

const health = z
  .strictObject({
    path: path.meta({ description: 'Path of a GET; any answer below 400 is health.', examples: ['/healthz'] }),
    every: duration('How often.').prefault('10s'),
    timeout: duration('How long an answer may take.').prefault('2s'),
  })
  .optional()
  .meta({ description: 'How each address is checked. Absent: one that refused a connection is left out for a while.' })

const originForm = { error: 'expected an origin such as https://app.example.com' }

const cors = z
  .strictObject({
    origins: z
      .array(z.string(originForm).refine(isOrigin, originForm))
      .min(1)
      .meta({ description: 'Origins whose pages may use it.', examples: ['https://app.example.com'] }),
    methods: z
      .array(method)
      .min(1)
      .prefault(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
      .meta({ description: 'Methods that they may use.' }),
    headers: z.array(headerName).default([]).meta({ description: 'Headers that they may send.' }),
    maxAge: duration('How long browsers may remember the answer.').prefault('10m'),
  })
  .optional()
  .meta({ description: 'Which other origins’ pages may use it (CORS). Absent: none.' })

/** As browsers write it, so that a comparison of text is enough. */
function isOrigin(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text
}

/** One entry of `resources` that is a web application. */
export const httpResource = z
  .strictObject({
    kind: z.literal('http').meta({ description: 'A web application or an API.' }),
    ...described,
    url: z
      .string()
      .optional()
      .meta({
        description: 'Where the target answers: `https://`, `http://` or `unix:` and the path of a socket.',
        examples: ['https://grafana.internal:3000', 'unix:/run/app.sock'],
      }),
    urls: z
      .array(z.string())
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'Several of them, instead of `url`. A session keeps to one while that is healthy.' }),
    tls: z
      .strictObject({
        ca: filePath('PEM file with the authorities to trust instead of the system’s.').optional(),
        serverName: z
          .string()
          .regex(hostNamePattern, hostForm)
          .optional()
          .meta({ description: 'Name expected in the certificate, when it differs from the address.' }),
      })
      .default({})
      .meta({ description: 'How `https` targets prove who they are. The certificate is always checked in full.' }),
    version: z.enum(['http1', 'http2']).default('http1').meta({
      description:
        'What is spoken to the target. `http2`: also for `http://` and `unix:`, by prior knowledge. gRPC needs it.',
    }),
    hosts,
    hostHeader: z.enum(['keep', 'target']).default('keep').meta({
      description: '`keep`: the target sees the host name that people typed. `target`: its own address.',
    }),
    health,
    cors,
    recordHeaders: z
      .array(headerName)
      .default([])
      .meta({ description: 'Headers to record besides the usual ones.', examples: ['X-Request-Id'] }),
    maskQuery: z
      .array(z.string().min(1).max(200))
      .default([])
      .meta({ description: 'Query parameters whose values are masked in recordings, besides the usual ones.' }),
    roles: roles('what people write as `Curfew-Role`, or choose in the browser', httpRole),
  })
  .meta({ title: 'HTTP' })
