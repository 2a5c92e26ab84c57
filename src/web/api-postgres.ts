import type * as z from 'zod'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import { createRateLimit } from './rate-limit.ts'
import { reachable } from './role-states.ts'
import type { Site } from './site.ts'

const { apiPath } = schema

/** What `curfew psql`, `connect` and `env` need. */
export function postgresRoutes(site: Site): void {
  const { identity, clock } = site.deps
  const certificates = createRateLimit(clock, { burst: 20, perMs: 6000 })

  site.open('GET', `${apiPath}/postgres`, async (c) => {
    const { person } = await caller(site, c, 'sessions')
    return c.json(await directory(site, person))
  })
  site.open('POST', `${apiPath}/postgres/certificate`, async (c) => {
    const owner = await caller(site, c, 'sessions')
    certificates.take(owner.person.id)
    listeningPort(site)
    const { publicKey } = await body(c, schema.clientCertificateAsk)
    const { certificate, expiresAt } = await identity.certificates.issue(owner, Buffer.from(publicKey, 'base64'))
    return c.json({ certificate, expiresAt: isoTime(expiresAt) }, 201)
  })
}

/** @throws Fault NOT_FOUND */
function listeningPort({ deps }: Site): number {
  const port = deps.postgresPort()
  if (port !== undefined) return port
  throw new Fault('NOT_FOUND', 'This gateway has no PostgreSQL listener.', {
    hint: 'Your operations people can open one: listen.postgres in the configuration.',
  })
}

async function directory(site: Site, person: Person): Promise<z.output<typeof schema.postgresDirectory>> {
  const { clientHost, caHint } = site.deps
  const port = listeningPort(site)
  const resources = (await reachable(site, person, 'postgres')).map(({ resource: { name, description }, roles }) => ({
    ...{ name, description },
    roles: roles.map(({ role, state }) => ({
      ...{ name: role.name, description: role.description, ...state },
      databases: [...role.databases],
    })),
  }))
  return { host: clientHost.replace(/^\[(.*)\]$/, '$1'), port, rootCertificate: caHint ?? null, resources }
}
