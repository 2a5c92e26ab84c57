import { isIP } from 'node:net'
import * as z from 'zod'
import { parseDurationMs } from '../kernel/durations.ts'
import { tlsVersions } from '../kernel/transport.ts'

const durationMsMax = 3650 * 86_400_000

const durationForm = { error: 'expected a length of time such as 90s, 30m, 8h or 2d' }

export const duration = (about: string) =>
  z
    .string(durationForm)
    .regex(/^(0|\d{1,9}(ms|s|m|h|d))$/, durationForm)
    .refine((text) => (parseDurationMs(text) ?? 0) <= durationMsMax, {
      error: 'expected a length of time of at most 3650d',
    })
    .transform((text) => parseDurationMs(text)!)
    .meta({ description: about, examples: ['30m'] })

const sizeForm = { error: 'expected a size such as 256KiB, 1MiB or 2GiB' }

export const size = (about: string) =>
  z
    .string(sizeForm)
    .regex(/^\d{1,12}(B|KiB|MiB|GiB)$/, sizeForm)
    .transform((text) => {
      const [, count, unit] = /^(\d+)(\w+)$/.exec(text)!
      return Number(count) * { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[unit as 'B' | 'KiB' | 'MiB' | 'GiB']
    })
    .meta({ description: about, examples: ['1MiB'] })

/** What is said where a reference is not one: what stands there may be the secret itself. */
export const secretForm = { error: 'expected a reference, env:NAME or file:PATH, as secrets are never written here' }

export const secretReference = (about: string) =>
  z
    .string(secretForm)
    .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, secretForm)
    .meta({
      description: `${about} A reference: \`env:NAME\` or \`file:PATH\`.`,
      examples: ['env:SECRET', 'file:secrets/key.pem'],
    })

export const filePath = (about: string) =>
  z
    .string()
    .min(1)
    .meta({ description: `${about} A path, relative to the folder of the configuration file.` })

export const name = (about: string) =>
  z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/, {
      error: 'expected a name of a-z, 0-9, - and _, at most 63 characters, that begins and ends with a letter or digit',
    })
    .meta({ description: about })

export const groups = (about: string) => z.array(z.string().min(1)).min(1).meta({ description: about })

/** Lower-case host names of DNS whose last label is no number: browsers would take it for an address. */
export const hostNamePattern =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const serverForm = { error: 'expected a host name or address, without scheme and port' }
const serverName = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i

/** Where clients connect to, by name or address. */
export const server = (about: string) =>
  z
    .string(serverForm)
    .refine((text) => serverName.test(text) || isIP(text.replace(/^\[(.*)\]$/, '$1')) !== 0, serverForm)
    .meta({ description: about })

export const domainForm = { error: 'expected a domain in lower case, such as apps.example.com' }

/** Of every kind of resource. */
export const described = {
  description: z.string().max(200).default('').meta({ description: 'One line for the pages.' }),
  labels: z
    .record(z.string(), z.string())
    .default({})
    .meta({ description: 'Free key and value pairs that policies can match.' }),
}

export const roleDescription = z
  .string()
  .max(200)
  .default('')
  .meta({ description: 'What it may do, in words for the pages.' })

export const recording = z.enum(['strict', 'bestEffort', 'off']).default('strict').meta({
  description:
    '`strict`: what cannot be recorded is not forwarded. `bestEffort`: the session outlives a failed recording. `off`: nothing is recorded.',
})

export const roles = <Role extends z.ZodType>(written: string, role: Role) =>
  z.record(name(`Role name: ${written}.`), role).meta({ description: 'What a person can be on it.' })

export const minTlsVersion = z
  .enum(tlsVersions)
  .default('TLSv1.2')
  .meta({ description: 'The oldest version of TLS that is spoken.' })

/** Systems take whole seconds, in 15 bits. */
const keepaliveSecondsMsMax = 32_767_000
const keepaliveTime = (about: string, leastMs: number) =>
  duration(about).refine((ms) => ms >= leastMs && ms <= keepaliveSecondsMsMax && ms % 1000 === 0, {
    error: `expected whole seconds, of ${leastMs === 0 ? '0' : '1s'} to 9h`,
  })

/** As libpq has them: `keepalives_idle`, `keepalives_interval`, `keepalives_count`. */
export const keepalives = (whose: string) =>
  z
    .strictObject({
      idle: keepaliveTime('The first question after so long without a byte; `0`: none is asked.', 0).prefault('60s'),
      interval: keepaliveTime('The next ones after so long each.', 1000).prefault('10s'),
      count: z.int().min(1).max(100).default(6).meta({ description: 'So many without an answer end the connection.' }),
    })
    .prefault({})
    .meta({ description: `TCP keepalive towards ${whose}: finds out who is gone without a word.` })

export type KeepalivesInFile = z.infer<ReturnType<typeof keepalives>>
