/** The gateway's cookies live beside the application's; neither may see or set the other's. */

const ownName = /__(?:host|secure)-curfew/i

/** Whether a pair names one of the gateway's cookies, however it is spelled; one that only looks like it counts, too. */
export function isOwnCookie(pair: string): boolean {
  return ownName.test(pair)
}

/** @param header all cookies of a request, joined by `; `. @returns the application's own; empty when none are left. */
export function cleanCookies(header: string): string {
  if (!isOwnCookie(header)) return header
  // Browsers know no quotes here: a semicolon always ends a cookie.
  const kept = header.split(';').filter((pair) => !isOwnCookie(pair))
  return kept.join(';').trim()
}

/** A Set-Cookie without its `Domain`: the cookie then stays with the host that set it (RFC 6265 section 5.3). */
export function withoutDomain(setCookie: string): string {
  if (!/domain/i.test(setCookie)) return setCookie
  const [pair, ...attributes] = setCookie.split(';')
  const kept = attributes.filter((attribute) => attribute.split('=', 1)[0]!.trim().toLowerCase() !== 'domain')
  return [pair, ...kept].join(';')
}
