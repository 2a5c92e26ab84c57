import type * as z from 'zod'
import type { Grant, Request } from '../access/states.ts'
import type { Person } from '../identity/person.ts'
import type { GrantId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { clockText, readClock } from '../policy/recurrence.ts'
import type { Weekly } from '../policy/rules.ts'
import { weekdays } from '../policy/wall-clock.ts'
import { body, caller, checked, idempotencyKey } from './api-call.ts'
import * as schema from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import type { RequestJson } from './api-access.ts'
import type { Site } from './site.ts'

const { apiPath } = schema

/** More time, and bundles. Shapes: api-schema-life.ts. */
export function lifeRoutes(site: Site, requestJson: RequestJson): void {
  const { access } = site.deps
  site.open('POST', `${apiPath}/grants/:id/extend`, async (c) => {
    const { person, token } = await caller(site, c, 'requests:write')
    const { lengthMs = null, ...wish } = await body(c, schema.extensionWish)
    const address = peerAddress(c)
    const grant = (c.req.param('id') ?? '') as GrantId
    const origin = { origin: `${token.label} at ${address}`, asker: { address }, key: idempotencyKey(c) }
    const { id } = await access.extend(person, grant, { ...wish, lengthMs, ...origin })
    return c.json(requestJson(site, person)(await access.view(person, id)), 201)
  })
  site.open('GET', `${apiPath}/bundles`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    const bundles = access.bundles(person, { address: peerAddress(c) }).map(({ bundle, offers }) => ({
      ...{ name: bundle.name, description: bundle.description },
      items: bundle.items.map(({ resource, role, lengthMs }, index) => {
        const { name, length } = offers[index]!.policy
        return { resource, role, lengthMs: lengthMs ?? length.defaultMs, policy: name }
      }),
    }))
    return c.json({ bundles } satisfies z.output<typeof schema.bundleList>)
  })
}

/** Whether a body asks for a bundle rather than for one thing. */
export function asksForBundle(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'bundle' in value
}

export async function fileBundle(
  { deps }: Site,
  c: WebContext,
  person: Person,
  label: string,
  value: unknown,
): Promise<readonly Request[]> {
  const { bundle, lengthMs = null, reason, ticket, startsAt, onBehalfOf } = checked(schema.bundleWish, value)
  const address = peerAddress(c)
  return deps.access.askBundle(person, {
    ...{ bundle, lengthMs, reason, ticket, startsAt: startsAt === null ? null : (Date.parse(startsAt) as Instant) },
    ...{ origin: `${label} at ${address}`, asker: { address }, key: idempotencyKey(c), onBehalfOf },
  })
}

export function windowsOf(hours: z.output<typeof schema.hoursWish>): readonly Weekly[] | null {
  if (hours === null) return null
  return hours.map(({ days, from, to, zone }) => ({
    days: days.map((day) => weekdays.indexOf(day) + 1),
    ...{ fromMinute: readClock(from) ?? -1, toMinute: readClock(to) || 1440, zone },
  }))
}

export function hoursJson(windows: readonly Weekly[] | null): z.output<typeof schema.hours>[] | null {
  if (windows === null) return null
  return windows.map(({ days, fromMinute, toMinute, zone }) => ({
    days: days.map((day) => weekdays[day - 1]!),
    ...{ from: clockText(fromMinute), to: clockText(toMinute), zone },
  }))
}

export function lifeJson(grant: Grant) {
  const { lengthMs, clock, uses, firstUsedAt, useBy, windows, databases, networks } = grant
  return {
    ...{ lengthMs, clock, uses, firstUsedAt: timeOrNull(firstUsedAt), useBy: timeOrNull(useBy) },
    ...{ hours: hoursJson(windows), databases: databases && [...databases], networks: networks && [...networks] },
    comment: 'comment' in grant ? grant.comment || null : null,
  }
}

/** What the request JSON says beyond asking for one thing once. */
export function kindJson({ kind, extends: extended, bundle, recurrence }: Request) {
  return { kind, extends: extended, bundle, hours: hoursJson(recurrence?.windows ?? null) }
}

function timeOrNull(at: Instant | null): string | null {
  return at === null ? null : isoTime(at)
}
