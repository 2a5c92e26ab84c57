import * as z from 'zod'
import { conditionLengthMax } from '../policy/condition.ts'
import { isCountryCode } from '../policy/countries.ts'
import { isZone, weekdays } from '../policy/wall-clock.ts'
import { readNetwork } from '../policy/networks.ts'
import { groups } from './schema-fields.ts'

// What policies and freezes have in common: whom, what, when, from where, on what condition.

export const whoSchema = z.strictObject({
  groups: groups('Any of these groups.').optional(),
  people: z
    .array(z.string().regex(/^[^\s@]+@[^\s@]+$/, { error: 'expected an e-mail address' }))
    .min(1)
    .optional()
    .meta({ description: 'Any of these e-mail addresses; case does not matter.' }),
  claims: z
    .record(z.string(), z.array(z.string().min(1)).min(1))
    .optional()
    .meta({ description: 'Name of a claim, and values of which the person must have one. All claims must match.' }),
  machines: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .meta({ description: 'Names of `machines`; `*` stands for any characters. With it, the policy is for no person.' }),
})

const labels = z
  .record(z.string(), z.string())
  .default({})
  .meta({ description: 'Labels that the resource must carry, all of them.' })

export const whatSchema = z.strictObject({
  resources: z
    .array(z.string())
    .min(1)
    .optional()
    .meta({ description: 'Names of resources; `*` stands for any characters. Absent: any.' }),
  labels,
  roles: z.array(z.string()).min(1).optional().meta({ description: 'Names of roles. Absent: any.' }),
})

const zoneForm = { error: 'expected a time zone such as Europe/Berlin' }

export const zone = z
  .string()
  .refine(isZone, zoneForm)
  .default('UTC')
  .meta({ description: 'Time zone by its IANA name.', examples: ['Europe/Berlin'] })

const day = z.enum([...weekdays, 'weekdays', 'weekend', 'daily'])
const clockForm = { error: 'expected a time such as 09:00' }
const clock = (pattern: RegExp, about: string) =>
  z
    .string(clockForm)
    .regex(pattern, clockForm)
    .meta({ description: about, examples: ['09:00'] })

export const whenSchema = z
  .array(
    z.strictObject({
      days: z
        .union([day, z.array(day).min(1)])
        .default('daily')
        .meta({
          description: 'Days on which it begins: `mon` to `sun`, `weekdays`, `weekend`, `daily`, or a list of them.',
        }),
      from: clock(/^([01]\d|2[0-3]):[0-5]\d$/, 'The first minute inside.'),
      to: clock(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'The first minute outside. Before `from`: on the next day.'),
      zone,
    }),
  )
  .min(1)
  .meta({ description: 'Any of these weekly windows, by what a clock on the wall shows.' })

const momentForm = { error: 'expected a day or a time, such as 2026-12-20 or 2026-12-20T18:00' }
const moment = (about: string) =>
  z
    .string(momentForm)
    .refine(isMoment, momentForm)
    .meta({ description: about, examples: ['2026-12-20', '2026-12-20T18:00'] })

export const datesFields = {
  from: moment('The first day, or moment, inside.'),
  to: moment('The last day inside, or the first moment outside.'),
}

export const network = z
  .string()
  .refine((text) => readNetwork(text) !== undefined, { error: 'expected a network such as 10.0.0.0/8' })

const country = z
  .string()
  .refine(isCountryCode, { error: 'expected a country by its two capital letters, such as DE (ISO 3166-1)' })

const fromSchema = z
  .strictObject({
    networks: z
      .array(network)
      .min(1)
      .optional()
      .meta({
        description: 'Any of these networks, or single addresses, of IPv4 and IPv6. `::/0` holds no IPv4.',
        examples: ['10.0.0.0/8'],
      }),
    countries: z
      .array(country)
      .min(1)
      .optional()
      .meta({ description: 'Any of these countries. Needs `geo`.', examples: ['DE'] }),
  })
  .meta({ description: 'Where it is used from: the address of the client. Where both are given, both must match.' })

export const circumstanceFields = {
  when: whenSchema.optional(),
  dates: z
    .strictObject({ from: datesFields.from.optional(), to: datesFields.to.optional(), zone })
    .optional()
    .meta({ description: 'Not before, and not after.' }),
  from: fromSchema.optional(),
  if: z
    .string()
    .min(1)
    .max(conditionLengthMax)
    .optional()
    .meta({
      description:
        'A condition in CEL over `person`, `resource`, `role`, `request`, `client`, `risk` and `time`; see policies.md.',
      examples: ['request.minutes <= 60'],
    }),
}

function isMoment(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d)?$/.test(text)) return false
  try {
    return Temporal.PlainDateTime.from(text) !== undefined
  } catch {
    return false // RangeError: there is no such day
  }
}
