/** Belong to one connection (RFC 9110 section 7.6.1), or to how a message is cut from it. */
const ofTheConnection =
  /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings|expect|content-length|proxy(?:-.*)?)$/

/** Usual names of who the person is, although they begin like those of where a request comes from. */
const forwardedPerson = /^x-forwarded-(?:user|email|groups|preferred-username)$/

/** As targets read a name that pass it on as an environment variable (CGI, WSGI, PHP): what is no letter or digit is the same. */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
}

/**
 * Why a header may not carry a claim or a credential to a target, in one clause; undefined when it may.
 * @param name in any case; `X_Real_IP` counts as `X-Real-IP`.
 */
export function reservedHeader(name: string): string | undefined {
  const folded = foldHeaderName(name)
  if (ofTheConnection.test(folded)) return 'belongs to the connection'
  if (folded === 'host') return 'says which application is meant'
  if (/^(?:set-)?cookie2?$/.test(folded)) return 'belongs to the person and the application'
  if (folded.startsWith('curfew-')) return 'is the gateway’s own'
  if (folded.startsWith('sec-')) return 'is the browser’s own'
  const whence = /^(?:forwarded|via|x-real-ip|x-forwarded-.*)$/.test(folded) && !forwardedPerson.test(folded)
  return whence ? 'tells the target where a request comes from' : undefined
}

const secret =
  /^(?:cookie2?|set-cookie2?|authorization|www-authenticate|authentication-info|proxy-.*)$|token|api-?key|secret|passw|assertion|credential|signature|session-?id|-jwt|csrf|xsrf/

/** Whether the values of a header can be secrets, by its name. They are never recorded. */
export function isSecretHeader(name: string): boolean {
  return secret.test(foldHeaderName(name))
}
