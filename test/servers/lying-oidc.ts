import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import * as jose from 'jose'

type Claims = Record<string, unknown>

/** What the provider says falsely. Everything absent is true. */
export interface Lies {
  /** Over the claims of the ID token; undefined removes one. */
  claims?: Claims
  /** Over the claims of the logout token. */
  logout?: Claims
  header?: Record<string, unknown>
  /** `stranger` signs with a key that is not published, under the published key id. */
  signature?: 'stranger' | 'none' | 'payload changed' | 'client secret' | 'public key'
  /** Over the claims of the access token. */
  access?: Claims
  /** Publishes a new key and signs with it. */
  rotate?: boolean
  userInfo?: Claims
  /** Accepts the request and never answers. */
  hang?: '/token' | '/jwks' | '/userinfo' | '/.well-known/openid-configuration'
  fail?: { readonly path: string; readonly status: number; readonly body: string }
}

export interface LyingProvider extends AsyncDisposable {
  readonly issuer: URL
  lies: Lies
  /** How often each path was asked for. */
  readonly asked: ReadonlyMap<string, number>
  /** The browser's visit to `authorization`: where it is sent back to. */
  answer(authorization: URL): URL
  logoutToken(): Promise<string>
  /** One that `curfew-psql` got for `https://gw.example.test`. */
  accessToken(): Promise<string>
}

interface Key {
  readonly kid: string
  readonly pair: jose.GenerateKeyPairResult
}

/**
 * An OpenID provider by hand, small enough to lie about every single thing. The client is `curfew`.
 * @param ending of its name: some are called `https://login.example.com/`.
 */
export async function startLyingProvider(clientSecret: string, ending: '' | '/' = ''): Promise<LyingProvider> {
  let key = await newKey()
  const stranger = await newKey()
  const nonces = new Map<string, string>()
  const asked = new Map<string, number>()
  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${origin}${ending}`
  const self: LyingProvider = {
    issuer: new URL(issuer),
    lies: {},
    asked,
    answer(authorization) {
      const { redirect_uri = '', state = '', nonce = '' } = Object.fromEntries(authorization.searchParams)
      const code = crypto.randomUUID()
      nonces.set(code, nonce)
      return new URL(`${redirect_uri}?${new URLSearchParams({ code, state, iss: issuer }).toString()}`)
    },
    logoutToken: () =>
      sign({ ...logoutClaims(issuer), ...self.lies.logout }, { typ: 'logout+jwt', ...self.lies.header }),
    accessToken: () => sign({ ...accessClaims(issuer), ...self.lies.access }, { typ: 'at+jwt', ...self.lies.header }),
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return self

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', origin)
    asked.set(pathname, (asked.get(pathname) ?? 0) + 1)
    if (self.lies.hang === pathname) return
    if (self.lies.fail?.path === pathname) {
      response.writeHead(self.lies.fail.status, { 'content-type': 'application/json' }).end(self.lies.fail.body)
      return
    }
    const body = await answerTo(pathname, request)
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? {}))
  }

  async function answerTo(pathname: string, request: IncomingMessage): Promise<unknown> {
    if (pathname === '/.well-known/openid-configuration') return metadata(issuer, origin)
    if (pathname === '/jwks')
      return { keys: [{ ...(await jose.exportJWK(key.pair.publicKey)), kid: key.kid, alg: 'RS256' }] }
    if (pathname === '/userinfo')
      return { sub: 'erin', email: 'erin@example.test', groups: ['engineering'], ...self.lies.userInfo }
    if (pathname !== '/token') return undefined
    const form = new URLSearchParams(await text(request))
    if (self.lies.rotate === true) key = await newKey()
    const claims = { ...idClaims(issuer, nonces.get(form.get('code') ?? '')), ...self.lies.claims }
    const idToken = await sign(claims, { ...self.lies.header })
    return { access_token: 'an-access-token', token_type: 'Bearer', expires_in: 300, id_token: idToken }
  }

  async function sign(claims: Claims, header: Record<string, unknown>): Promise<string> {
    const { signature } = self.lies
    const payload = JSON.parse(JSON.stringify(claims)) as jose.JWTPayload
    if (signature === 'none') return new jose.UnsecuredJWT(payload).encode()
    if (signature === 'client secret') {
      return new jose.SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(clientSecret))
    }
    if (signature === 'public key') {
      const known = Buffer.from(await jose.exportSPKI(key.pair.publicKey))
      return new jose.SignJWT(payload).setProtectedHeader({ alg: 'HS256', kid: key.kid, ...header }).sign(known)
    }
    const signer = signature === 'stranger' ? stranger : key
    const jwt = new jose.SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header })
    const [head, , tail] = (await jwt.sign(signer.pair.privateKey)).split('.')
    if (signature !== 'payload changed') return jwt.sign(signer.pair.privateKey)
    const changed = Buffer.from(JSON.stringify({ ...payload, groups: ['security'] })).toString('base64url')
    return `${head}.${changed}.${tail}`
  }
}

async function newKey(): Promise<Key> {
  return { kid: crypto.randomUUID(), pair: await jose.generateKeyPair('RS256') }
}

function idClaims(issuer: string, nonce: string | undefined): Claims {
  const now = Math.floor(Date.now() / 1000)
  const who = {
    sub: 'erin',
    email: 'erin@example.test',
    name: 'Erin Engineer',
    groups: ['engineering'],
    sid: 'provider-1',
  }
  return { iss: issuer, aud: 'curfew', iat: now, exp: now + 300, nonce, ...who }
}

function accessClaims(issuer: string): Claims {
  const now = Math.floor(Date.now() / 1000)
  const what = { aud: 'https://gw.example.test', client_id: 'curfew-psql', scope: 'openid sessions' }
  const who = { sub: 'erin', email: 'erin@example.test', groups: ['engineering'] }
  return { iss: issuer, iat: now, exp: now + 300, jti: crypto.randomUUID(), ...what, ...who }
}

function logoutClaims(issuer: string): Claims {
  const now = Math.floor(Date.now() / 1000)
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  return {
    iss: issuer,
    aud: 'curfew',
    iat: now,
    exp: now + 120,
    jti: crypto.randomUUID(),
    events,
    sub: 'erin',
    sid: 'provider-1',
  }
}

function metadata(issuer: string, origin: string): Claims {
  return {
    issuer,
    authorization_endpoint: `${origin}/auth`,
    token_endpoint: `${origin}/token`,
    userinfo_endpoint: `${origin}/userinfo`,
    jwks_uri: `${origin}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  }
}
