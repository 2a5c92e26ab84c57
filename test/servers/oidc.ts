import { startOidcProvider } from '../../scripts/demo/oidc-provider.ts'
import type { OidcPerson, OidcProvider } from '../../scripts/demo/oidc-provider.ts'
import { identityPaths } from '../../src/identity/paths.ts'

export { startOidcProvider }
export type { OidcPerson, OidcProvider }

/** One person for each kind of work. */
export const people: readonly OidcPerson[] = [
  { subject: 'erin', email: 'erin@example.test', name: 'Erin Engineer', groups: ['engineering'] },
  { subject: 'ada', email: 'ada@example.test', name: 'Ada Approver', groups: ['engineering', 'approvers'] },
  { subject: 'sam', email: 'sam@example.test', name: 'Sam Security', groups: ['security'] },
  { subject: 'olga', email: 'olga@example.test', name: 'Olga Operator', groups: ['operations'] },
]

export const client = { clientId: 'curfew', clientSecret: 'a-secret-for-tests-only' } as const

/** A provider that knows the gateway at `publicUrl` and `people`. */
export function startProviderFor(
  publicUrl: URL,
  more: { port?: number; backChannelCa?: string; people?: readonly OidcPerson[] } = {},
): Promise<OidcProvider> {
  return startOidcProvider({
    people,
    ...more,
    clients: [
      {
        ...client,
        redirectUris: [new URL(identityPaths.callback, publicUrl).href],
        postLogoutRedirectUris: [new URL(identityPaths.signedOut, publicUrl).href],
        backChannelLogoutUri: new URL(identityPaths.backChannelLogout, publicUrl).href,
      },
    ],
  })
}

/** A browser as far as sign-in needs one: keeps cookies per origin and follows redirects. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>()

  async get(url: URL): Promise<Response> {
    return this.#fetch(url, {})
  }

  async post(url: URL, form: Readonly<Record<string, string>>): Promise<Response> {
    return this.#fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  }

  /**
   * Signs in at the provider's own pages.
   * @returns the address (with code and state) that the provider sends the browser back to.
   */
  async signIn(authorization: URL, login: string, password = ''): Promise<URL> {
    let at = authorization
    for (let hops = 0; hops < 12; hops++) {
      const page = await this.get(at)
      const answer = page.status === 200 ? await this.post(at, { login, password }) : page
      const location = answer.headers.get('location')
      if (location === null)
        throw new Error(`the provider stopped at ${at.href} with ${answer.status}: ${await answer.text()}`)
      at = new URL(location, at)
      if (at.origin !== authorization.origin) return at
    }
    throw new Error('the provider redirects for ever')
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    const jar = this.#jars.get(url.origin) ?? new Map<string, string>()
    this.#jars.set(url.origin, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const cut = pair.indexOf('=')
      jar.set(pair.slice(0, cut), pair.slice(cut + 1))
    }
    return response
  }
}
