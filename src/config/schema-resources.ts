import * as z from 'zod'
import { sshAllowances } from '../resources/catalogue.ts'
import {
  described,
  filePath,
  keepalives,
  recording,
  roleDescription,
  roles,
  secretReference,
  server,
} from './schema-fields.ts'
import { httpResource } from './schema-http.ts'
import { postgresResource } from './schema-postgres.ts'

const host = server('Host name or address of the target.')

const port = (usual: number) => z.int().min(1).max(65535).default(usual).meta({ description: 'Port of the target.' })

const sshRole = z.strictObject({
  description: roleDescription,
  login: z.string().min(1).max(128).meta({ description: 'The user that the gateway logs in as at the target.' }),
  key: secretReference(
    'Private key that the gateway logs in with, OpenSSH or PEM, without a passphrase. Absent: a certificate is made for each session, which the target believes when it trusts what `curfew ssh-ca` prints.',
  ).optional(),
  allow: z.array(z.enum(sshAllowances)).min(1).default(['shell', 'exec', 'sftp']).meta({
    description:
      'What a session may do. `exec`: commands, and with them scp in its old protocol, rsync and git. `sftp`: files, also with scp. `forward-local`: `-L`, `-D`, `-W`. `forward-remote`: `-R`. `agent`: `-A`. What is missing is refused with a reason.',
  }),
  recordInput: z.boolean().default(false).meta({
    description: 'Whether what people type is recorded, too. It may hold passwords.',
  }),
  recording,
})

const fingerprintForm = { error: 'expected a fingerprint as `ssh-keygen -l` prints it: SHA256: and 43 characters' }

const hostKeysForm = { error: 'expected at least one of `fingerprints`, `knownHosts`, `authorities`' }

const hostKeys = z
  .strictObject({
    fingerprints: z
      .array(z.string(fingerprintForm).regex(/^SHA256:[A-Za-z0-9+/]{43}$/, fingerprintForm))
      .min(1)
      .optional()
      .meta({
        description: 'Fingerprints of keys that may answer, as `ssh-keygen -l` prints them.',
        examples: ['SHA256:rtNeJig/ZqkBgbp6C9VYyYTNix5i1QZBmy+82oHybxE'],
      }),
    knownHosts: filePath(
      'File in the form of OpenSSH’s `known_hosts`; lines that name the target count, `@cert-authority` and `@revoked` among them.',
    ).optional(),
    authorities: z.array(z.string().min(1)).min(1).optional().meta({
      description:
        'Authorities whose host certificates are believed. Each is a public key (`ssh-ed25519 AAAA…`) or the path of a file with such lines.',
    }),
  })
  .refine((given) => Object.keys(given).length > 0, hostKeysForm)
  .meta({
    description:
      'How the target proves who it is: at least one of `fingerprints`, `knownHosts`, `authorities`; any one of them will do. A key that none of them knows is refused.',
    minProperties: 1,
  })

const sshResource = z
  .strictObject({
    kind: z.literal('ssh').meta({ description: 'An SSH server.' }),
    ...described,
    host,
    port: port(22),
    hostKeys,
    keepalives: keepalives('the target'),
    roles: roles('what people write first in `ssh ROLE@RESOURCE@GATEWAY`', sshRole),
  })
  .meta({ title: 'SSH' })

/** One entry of `resources`. */
export const resourceSchema = z.discriminatedUnion('kind', [postgresResource, sshResource, httpResource])

export type ResourceInFile = z.output<typeof resourceSchema>
export type InFile<Kind extends ResourceInFile['kind']> = Extract<ResourceInFile, { kind: Kind }>
