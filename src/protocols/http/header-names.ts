/** Headers by what becomes of them. Names are lower-case. */

/** RFC 9110 section 7.6.1 and older custom. */
export const hopByHop: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
  ...['proxy-authentication-info', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings'],
])

/** As targets read names that pass them on as environment variables: everything but letters and digits becomes the same. */
export function canonicalName(lower: string): string {
  return isPlain(lower) ? lower : lower.replaceAll(/[^a-z0-9-]/g, '-')
}

function isPlain(lower: string): boolean {
  for (let index = 0; index < lower.length; index++) {
    const code = lower.charCodeAt(index)
    if ((code < 0x61 || code > 0x7a) && code !== 0x2d && (code < 0x30 || code > 0x39)) return false
  }
  return true
}

/** Of the hop, of the body's length, or a gateway's word about the client; `te`, `via`, `cookie`, `authorization` are looked at. */
const dropped: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings', 'expect'],
  ...[
    'content-length',
    'host',
    'proxy',
    'forwarded',
    'x-forwarded',
    'x-real-ip',
    'x-rewrite-url',
    'x-host',
    'x-scheme',
  ],
  ...[
    'true-client-ip',
    'client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'fastly-client-ip',
    'x-remote-ip',
    'x-remote-addr',
  ],
  ...['x-url-scheme', 'front-end-https', 'x-proxyuser-ip', 'x-http-host-override', 'x-http-destinationurl'],
  ...[
    'client-cert',
    'client-cert-chain',
    'x-arr-clientcert',
    'x-arr-ssl',
    'remote-user',
    'remote-name',
    'remote-email',
  ],
  ...['remote-groups', 'x-authenticated-user', 'x-ssl', 'x-tls', 'ssl', 'x-envoy-original-path'],
  ...['x-envoy-external-address', 'x-appengine-user-ip', 'x-azure-clientip', 'x-azure-socketip'],
  ...['fly-client-ip', 'do-connecting-ip', 'x-nf-client-connection-ip'],
  // gunicorn and others take a part of the path from these, so that rules would judge another one than the application sees.
  ...['script-name', 'path-info', 'x-script-name', 'x-path-info', 'path-translated', 'request-uri', 'x-request-uri'],
  // Rack and nginx map files by them.
  ...['x-sendfile-type', 'x-accel-mapping', 'x-accel-redirect'],
])

/** By first letter, so that most names are compared with none. */
const droppedPrefixes: Readonly<Record<string, readonly string[]>> = {
  c: ['curfew-', 'cf-connecting-', 'cf-access-', 'client-cert-'],
  p: ['proxy-'],
  s: ['ssl-'],
  t: ['tailscale-user-'],
  x: [
    ...['x-forwarded-', 'x-original-', 'x-client-cert', 'x-client-verify', 'x-client-dn', 'x-client-subject'],
    ...['x-ssl-', 'x-tls-', 'x-curfew-', 'x-remote-user', 'x-remote-group', 'x-webauth-', 'x-auth-request-'],
    ...['x-authenticated-', 'x-pomerium-', 'x-goog-iap-', 'x-goog-authenticated-user-', 'x-amzn-oidc-'],
    ...['x-ms-client-principal', 'x-authentik-', 'x-real-'],
  ],
}

/** @param name canonical */
export function dropsTowardsTarget(name: string): boolean {
  return dropped.has(name) || beginsLikeDropped(name)
}

function beginsLikeDropped(name: string): boolean {
  const prefixes = droppedPrefixes[name[0]!]
  if (prefixes === undefined) return false
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true
  return false
}

/** Ask some targets for another method or path than the ones that rules judged; `Destination` is of COPY and MOVE (RFC 4918). */
export const overrides: ReadonlySet<string> = new Set([
  ...['x-http-method-override', 'x-http-method', 'x-method-override'],
  ...['x-http-path-override', 'x-override-url', 'destination'],
])

const neverTrailers: ReadonlySet<string> = new Set([
  ...[
    'te',
    'via',
    'cookie',
    'set-cookie',
    'authorization',
    'www-authenticate',
    'age',
    'cache-control',
    'expires',
    'date',
  ],
  ...['location', 'retry-after', 'vary', 'warning', 'range', 'max-forwards', 'pragma', 'origin', 'referer', 'alt-svc'],
  ...['strict-transport-security', 'clear-site-data', 'refresh', 'link'],
])

/** @param name canonical */
export function forbiddenTrailer(name: string): boolean {
  return neverTrailers.has(name) || /^(?:content-|if-|access-control-|sec-)/.test(name)
}
