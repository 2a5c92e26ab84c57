import type { ProviderContext } from 'oidc-provider'
import { deviceCodePage, deviceConfirmPage, messagePage } from './oidc-pages.ts'

/** A public client that gets access tokens by the device flow (RFC 8628), as psql 18 does. */
export interface OidcDeviceClient {
  readonly clientId: string
  /** `aud` of its access tokens, which are JWTs (RFC 9068). */
  readonly audience: string
  /** What may be asked for besides OpenID's own scopes. */
  readonly scopes: readonly string[]
}

type Show = (context: ProviderContext, html: string) => void

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

export function deviceMetadata({ clientId }: OidcDeviceClient): Readonly<Record<string, unknown>> {
  const none = { redirect_uris: [], response_types: [] }
  return { client_id: clientId, token_endpoint_auth_method: 'none', grant_types: [deviceGrant], ...none }
}

/** Nothing of it without such a client. */
export function deviceFeatures(
  device: OidcDeviceClient | undefined,
  tokenSeconds: number,
  show: Show,
): Readonly<Record<string, unknown>> {
  if (device === undefined) return {}
  return {
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (context: ProviderContext, form: string) => show(context, deviceCodePage(form)),
      userCodeConfirmSource: (context: ProviderContext, form: string, ...rest: [unknown, unknown, string]) =>
        show(context, deviceConfirmPage(form, rest[2])),
      successSource: (context: ProviderContext) => show(context, messagePage('Signed in', 'Go back to your program.')),
    },
    resourceIndicators: {
      enabled: true,
      // psql names no resource (RFC 8707): whatever this client asks for is for the gateway.
      defaultResource: (_context: unknown, client: { readonly clientId: string }) =>
        client.clientId === device.clientId ? device.audience : undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: device.scopes.join(' '),
        audience: device.audience,
        accessTokenTTL: tokenSeconds,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  }
}

/** A program that waits for its person may look each second instead of each fifth (RFC 8628 section 3.2, `interval`). */
export async function askOften(context: { body: unknown }, next: () => Promise<void>): Promise<void> {
  await next()
  const { body } = context
  if (typeof body === 'object' && body !== null && 'device_code' in body) context.body = { ...body, interval: 1 }
}
