/** The first cookie of this name in a Cookie header; undefined when absent or longer than `charsMax`. */
export function readCookie(header: string | undefined, name: string, charsMax = 4096): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== name) continue
    const value = pair.slice(at + 1).trim()
    return value.length > charsMax ? undefined : value
  }
  return undefined
}

/** A Set-Cookie header: Secure, HttpOnly, SameSite=Lax (the provider's redirect back must carry it). `maxAgeS` 0 deletes. */
export function writeCookie(name: string, value: string, maxAgeS: number): string {
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(maxAgeS)}; Secure; HttpOnly; SameSite=Lax`
}
