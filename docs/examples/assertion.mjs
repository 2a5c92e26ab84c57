// An application that believes nobody but the gateway. Needs Node and jose.
//   CURFEW=https://gw.example.com RESOURCE=wiki node assertion.mjs
import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = process.env.CURFEW
const audience = process.env.RESOURCE
// Fetched when first needed, kept for ten minutes, and fetched again when a key that is not there has signed.
const keys = createRemoteJWKSet(new URL('/.well-known/curfew/identity-keys.json', issuer))

/** Who sends the request. Rejects when the gateway does not say so. */
async function personOf(request) {
  const assertion = request.headers['curfew-assertion'] ?? ''
  const { payload } = await jwtVerify(assertion, keys, {
    issuer,
    audience,
    algorithms: ['ES256'],
    requiredClaims: ['sub', 'role', 'exp'],
    clockTolerance: 10,
  })
  return payload
}

const server = createServer((request, response) => {
  personOf(request).then(
    ({ sub, email = sub, role }) => response.end(`${email} is ${role} here\n`),
    // The error's message says what was wrong: for your log, not for the answer.
    () => response.writeHead(401).end('come in through the gateway\n'),
  )
})
server.listen(process.env.LISTEN ?? 8080)
