import { generateKeyPair as generateKeyPairCallback, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Provider } from 'oidc-provider'
import type { InteractionDetails, ProviderContext } from 'oidc-provider'
import { Agent, fetch as undiciFetch } from 'undici'
import { askOften, deviceFeatures, deviceMetadata, type OidcDeviceClient } from './oidc-devices.ts'
import { ProviderMemory } from './oidc-memory.ts'
import { messagePage, pagePolicy, signInPage, signOutPage } from './oidc-pages.ts'

const generateKeyPair = promisify(generateKeyPairCallback)
const FORM_BYTES_MAX = 8192
const HOUR_S = 3600

export interface OidcPerson {
  /** The `sub` claim, and the short name to sign in with. */
  readonly subject: string
  readonly email: string
  readonly name: string
  readonly groups: readonly string[]
  /** Without one, a click signs in. */
  readonly password?: string
}

export interface OidcClient {
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris: readonly string[]
  readonly backChannelLogoutUri?: string
}

export interface OidcProviderOptions {
  /** 0 or absent: the system chooses. */
  readonly port?: number
  readonly clients: readonly OidcClient[]
  readonly people: readonly OidcPerson[]
  /** Keeps the signing key in this folder, so that a restart does not void what was signed; absent: a fresh key each start. */
  readonly keyFolder?: string
  /** PEM of the authority behind the gateway's own certificate, for back-channel logout. */
  readonly backChannelCa?: string
  readonly accessTokenSeconds?: number
  readonly device?: OidcDeviceClient
}

export interface OidcProvider extends AsyncDisposable {
  readonly issuer: URL
  readonly port: number
  /** The account is gone: no sign-in, no refresh. Says nothing to the clients, as most directories do. */
  disable(subject: string): void
  enable(subject: string): void
  setGroups(subject: string, groups: readonly string[]): void
  /** An administrator's "sign out everywhere": back-channel logout to every client, then forgets the person's sessions and tokens. */
  signOutEverywhere(subject: string): Promise<void>
}

interface Account extends OidcPerson {
  disabled: boolean
  groups: readonly string[]
}

/**
 * Starts a certified OpenID provider on 127.0.0.1, over plain http, for the demo and for tests; never for anything else.
 * Consent is given by itself, as for a company's own application.
 * @throws Error EADDRINUSE when `port` is taken.
 */
export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const accounts = new Map<string, Account>(options.people.map((one) => [one.subject, { ...one, disabled: false }]))
  const key = await signingKey(options.keyFolder)
  const server = createServer()
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  const memory = new ProviderMemory()
  const agent = new Agent(options.backChannelCa === undefined ? {} : { connect: { ca: options.backChannelCa } })
  const provider = new Provider(issuer, configuration(options, accounts, memory, key, agent))
  if (options.device !== undefined) provider.use(askOften)
  server.on('request', requestListener(provider, accounts))
  return {
    issuer: new URL(issuer),
    port,
    disable: (subject) => void (account(accounts, subject).disabled = true),
    enable: (subject) => void (account(accounts, subject).disabled = false),
    setGroups: (subject, groups) => void (account(accounts, subject).groups = groups),
    signOutEverywhere: (subject) => signOutEverywhere(provider, memory, subject),
    async [Symbol.asyncDispose]() {
      await closeServer(server)
      await agent.close()
    },
  }
}

function configuration(
  options: OidcProviderOptions,
  accounts: ReadonlyMap<string, Account>,
  memory: ProviderMemory,
  key: object,
  agent: Agent,
): Readonly<Record<string, unknown>> {
  return {
    adapter: (model: string) => memory.adapter(model),
    clients: [...options.clients.map(clientMetadata), ...(options.device ? [deviceMetadata(options.device)] : [])],
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    // The ID token itself carries the claims, as with most companies' providers.
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, subject: string) => libraryAccount(accounts.get(subject)),
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: showSignOut, postLogoutSuccessSource: showSignedOut },
      ...deviceFeatures(options.device, options.accessTokenSeconds ?? HOUR_S, show),
    },
    // Access tokens that are JWTs say what ID tokens say, as with most companies' providers.
    extraTokenClaims: (_context: unknown, { accountId }: { readonly accountId?: string }) => {
      const { groups, email, name } = accounts.get(accountId ?? '') ?? {}
      return { groups, email, name }
    },
    rotateRefreshToken: true,
    ttl: lifetimes(options.accessTokenSeconds ?? HOUR_S),
    renderError: (context: ProviderContext, out: { error: string; error_description?: string }) =>
      show(context, messagePage('That did not work', `${out.error}: ${out.error_description ?? 'no description'}`)),
    // The library's own dispatcher refuses loopback addresses, and here everything is on loopback.
    fetch: (url: string, { dispatcher: _refusing, ...request }: Record<string, unknown> = {}) =>
      undiciFetch(url, { ...request, headers: [...(request['headers'] as Headers)], dispatcher: agent }),
  }
}

function clientMetadata(client: OidcClient): Readonly<Record<string, unknown>> {
  return {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    ...(client.backChannelLogoutUri !== undefined && {
      backchannel_logout_uri: client.backChannelLogoutUri,
      backchannel_logout_session_required: true,
    }),
  }
}

function lifetimes(accessTokenSeconds: number): Readonly<Record<string, number>> {
  return {
    AccessToken: accessTokenSeconds,
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: 14 * 24 * HOUR_S,
    IdToken: HOUR_S,
    Interaction: HOUR_S,
    RefreshToken: 14 * 24 * HOUR_S,
    Session: 14 * 24 * HOUR_S,
  }
}

function libraryAccount(found: Account | undefined): object | undefined {
  if (found === undefined || found.disabled) return undefined
  const { subject, email, name, groups } = found
  return { accountId: subject, claims: async () => ({ sub: subject, email, email_verified: true, name, groups }) }
}

function requestListener(provider: Provider, accounts: ReadonlyMap<string, Account>): RequestListener {
  const answer = provider.callback()
  return (request, response) => {
    if (!request.url?.startsWith('/interaction/')) {
      request.url = withConsent(request.url ?? '/')
      answer(request, response)
      return
    }
    interact(provider, accounts, request, response).catch((error: unknown) => {
      // An old tab: its interaction is over. Nothing else is foreseen here, so the text helps.
      send(response, 400, messagePage('That did not work', error instanceof Error ? error.message : String(error)))
    })
  }
}

/** OpenID Connect Core section 11 ties offline_access to prompt=consent; a first-party client need not say so here. */
function withConsent(path: string): string {
  const url = new URL(path, 'http://provider')
  const offline = url.searchParams.get('scope')?.split(' ').includes('offline_access') ?? false
  if (url.pathname !== '/auth' || !offline || url.searchParams.has('prompt')) return path
  url.searchParams.set('prompt', 'consent')
  return `${url.pathname}${url.search}`
}

async function interact(
  provider: Provider,
  accounts: ReadonlyMap<string, Account>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const details = await provider.interactionDetails(request, response)
  const finish = (result: Readonly<Record<string, unknown>>, merge: boolean) =>
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission: merge })
  if (details.prompt.name === 'consent') {
    return finish({ consent: { grantId: await grantEverything(provider, details) } }, true)
  }
  const hint = details.params['login_hint']
  const hinted = typeof hint === 'string' ? hint : ''
  if (request.method !== 'POST') return send(response, 200, signInPage(pageAccounts(accounts), hinted, null))

  const form = await readForm(request)
  if (form.has('cancel'))
    return finish({ error: 'access_denied', error_description: 'The sign-in was cancelled' }, false)
  const login = form.get('login') ?? ''
  const found = signedIn(accounts, login, form.get('password') ?? '')
  if (found !== undefined) return finish({ login: { accountId: found.subject } }, false)
  return send(response, 401, signInPage(pageAccounts(accounts), login, 'No such person, or the password is wrong.'))
}

async function grantEverything(provider: Provider, { params, session, grantId, prompt }: InteractionDetails) {
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  const grant =
    known ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) })
  const missing = prompt.details['missingOIDCScope']
  grant.addOIDCScope(Array.isArray(missing) ? missing.join(' ') : 'openid')
  const resources = Object.entries((prompt.details['missingResourceScopes'] ?? {}) as Record<string, readonly string[]>)
  for (const [resource, scopes] of resources) grant.addResourceScope(resource, scopes.join(' '))
  return grant.save()
}

function signedIn(accounts: ReadonlyMap<string, Account>, login: string, password: string): Account | undefined {
  const wanted = login.trim().toLowerCase()
  const found = [...accounts.values()].find((one) => one.subject === wanted || one.email.toLowerCase() === wanted)
  if (found === undefined || found.disabled) return undefined
  return found.password === undefined || sameText(found.password, password) ? found : undefined
}

function sameText(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function pageAccounts(accounts: ReadonlyMap<string, Account>) {
  const present = [...accounts.values()].filter((one) => !one.disabled)
  return present.map((one) => ({ ...one, login: one.subject, needsPassword: one.password !== undefined }))
}

async function signOutEverywhere(provider: Provider, memory: ProviderMemory, subject: string): Promise<void> {
  const told = memory.sessionsOf(subject).flatMap((session) =>
    Object.entries(session.authorizations ?? {}).map(async ([clientId, { sid }]) => {
      const client = await provider.Client.find(clientId)
      if (client?.backchannelLogoutUri !== undefined) await client.backchannelLogout(subject, sid)
    }),
  )
  memory.forget(subject)
  await Promise.all(told)
}

function account(accounts: ReadonlyMap<string, Account>, subject: string): Account {
  const found = accounts.get(subject)
  if (found === undefined) throw new RangeError(`nobody here has the subject ${subject}`)
  return found
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > FORM_BYTES_MAX) throw new RangeError('the form is too large')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

function send(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': pagePolicy,
    'cache-control': 'no-store',
  })
  response.end(html)
}

function show(context: ProviderContext, html: string): void {
  context.set('content-security-policy', pagePolicy)
  context.type = 'html'
  context.body = html
}

function showSignOut(context: ProviderContext, form: string): void {
  show(context, signOutPage(form))
}

function showSignedOut(context: ProviderContext): void {
  show(context, messagePage('Signed out', 'You can close this page.'))
}

/** A private RS256 key as JWK, from the folder if it is there already. */
async function signingKey(folder: string | undefined): Promise<object> {
  const file = folder === undefined ? undefined : join(folder, 'oidc-provider-key.json')
  if (folder !== undefined) await mkdir(folder, { recursive: true, mode: 0o700 })
  const kept = file === undefined ? undefined : await readFile(file, 'utf8').catch(absent)
  if (kept !== undefined) return JSON.parse(kept) as object

  const { privateKey } = await generateKeyPair('rsa', { modulusLength: 2048 })
  const kid = randomBytes(8).toString('hex')
  const jwk = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid }
  if (file !== undefined) {
    await writeFile(file, JSON.stringify(jwk), { mode: 0o600 })
    await chmod(file, 0o600)
  }
  return jwk
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
