/** The first cookie of this name in a Cookie header; undefined when absent or longer than `charsMax`. */
export function readCookie(header: string | undefined, name: string, charsMax = 4096): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || trimmed(pair.slice(0, at)) !== name) continue
    const value = trimmed(pair.slice(at + 1))
    return value.length > charsMax ? undefined : value
  }
  return undefined
}

/** As browsers do (RFC 6265 section 5.2). `trim` takes more away, so a cookie of another name would pass for this one. */
function trimmed(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')
}

/** A Set-Cookie header: Secure, HttpOnly, SameSite=Lax (the provider's redirect back must carry it). `maxAgeS` 0 deletes. */
export function writeCookie(name: string, value: string, maxAgeS: number): string {
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(maxAgeS)}; Secure; HttpOnly; SameSite=Lax`
}
