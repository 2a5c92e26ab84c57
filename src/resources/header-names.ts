/** Belong to one connection (RFC 9110 section 7.6.1), or to how a message is cut from it. */
const ofTheConnection = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['http2-settings', 'proxy-authenticate', 'proxy-authorization', 'expect', 'content-length'],
])

/** Usual names of who the person is, although they begin like those of where a request comes from. */
const forwardedPerson = /^x-forwarded-(?:user|email|groups|preferred-username)$/

/** As a server that joins `-` and `_` reads it (CGI, WSGI, PHP do). */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/**
 * Why a header may not carry a claim or a credential to a target, in one clause; undefined when it may.
 * @param name in any case; `X_Real_IP` counts as `X-Real-IP`.
 */
export function reservedHeader(name: string): string | undefined {
  const folded = foldHeaderName(name)
  if (ofTheConnection.has(folded)) return 'belongs to the connection'
  if (folded === 'host') return 'says which application is meant'
  if (/^(?:set-)?cookie2?$/.test(folded)) return 'belongs to the person and the application'
  if (folded.startsWith('curfew-')) return 'is the gateway’s own'
  if (folded.startsWith('sec-')) return 'is the browser’s own'
  const whence = /^(?:forwarded|via|x-real-ip|x-forwarded-.*)$/.test(folded) && !forwardedPerson.test(folded)
  return whence ? 'tells the target where a request comes from' : undefined
}

/** Whether the values of a header are secrets by its name: cookies, authorization, tokens, keys. They are never recorded. */
export function isSecretHeader(name: string): boolean {
  return /(?:^|-)(?:cookie2?|authorization|token|secret|password|api-?key|assertion)$/.test(foldHeaderName(name))
}
