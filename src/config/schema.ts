import * as z from 'zod'
import { network } from './schema-circumstances.ts'
import {
  domainForm,
  duration,
  filePath,
  groups,
  hostNamePattern,
  keepalives,
  minTlsVersion,
  name,
  secretReference,
  server,
  size,
} from './schema-fields.ts'
import { freezeSchema } from './schema-freezes.ts'
import { bundleSchema } from './schema-grants.ts'
import { machineIssuerSchema, machineSchema } from './schema-machines.ts'
import { notifySchema } from './schema-notify.ts'
import { oauthSchema } from './schema-oauth.ts'
import { policySchema } from './schema-policies.ts'
import { resourceSchema } from './schema-resources.ts'
import { geoSchema, riskSchema } from './schema-risk.ts'

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
        clientHost: server(
          'Host name that psql and ssh are told to connect to. Default: the host of `publicUrl`.',
        ).optional(),
        domain: z
          .string(domainForm)
          .regex(hostNamePattern, domainForm)
          .optional()
          .meta({
            description: 'Applications are at `NAME.` and this domain. Default: the host of `publicUrl`.',
            examples: ['apps.example.com'],
          }),
        clientRootCertificate: z.string().min(1).optional().meta({
          description:
            'What the pages tell clients to write as `sslrootcert`: the path of the CA file on their machines, or `system`. Absent: not written.',
        }),
        data: filePath('Folder for state, keys and recordings. Made if missing.').default('data'),
        drainFor: duration('How long live sessions may go on after SIGTERM; they are warned at once.').prefault('10s'),
      })
      .meta({ description: 'The gateway itself.' }),
    listen: z
      .strictObject({
        web: listenAddress
          .extend({
            tls: tlsFiles,
            certificates: z.array(tlsFiles).default([]).meta({
              description:
                'More certificates, chosen by the host name that the browser asks for. `tls` answers for all others.',
            }),
            keepalives: keepalives('clients'),
          })
          .meta({ description: 'The pages, the API and the applications.' }),
        postgres: z
          .array(
            listenAddress.extend({
              tls: tlsFiles
                .extend({ minVersion: minTlsVersion })
                .optional()
                .meta({ description: 'Certificate and key.' }),
              plaintext: z
                .enum(['refuse', 'allow'])
                .default('refuse')
                .meta({ description: 'Whether clients may connect without TLS. For a sidecar on loopback.' }),
              keepalives: keepalives('clients'),
              proxyProtocol: z
                .strictObject({
                  from: z
                    .array(network)
                    .min(1)
                    .meta({ description: 'Networks or addresses of the balancers.', examples: ['10.0.0.0/8'] }),
                })
                .optional()
                .meta({
                  description:
                    'Load balancers that say where a client is, by the PROXY protocol in version 2: a connection from these networks must begin with its header. From anywhere else none is understood.',
                }),
            }),
          )
          .prefault([])
          .meta({ description: 'Listeners for PostgreSQL clients.' }),
        ssh: z
          .array(listenAddress.extend({ keepalives: keepalives('clients') }))
          .prefault([])
          .meta({
            description:
              'Listeners for SSH clients. The host key is made at the first start and kept in `gateway.data`.',
          }),
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
        handshake: duration(
          'Longest time from connect to a complete startup message, or the end of the SSH key exchange; for SSH again from there until a sign-in is asked for or done.',
        ).prefault('10s'),
        webConnectionsPerAddress: z.int().min(1).default(2048).meta({
          description:
            'Connections of browsers and API clients of one address (of IPv6, of one network of 64 bits), signed in or not.',
        }),
        webConnections: z.int().min(1).default(8192).meta({ description: 'The same for all addresses together.' }),
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
        managerClaim: z.string().min(1).default('manager').meta({
          description: 'Claim with the e-mail address of the manager, for policies that ask them. Kept only for those.',
        }),
        oauth: oauthSchema.optional(),
        sessionFor: duration('How long a browser stays signed in.').prefault('12h'),
        rememberFor: duration(
          'How long a sign-in from psql (by its address) or from ssh (by its key) is remembered; 0 asks every time.',
        ).prefault('8h'),
        signInFor: duration('How long psql, ssh and the CLI wait for the sign-in page.').prefault('5m'),
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
    machineIssuers: z
      .record(name('A name for it here.'), machineIssuerSchema)
      .default({})
      .meta({ description: 'Who says which machine is which: CI services, clusters. See machines.md.' }),
    machines: z
      .record(name('The machine’s name, as policies, locks and the audit log have it.'), machineSchema)
      .default({})
      .meta({ description: 'Machines that may come with a token of one of them. A token must be one machine’s only.' }),
    access: z
      .strictObject({
        waitFor: duration('How long psql and ssh wait for an approval; 0 refuses at once.').prefault('10m'),
        httpIdle: duration(
          'A session at an application ends after this long without a request, an open answer or a WebSocket; the next request begins another.',
        ).prefault('15m'),
        requestFor: duration('How long a request stays open before it lapses.').prefault('24h'),
        warnBefore: z
          .array(duration('Time before the end.'))
          .prefault(['5m', '1m'])
          .meta({ description: 'When people are warned that their access ends.' }),
      })
      .prefault({})
      .meta({ description: 'From request to grant.' }),
    notify: notifySchema,
    geo: geoSchema.optional(),
    risk: riskSchema,
    reports: z
      .strictObject({
        teams: groups('Groups that requests are told apart by. Absent: every group that a policy names.').optional(),
      })
      .prefault({})
      .meta({ description: 'What happened, summed up. See reports.md.' }),
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
      .record(
        name('Resource name: what people write as the database, after the role, or first in an application’s address.'),
        resourceSchema,
      )
      .meta({
        description:
          'What stands behind the gateway. People write a resource’s name as the PostgreSQL database, as RESOURCE in `ssh ROLE@RESOURCE@GATEWAY`, or first in the address of an application; a role’s name as the PostgreSQL user, or as ROLE.',
      }),
    policies: z.array(policySchema).meta({
      description:
        'Who may ask for what. One that denies wins; of those that allow, the first that matches decides; without a match the answer is no. See policies.md.',
    }),
    freezes: z.array(freezeSchema).default([]).meta({
      description: 'Times in which nothing is allowed, whatever the policies say; living sessions end when one begins.',
    }),
    bundles: z.array(bundleSchema).default([]).meta({
      description:
        'Several things that people ask for together. Whoever may ask for all of them sees the bundle. See policies.md.',
    }),
  })
  .meta({ title: 'Curfew configuration' })

export type ConfigFile = z.output<typeof configSchema>
