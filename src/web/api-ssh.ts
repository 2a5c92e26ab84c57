import type * as z from 'zod'
import type { Offer } from '../access/access.ts'
import type { Grant, Request } from '../access/states.ts'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import type { SshResource } from '../resources/catalogue.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import type { WebContext } from './context.ts'
import { createRateLimit } from './rate-limit.ts'
import type { Site } from './site.ts'

const { apiPath, publicPaths } = schema
type Directory = z.output<typeof schema.sshDirectory>
type RoleState = Omit<z.output<typeof schema.sshRole>, 'name' | 'description'>

const requestsMax = 200

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
  const { access, sshKeys } = site.deps
  const port = listeningPort(site)
  const [grants, requests] = await Promise.all([access.livingGrants(person.id), access.requestsOf(person, requestsMax)])
  const resources = site.deps.catalogue.resources
    .filter((resource) => resource.kind === 'ssh')
    .map((resource) => listed(resource, access.offers(person), grants, requests))
    .filter(({ roles }) => roles.length > 0)
  return { host: sshHost(site), port, hostKeys: [sshKeys.hostKey], resources }
}

/** The roles that this person has or may ask for; the others stay unnamed. */
function listed(
  { name, description, roles }: SshResource,
  offers: readonly Offer[],
  grants: readonly Grant[],
  requests: readonly Request[],
): Directory['resources'][number] {
  const isOf = (role: string) => (one: Grant | Request) => one.resource === name && one.role === role
  const shown = Object.values(roles).flatMap((role) => {
    const isOffered = offers.some((offer) => offer.resource.name === name && offer.role.name === role.name)
    const state = stateOf(grants.filter(isOf(role.name)), requests.filter(isOf(role.name)), isOffered)
    return state === undefined ? [] : [{ name: role.name, description: role.description, ...state }]
  })
  return { name, description, roles: shown }
}

function stateOf(grants: readonly Grant[], requests: readonly Request[], isOffered: boolean): RoleState | undefined {
  const lasting = grants.toSorted((left, right) => right.expiresAt - left.expiresAt)
  const grant = lasting.find(({ state }) => state === 'active') ?? lasting.find(({ state }) => state === 'scheduled')
  if (grant?.state === 'active' || grant?.state === 'scheduled') {
    return { state: grant.state, startsAt: isoTime(grant.startsAt), until: isoTime(grant.expiresAt) }
  }
  const isAsked = requests.some(({ state }) => state === 'requested')
  if (!isAsked && !isOffered) return undefined
  return { state: isAsked ? 'requested' : 'available', startsAt: null, until: null }
}
