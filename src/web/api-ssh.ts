import type * as z from 'zod'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import type { WebContext } from './context.ts'
import { createRateLimit } from './rate-limit.ts'
import { reachable } from './role-states.ts'
import type { Site } from './site.ts'

const { apiPath, publicPaths } = schema
type Directory = z.output<typeof schema.sshDirectory>

/** What `ssh` and its CLI need. The public keys are for everybody: targets and clients fetch them before they know anybody. */
export function sshRoutes(site: Site): void {
  const { identity, clock, sshKeys } = site.deps
  const certificates = createRateLimit(clock, { burst: 20, perMs: 6000 })

  site.open('GET', `${apiPath}/ssh`, async (c) => {
    const { person } = await caller(site, c, 'sessions')
    return c.json(await directory(site, person))
  })
  site.open('POST', `${apiPath}/ssh/certificate`, async (c) => {
    const owner = await caller(site, c, 'sessions')
    certificates.take(owner.person.id)
    listeningPort(site)
    const { publicKey } = await body(c, schema.sshCertificateAsk)
    const { certificate, expiresAt } = await identity.ssh.issueCertificate(owner, publicKey)
    return c.json({ certificate, expiresAt: isoTime(expiresAt) }, 201)
  })
  site.open('GET', publicPaths.sshAuthority, (c) =>
    publicText(c, `${sshKeys.targetAuthority} ${authorityComment(site)}`),
  )
  site.open('GET', publicPaths.sshKnownHosts, (c) => {
    const name = knownHostsName(sshHost(site), listeningPort(site))
    return publicText(c, `${name} ${sshKeys.hostKey}`)
  })
}

function publicText(c: WebContext, line: string): Response {
  c.header('Cache-Control', 'public, max-age=300')
  return c.text(`${line}\n`)
}

/** Comments in key files have no spaces by custom; the gateway's name has none either. */
function authorityComment({ deps }: Site): string {
  return `curfew-ca@${deps.settings.gateway.replaceAll(/[^\w.-]/g, '-')}`
}

/** `gw.example.com`, or with another port than SSH's own `[gw.example.com]:2222`. @see sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT" */
function knownHostsName(host: string, port: number): string {
  return port === 22 ? host : `[${host}]:${port}`
}

function sshHost({ deps }: Site): string {
  return deps.clientHost.replace(/^\[(.*)\]$/, '$1')
}

/** @throws Fault NOT_FOUND */
function listeningPort({ deps }: Site): number {
  const port = deps.sshPort()
  if (port !== undefined) return port
  throw new Fault('NOT_FOUND', 'This gateway has no SSH listener.', {
    hint: 'Your operations people can open one: listen.ssh in the configuration.',
  })
}

async function directory(site: Site, person: Person): Promise<Directory> {
  const { sshKeys } = site.deps
  const port = listeningPort(site)
  const resources = (await reachable(site, person, 'ssh')).map(({ resource: { name, description }, roles }) => ({
    ...{ name, description },
    roles: roles.map(({ role, state }) => ({ name: role.name, description: role.description, ...state })),
  }))
  return { host: sshHost(site), port, hostKeys: [sshKeys.hostKey], resources }
}
