import { leftToExtendMs, wasEmergency, whyNotExtendable } from '../access/extendable.ts'
import { waitsForUse } from '../access/grant-life.ts'
import type { Grant, Request } from '../access/states.ts'
import { isoTime } from '../kernel/time.ts'
import { windowsWords } from '../policy/grant-words.ts'
import type { Policy } from '../policy/rules.ts'
import { line, moment, type Wording } from './word-parts.ts'

/** Of a request: what kind it is. Messages that were queued before there was any have none of these. */
export interface RequestLifeFacts {
  readonly kind: Request['kind']
  /** Such as `Mon-Fri 09:00-17:00 (Europe/Berlin)`; null: at any time. */
  readonly hours: string | null
  /** The name of the bundle that it is part of. */
  readonly bundle: string | null
}
/** Of a grant: how it lives. */
export interface GrantLifeFacts {
  readonly hours: string | null
  /** Unused then, it is over; null when it is used, or may stay unused. */
  readonly useBy: string | null
  /** How long it lasts from its first use; null: its clock runs. */
  readonly lengthSeconds: number | null
  readonly uses: Grant['uses']
  /** Where its person asks for more time; null: it cannot be extended now. */
  readonly extendLink: string | null
}

export function requestLife({ kind, recurrence, bundle }: Request): RequestLifeFacts {
  return { kind, hours: recurrence === null ? null : windowsWords(recurrence.windows), bundle: bundle?.name ?? null }
}

export function grantLifeFacts(
  grant: Grant,
  request: Request,
  policy: Policy | undefined,
  link: (grant: Grant) => string,
): GrantLifeFacts {
  const { windows, useBy, firstUsedAt, lengthMs, uses } = grant
  const isLiving = grant.state === 'scheduled' || grant.state === 'active'
  const isEmergency = wasEmergency(request, policy)
  const extendable =
    isLiving && whyNotExtendable(grant, isEmergency) === undefined && leftToExtendMs(grant, policy ?? {}) > 0
  return {
    hours: windows === null ? null : windowsWords(windows),
    useBy: firstUsedAt === null && useBy !== null ? isoTime(useBy) : null,
    lengthSeconds: waitsForUse(grant) ? Math.ceil(lengthMs / 1000) : null,
    uses,
    extendLink: extendable ? link(grant) : null,
  }
}

export function requestLifeLines({ hours, bundle }: Partial<RequestLifeFacts>): Wording['lines'] {
  return [...line('Only at', hours ?? null), ...line('Together with', bundle ? `the rest of ${bundle}` : null)]
}

export function grantLifeLines(
  { hours, useBy, uses, extendLink }: Partial<GrantLifeFacts>,
  isOwn: boolean,
): Wording['lines'] {
  return [
    ...line('Only at', hours ?? null),
    ...line('Use it by', useBy ? moment(useBy) : null),
    ...line('For', uses === 'once' ? 'one session' : null),
    ...line('More time', isOwn ? (extendLink ?? null) : null),
  ]
}
