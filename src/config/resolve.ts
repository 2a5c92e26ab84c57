import { resolve } from 'node:path'
import type { Policy } from '../policy/rules.ts'
import type { PostgresResource, PostgresRole, Resource } from '../resources/catalogue.ts'
import { ticketPattern } from './check-policies.ts'
import type { Config, OidcSettings, PostgresListener, TlsIdentity, WebListener } from './config.ts'
import type { ReferenceReader } from './files.ts'
import type { ConfigPath } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import type { ConfigFile } from './schema.ts'

/** What the file refers to, read. Parts that could not be read are absent, and the reader has a finding for each. */
export interface References {
  readonly web: TlsIdentity | undefined
  readonly postgres: readonly (TlsIdentity | null | undefined)[]
  readonly clientSecret: OidcSettings['clientSecret'] | undefined
  readonly providerCa: string | null | undefined
  readonly resources: readonly (Resource | undefined)[]
}

export async function readReferences(parts: Salvaged, reader: ReferenceReader): Promise<References> {
  const { listen, identity } = parts
  return {
    web: listen && (await reader.tls(['listen', 'web', 'tls'], listen.web.tls)),
    postgres: await inTurn(listen?.postgres ?? [], async (listener, index) =>
      listener.tls === undefined ? null : await reader.tls(['listen', 'postgres', index, 'tls'], listener.tls),
    ),
    clientSecret: identity && (await reader.secret(['identity', 'clientSecret'], identity.clientSecret)),
    providerCa: identity && (await optionalCa(['identity', 'ca'], identity.ca, reader)),
    resources: await inTurn(Object.entries(parts.resources), async ([name, resource]) =>
      readResource(name, resource, reader),
    ),
  }
}

async function optionalCa(
  path: ConfigPath,
  file: string | undefined,
  reader: ReferenceReader,
): Promise<string | null | undefined> {
  return file === undefined ? null : await reader.authorities(path, file)
}

async function readResource(
  name: string,
  resource: ConfigFile['resources'][string],
  reader: ReferenceReader,
): Promise<PostgresResource | undefined> {
  const at = ['resources', name]
  const ca = await optionalCa([...at, 'tls', 'ca'], resource.tls.ca, reader)
  const roles = await inTurn(Object.entries(resource.roles), async ([role, settings]) =>
    readRole([...at, 'roles', role, 'password'], role, settings, reader),
  )
  if (ca === undefined) return undefined
  return {
    kind: resource.kind,
    name,
    description: resource.description,
    labels: resource.labels,
    host: resource.host,
    port: resource.port,
    tls: { mode: resource.tls.mode, ca, serverName: resource.tls.serverName ?? null },
    roles: Object.fromEntries(roles.map((role) => [role.name, role])),
  }
}

async function readRole(
  path: ConfigPath,
  name: string,
  role: ConfigFile['resources'][string]['roles'][string],
  reader: ReferenceReader,
): Promise<PostgresRole> {
  const [first, ...rest] = role.databases
  return {
    kind: 'postgres',
    name,
    description: role.description,
    login: role.login,
    password: role.password === undefined ? null : ((await reader.secret(path, role.password)) ?? null),
    databases: [first!, ...rest], // the schema asks for at least one
    recording: role.recording,
  }
}

/** In the file's order, so that findings come in that order, too. */
async function inTurn<In, Out>(
  items: readonly In[],
  work: (item: In, index: number) => Promise<Out>,
): Promise<readonly Out[]> {
  const results: Out[] = []
  for (const [index, item] of items.entries()) results.push(await work(item, index))
  return results
}

/** Puts the checked value together. Nothing in it is missing any more. */
export function resolveConfig(file: ConfigFile, folder: string, references: References): Config {
  const { gateway, limits, identity, access, recording } = file
  const publicUrl = new URL(gateway.publicUrl)
  return {
    gateway: {
      name: gateway.name,
      publicUrl,
      clientHost: gateway.clientHost ?? publicUrl.hostname,
      clientRootCertificate: gateway.clientRootCertificate ?? null,
      dataFolder: resolve(folder, gateway.data),
      drainMs: gateway.drainFor,
    },
    listen: {
      web: webListener(file.listen.web, references.web!),
      postgres: file.listen.postgres.map((listener, index) => postgresListener(listener, references.postgres[index]!)),
      ssh: [],
      ops: file.listen.ops,
    },
    limits: {
      unauthenticatedPerAddressMax: limits.unauthenticatedPerAddress,
      sessionsPerPersonMax: limits.sessionsPerPerson,
      unauthenticatedMax: limits.unauthenticated,
      handshakeMs: limits.handshake,
    },
    identity: {
      oidc: oidcSettings(identity, references),
      sessionMs: identity.sessionFor,
      rememberMs: identity.rememberFor,
      signInMs: identity.signInFor,
      sameAddress: identity.sameAddress,
      refreshMs: identity.refreshEvery,
      tokenMsMax: identity.tokenFor,
    },
    staff: file.staff,
    access: { waitMs: access.waitFor, requestMs: access.requestFor, warnBeforeMs: access.warnBefore },
    recording: {
      unsavedBytesMax: recording.maxUnsaved,
      unsavedMsMax: recording.maxUnsavedFor,
      freeBytesMin: recording.minFree,
    },
    log: file.log,
    resources: references.resources.map((resource) => resource!),
    policies: file.policies.map(resolvePolicy),
  }
}

function webListener({ address, port }: { address: string; port: number }, tls: TlsIdentity): WebListener {
  return { address, port, tls }
}

function postgresListener(
  { address, port, plaintext }: ConfigFile['listen']['postgres'][number],
  tls: TlsIdentity | null,
): PostgresListener {
  return { address, port, tls, plaintext: plaintext === 'allow' }
}

function oidcSettings(identity: ConfigFile['identity'], references: References): OidcSettings {
  return {
    issuer: new URL(identity.issuer),
    clientId: identity.clientId,
    clientSecret: references.clientSecret!,
    ca: references.providerCa ?? null,
    scopes: identity.scopes,
    groupsClaim: identity.groupsClaim,
  }
}

function resolvePolicy(policy: ConfigFile['policies'][number]): Policy {
  const { approval, ticket, what } = policy
  return {
    name: policy.name,
    who: policy.who,
    what: { resources: what.resources ?? null, labels: what.labels, roles: what.roles ?? null },
    length: { defaultMs: policy.for.default, mostMs: policy.for.most },
    reason: policy.reason,
    ticket:
      ticket === undefined
        ? null
        : { pattern: ticketPattern(ticket.pattern), link: ticket.link ?? null, required: ticket.required },
    approval: approval === 'none' ? { kind: 'none' } : { kind: 'people', ...approval },
  }
}
