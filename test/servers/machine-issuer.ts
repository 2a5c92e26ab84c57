/** Somebody who vouches for machines, as CI services and clusters do: metadata and keys over HTTP, and signed tokens. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'

export interface MachineIssuerServer extends AsyncDisposable {
  readonly issuer: string
  /** Which paths were asked for, in order. */
  readonly asked: readonly string[]
  /** Signed with the newest key. Claims that are undefined are left out. */
  sign(
    claims: Readonly<Record<string, unknown>>,
    more?: { readonly kid?: string; readonly typ?: string; readonly key?: CryptoKey },
  ): Promise<string>
  /** Makes a new key and publishes it, beside the others or alone. */
  rotate(keep?: 'beside' | 'alone'): Promise<void>
  /** What is published now. */
  readonly keys: readonly JWK[]
  /** From now on: 503 for everything. */
  fail(isFailing: boolean): void
  /** Instead of the true metadata. */
  metadata: object | undefined
}

export const gatewayAudience = 'https://gw.example.test'

export async function startMachineIssuer(): Promise<MachineIssuerServer> {
  const asked: string[] = []
  let keys: readonly JWK[] = []
  let signing: { readonly kid: string; readonly key: CryptoKey }
  let isFailing = false
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const body = bodies()[request.url ?? '']
    response.writeHead(isFailing ? 503 : body === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(isFailing ? '' : JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const bodies = (): Readonly<Record<string, object>> => ({
    '/.well-known/openid-configuration': self.metadata ?? { issuer, jwks_uri: `${issuer}/keys` },
    '/keys': { keys },
  })
  const self: MachineIssuerServer = {
    issuer,
    asked,
    metadata: undefined,
    get keys() {
      return keys
    },
    fail: (isSo) => void (isFailing = isSo),
    async rotate(keep = 'beside') {
      const pair = await generateKeyPair('RS256')
      const kid = `key-${Math.trunc(performance.now() * 1000)}`
      signing = { kid, key: pair.privateKey }
      const added = { ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256', use: 'sig' }
      keys = keep === 'alone' ? [added] : [...keys, added]
    },
    sign: (claims, { kid = signing.kid, typ = 'JWT', key = signing.key } = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const usual = { iss: issuer, aud: gatewayAudience, sub: 'repo:org/shop', iat: now, nbf: now, exp: now + 300 }
      return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'RS256', kid, typ }).sign(key)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  await self.rotate()
  return self
}
