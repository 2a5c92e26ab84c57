// Goal: what an issuer says of where its keys are leads nowhere inside. Method: an issuer whose metadata lies, and a fetch that
// writes down where it was sent.
import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { MachineIssuers } from '../../src/identity/machine-issuers.ts'
import { systemClock } from '../../src/system.ts'

test.each(['http://127.0.0.1:9200/_search', 'http://localhost/keys', 'http://[::1]/keys', 'http://10.0.0.1/keys'])(
  'an issuer elsewhere cannot send the gateway to %s',
  async (place) => {
    const issuer = 'https://ci.example.com'
    const asked: string[] = []
    const fetch = (url: string) => {
      asked.push(String(url))
      return Promise.resolve(Response.json({ issuer, jwks_uri: place }))
    }
    const known = { name: 'ci', issuer, audience: 'gw', keys: null, algorithms: ['ES256'], ca: null }
    const issuers = new MachineIssuers([known], systemClock, () => fetch)
    const token = await new SignJWT({ iss: issuer, sub: 'x', aud: 'gw' })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new Uint8Array(32))
    await expect(issuers.verify(token)).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' })
    expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`])
  },
)
