import type { Approvers } from '../policy/approval.ts'
import { compileCondition } from '../policy/condition.ts'
import { networksOf } from '../policy/networks.ts'
import type { Circumstances, Dates, Denial, Policy, Weekly, What, Who } from '../policy/rules.ts'
import { momentIn, weekdays } from '../policy/wall-clock.ts'
import { grantsOf } from './resolve-grants.ts'
import type { Instant } from '../kernel/time.ts'
import { asksForManager, resolveApproval } from './resolve-approval.ts'
import type { ConfigFile } from './schema.ts'
import { allows, lengthsOf, type AllowingEntry, type PolicyEntry } from './schema-policies.ts'

/** Policies that allow, in the file's order, and everything that denies. */
export function resolvePolicies({ policies, freezes }: Pick<ConfigFile, 'policies' | 'freezes'>): {
  readonly policies: readonly Policy[]
  readonly denials: readonly Denial[]
} {
  const denying = policies.filter(({ effect }) => effect === 'deny')
  return {
    policies: policies.filter(allows).map(resolvePolicy),
    denials: [...denying.map(resolveDenial), ...freezes.map(resolveFreeze)],
  }
}

/** Names of the claims that must be kept for the rules to be asked. */
export function claimsAskedFor(
  rules: readonly (Pick<Policy, 'condition'> & Partial<Pick<Policy, 'approval'>> & { readonly who: Who | null })[],
  managerClaim?: string,
): readonly string[] {
  const names = rules.flatMap(({ who, condition, approval }) => [
    ...Object.keys(who?.claims ?? {}),
    ...(condition?.claims ?? []),
    ...(approval !== undefined && managerClaim !== undefined && asksForManager(approval) ? [managerClaim] : []),
  ])
  return [...new Set(names)].sort()
}

function resolvePolicy(policy: AllowingEntry): Policy {
  const { approval, ticket } = policy
  return {
    name: policy.name,
    who: whoOf(policy.who),
    what: whatOf(policy.what),
    ...circumstancesOf(policy),
    length: lengthsOf(policy),
    reason: policy.reason,
    ...(policy.grants !== undefined && { grants: grantsOf(policy.grants) }),
    ...(policy.breakGlass !== undefined && { breakGlass: { review: reviewersOf(policy.breakGlass.review) } }),
    ticket:
      ticket === undefined
        ? null
        : { pattern: ticketPattern(ticket.pattern), link: ticket.link ?? null, required: ticket.required },
    approval: resolveApproval(approval),
    ...(typeof approval === 'object' && approval.lapseAfter !== undefined && { requestMs: approval.lapseAfter }),
  }
}

function reviewersOf({ from = [], named = [] }: NonNullable<AllowingEntry['breakGlass']>['review']): Approvers {
  return { from, allOf: [], named: named.map((address) => address.toLowerCase()), manager: false }
}

/** The whole ticket must match. @throws SyntaxError */
export function ticketPattern(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, 'u')
}

function resolveDenial(policy: PolicyEntry): Denial {
  return {
    kind: 'policy',
    name: policy.name,
    who: policy.who === undefined ? null : whoOf(policy.who),
    what: whatOf(policy.what),
    except: [],
    message: policy.message ?? null,
    ...circumstancesOf(policy),
  }
}

function resolveFreeze({ name, what, except, message, ...written }: ConfigFile['freezes'][number]): Denial {
  const dates = datesOf(written)
  const until = dates.to === null ? '' : ` until ${momentIn(dates.to, written.zone)}`
  return {
    kind: 'freeze',
    name,
    who: null,
    what: whatOf(what),
    except: except?.groups ?? [],
    ...(except?.breakGlass === true && { exceptEmergencies: true }),
    message: message ?? `Frozen${until}: ${name}.`,
    dates,
  }
}

function whoOf({ groups, people, claims, machines }: NonNullable<PolicyEntry['who']>): Who {
  return {
    ...(groups !== undefined && { groups }),
    ...(people !== undefined && { people: people.map((address) => address.toLowerCase()) }),
    ...(claims !== undefined && { claims }),
    ...(machines !== undefined && { machines }),
  }
}

function whatOf({ resources, labels, roles }: PolicyEntry['what']): What {
  return { resources: resources ?? null, labels, roles: roles ?? null }
}

function circumstancesOf({ when, dates, from, if: condition }: PolicyEntry): Circumstances {
  return {
    ...(when !== undefined && { when: when.map(weeklyOf) }),
    ...(dates !== undefined && { dates: datesOf(dates) }),
    ...(from?.networks !== undefined && { networks: networksOf(from.networks) }),
    ...(from?.countries !== undefined && { countries: [...new Set(from.countries)] }),
    ...(condition !== undefined && { condition: compileCondition(condition) }),
  }
}

const several: Readonly<Record<string, readonly number[]>> = {
  weekdays: [1, 2, 3, 4, 5],
  weekend: [6, 7],
  daily: [1, 2, 3, 4, 5, 6, 7],
}

export function weeklyOf({ days, from, to, zone }: NonNullable<PolicyEntry['when']>[number]): Weekly {
  const words: readonly string[] = typeof days === 'string' ? [days] : days
  const numbers = words.flatMap((word) => several[word] ?? [weekdays.findIndex((day) => day === word) + 1])
  return {
    days: [...new Set(numbers)].toSorted((left, right) => left - right),
    fromMinute: minuteOf(from),
    toMinute: minuteOf(to),
    zone,
  }
}

function minuteOf(clock: string): number {
  const [hours = '', minutes = ''] = clock.split(':')
  return Number(hours) * 60 + Number(minutes)
}

/** A day as the end counts to its last moment. */
export function datesOf({ from, to, zone }: NonNullable<PolicyEntry['dates']>): Dates {
  return {
    from: from === undefined ? null : instantOf(from, zone, 0),
    to: to === undefined ? null : instantOf(to, zone, to.includes('T') ? 0 : 1),
  }
}

function instantOf(text: string, zone: string, daysLater: number): Instant {
  const local = Temporal.PlainDateTime.from(text).add({ days: daysLater })
  return local.toZonedDateTime(zone).epochMilliseconds as Instant
}
