import * as z from 'zod'
import { riskFactorCodes, riskLevels } from '../policy/risk.ts'
import { agreed, step, terms, waitsFor } from './api-schema-approval.ts'
import { hasControls } from './forms.ts'
import { hours, hoursWish, life } from './api-schema-life.ts'

// Requests, grants, sessions and locks, as the API gives and takes them. Lengths are milliseconds.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const shown = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((text) => !hasControls(text), 'holds characters that cannot be shown')
const line = (charsMax: number) => shown(charsMax).min(1)
const lengthMs = z
  .int()
  .min(1000)
  .max(366 * 86_400_000)

const someone = z.object({
  id: z.string(),
  /** As people write them: e-mail, name or subject. */
  displayName: z.string(),
})

/** What is not given may be anything. At least one of the first six. */
export const lockWish = z.strictObject({
  person: line(200).optional().meta({ description: 'e-mail address or id' }),
  machine: line(64)
    .optional()
    .meta({ description: 'instead of a person: name of a machine, also before it ever came' }),
  group: line(200).optional(),
  resource: line(64).optional(),
  role: line(64).optional(),
  address: line(64).optional().meta({ description: 'IP address or network of the client, such as 203.0.113.0/24' }),
  reason: line(1000).meta({ description: 'Those it stops read it.' }),
  lengthMs: lengthMs.optional().meta({ description: 'Absent: until somebody lifts it.' }),
})
export const lock = z.object({
  id: z.string(),
  state: z.enum(['standing', 'lifted', 'over']),
  person: someone.nullable(),
  /** Then `person` is null. */
  machine: z.string().nullable(),
  group: z.string().nullable(),
  resource: z.string().nullable(),
  role: z.string().nullable(),
  address: z.string().nullable(),
  reason: z.string(),
  placedBy: someone,
  placedAt: instant,
  until: instant.nullable(),
  /** Null where its time was over. */
  liftedBy: someone.nullable(),
  liftedAt: instant.nullable(),
})
/** `past`: the last of those that are lifted or over. */
export const lockList = z.object({ locks: z.array(lock), past: z.array(lock) })

export const requestWish = z.strictObject({
  resource: line(64),
  role: line(64).optional().meta({ description: 'Absent: the only one there that you may ask for.' }),
  lengthMs: lengthMs.optional().meta({ description: 'Absent: as long as the policy says.' }),
  reason: shown(1000).default(''),
  ticket: line(100).nullable().default(null),
  startsAt: instant.nullable().default(null).meta({ description: 'Not before; null: at the approval.' }),
  hours: hoursWish,
  onBehalfOf: line(64)
    .optional()
    .meta({ description: 'Name of the machine that is to have it; you must be named by its `askedForBy`.' }),
  emergency: z
    .boolean()
    .default(false)
    .meta({ description: 'At once, by a policy for emergencies; people are told, and somebody reviews it.' }),
})
export const grant = z.object({
  id: z.string(),
  request: z.string(),
  resource: z.string(),
  role: z.string(),
  policy: z.string(),
  state: z.enum(['scheduled', 'active', 'expired', 'revoked', 'ended']),
  startsAt: instant,
  expiresAt: instant,
  endedAt: instant.nullable(),
  ...life,
})
export const risk = z.object({
  score: z.int().meta({ description: '0 to 100' }),
  level: z.enum(riskLevels),
  factors: z.array(z.object({ code: z.enum(riskFactorCodes), label: z.string(), weight: z.int() })),
})
const decision = z.object({
  person: someone,
  verdict: z.enum(['approve', 'deny']),
  step: z.int().meta({ description: 'From 1.' }),
  /** Null: as it was asked for. */
  terms: terms.nullable(),
  comment: z.string(),
  at: instant,
})
export const request = z.object({
  id: z.string(),
  link: z.url(),
  state: z.enum(['requested', 'approved', 'denied', 'cancelled', 'lapsed']),
  /** Who gets it. */
  person: someone,
  /** Who asked on its behalf; null: `person`. */
  askedBy: someone.nullable(),
  emergency: z.boolean().default(false),
  kind: z.enum(['access', 'extension', 'break-glass']),
  /** The grant that is to last longer. */
  extends: z.string().nullable(),
  /** Asked for together: the same id. */
  bundle: z.object({ id: z.string(), name: z.string() }).nullable(),
  hours: z.array(hours).nullable(),
  resource: z.string(),
  role: z.string(),
  lengthMs: z.int(),
  reason: z.string(),
  ticket: z.string().nullable(),
  startsAt: instant.nullable(),
  policy: z.string(),
  /** Where it came from: `curfew CLI at 203.0.113.9`. */
  origin: z.string(),
  askedAt: instant,
  lapsesAt: instant,
  closedAt: instant.nullable(),
  /** For those who decide; null on what you asked for yourself, and where it was not worked out. */
  risk: risk.nullable(),
  /** How many distinct people are still missing; 0 when it is closed. */
  missing: z.int(),
  /** In order; none where nobody is needed. */
  steps: z.array(step),
  /** Null when it is closed. */
  waitsFor: waitsFor.nullable(),
  agreed,
  /** Roles that an approver may give: the one that was asked for first. */
  rolesToGive: z.array(z.string()),
  decisions: z.array(decision),
  grant: grant.nullable(),
})
/** One for each part of a bundle. */
export const requestBundle = z.object({ requests: z.array(request) })
/** `own`: the newest first. `toDecide`: those that wait for your word, oldest first. */
export const requestList = z.object({ own: z.array(request), toDecide: z.array(request) })
/** The requester, or whoever is cut off, reads it. */
export const comment = z.strictObject({ comment: shown(1000).default('') })

/** Those that live, active or scheduled. */
export const grantList = z.object({ grants: z.array(grant) })

export const session = z.object({
  id: z.string(),
  person: someone,
  grant: z.string(),
  resource: z.string(),
  role: z.string(),
  database: z.string().nullable(),
  protocol: z.enum(['postgres', 'ssh', 'http']),
  address: z.string(),
  application: z.string(),
  startedAt: instant,
  expiresAt: instant,
})
/** `all`: everybody's; for operators. */
export const sessionQuery = z.object({ all: z.enum(['true', 'false']).default('false') })
export const sessionList = z.object({ sessions: z.array(session) })
