import { resolve } from 'node:path'
import { networksOf } from '../policy/networks.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Config, OidcSettings, PostgresListener, TlsIdentity, WebListener } from './config.ts'
import { inTurn, optionalCa, type ReferenceReader } from './files.ts'
import type { MachineSettings } from '../identity/machine.ts'
import type { NotifySettings } from './notify-settings.ts'
import { resolveKeepalives } from './resolve-keepalives.ts'
import { readMachines } from './resolve-machines.ts'
import { readNotify } from './resolve-notify.ts'
import { claimsAskedFor, resolvePolicies } from './resolve-policies.ts'
import { readResource } from './resolve-resources.ts'
import { bundleOf } from './resolve-grants.ts'
import type { Salvaged } from './salvage.ts'
import type { ConfigFile } from './schema.ts'

/** What the file refers to, read. Parts that could not be read are absent, and the reader has a finding for each. */
export interface References {
  readonly web: TlsIdentity | undefined
  readonly webCertificates: readonly (TlsIdentity | undefined)[]
  readonly postgres: readonly (TlsIdentity | null | undefined)[]
  readonly clientSecret: OidcSettings['clientSecret'] | undefined
  readonly providerCa: string | null | undefined
  readonly machines: MachineSettings
  readonly notify: NotifySettings | null
  readonly geoFile: string | undefined
  readonly resources: readonly (Resource | undefined)[]
}

export async function readReferences(parts: Salvaged, reader: ReferenceReader): Promise<References> {
  const { listen, identity } = parts
  return {
    web: listen && (await reader.tls(['listen', 'web', 'tls'], listen.web.tls)),
    webCertificates: await inTurn(listen?.web.certificates ?? [], (files, index) =>
      reader.tls(['listen', 'web', 'certificates', index], files),
    ),
    postgres: await inTurn(listen?.postgres ?? [], async (listener, index) =>
      listener.tls === undefined ? null : await reader.tls(['listen', 'postgres', index, 'tls'], listener.tls),
    ),
    clientSecret: identity && (await reader.secret(['identity', 'clientSecret'], identity.clientSecret)),
    providerCa: identity && (await optionalCa(['identity', 'ca'], identity.ca, reader)),
    machines: await readMachines(parts, reader),
    notify: await readNotify(parts, reader),
    geoFile: parts.geo && (await reader.database(['geo', 'file'], parts.geo.file)),
    resources: await inTurn(Object.entries(parts.resources), async ([name, resource]) =>
      readResource(name, resource, reader),
    ),
  }
}

/** Puts the checked value together. Nothing in it is missing any more. */
export function resolveConfig(file: ConfigFile, folder: string, references: References): Config {
  const { gateway, limits, identity, access, recording } = file
  const publicUrl = new URL(gateway.publicUrl)
  const rules = resolvePolicies(file)
  return {
    gateway: {
      name: gateway.name,
      publicUrl,
      clientHost: gateway.clientHost ?? publicUrl.hostname,
      domain: gateway.domain ?? publicUrl.hostname,
      clientRootCertificate: gateway.clientRootCertificate ?? null,
      dataFolder: resolve(folder, gateway.data),
      drainMs: gateway.drainFor,
    },
    listen: {
      web: webListener(file.listen.web, references),
      postgres: file.listen.postgres.map((listener, index) => postgresListener(listener, references.postgres[index]!)),
      ssh: file.listen.ssh.map((one) => ({ ...one, keepalives: resolveKeepalives(one.keepalives) })),
      ops: file.listen.ops,
    },
    limits: {
      unauthenticatedPerAddressMax: limits.unauthenticatedPerAddress,
      sessionsPerPersonMax: limits.sessionsPerPerson,
      unauthenticatedMax: limits.unauthenticated,
      handshakeMs: limits.handshake,
      webConnectionsPerAddressMax: limits.webConnectionsPerAddress,
      webConnectionsMax: limits.webConnections,
    },
    identity: {
      oidc: {
        ...oidcSettings(identity, references),
        policyClaims: claimsAskedFor([...rules.policies, ...rules.denials], identity.managerClaim),
      },
      ...(identity.oauth !== undefined && { oauth: identity.oauth }),
      sessionMs: identity.sessionFor,
      rememberMs: identity.rememberFor,
      signInMs: identity.signInFor,
      sameAddress: identity.sameAddress,
      refreshMs: identity.refreshEvery,
      tokenMsMax: identity.tokenFor,
    },
    staff: file.staff,
    machines: references.machines,
    access: {
      waitMs: access.waitFor,
      httpIdleMs: access.httpIdle,
      requestMs: access.requestFor,
      managerClaim: identity.managerClaim,
      warnBeforeMs: access.warnBefore,
    },
    notify: references.notify,
    geo: references.geoFile === undefined ? null : { file: references.geoFile },
    risk: file.risk,
    reports: { teams: file.reports.teams ?? null },
    recording: {
      unsavedBytesMax: recording.maxUnsaved,
      unsavedMsMax: recording.maxUnsavedFor,
      freeBytesMin: recording.minFree,
    },
    log: file.log,
    resources: references.resources.map((resource) => resource!),
    ...rules,
    bundles: file.bundles.map(bundleOf),
  }
}

function webListener(
  { address, port, keepalives }: ConfigFile['listen']['web'],
  { web, webCertificates }: References,
): WebListener {
  const certificates = webCertificates.map((identity) => identity!)
  return { address, port, tls: web!, certificates, keepalives: resolveKeepalives(keepalives) }
}

function postgresListener(
  listener: ConfigFile['listen']['postgres'][number],
  tls: TlsIdentity | null,
): PostgresListener {
  const { address, port, plaintext, proxyProtocol, keepalives } = listener
  return {
    ...{ address, port, tls, plaintext: plaintext === 'allow' },
    minTlsVersion: listener.tls?.minVersion ?? 'TLSv1.2',
    keepalives: resolveKeepalives(keepalives),
    balancers: proxyProtocol === undefined ? null : networksOf(proxyProtocol.from),
  }
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
