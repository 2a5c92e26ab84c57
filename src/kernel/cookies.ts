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

const keptMax = 20
/** A third of what the head of a request may hold. */
const keptCharsMax = 10 * 1024

/**
 * Cookies of what was begun and left, such as the sign-ins of other tabs: each comes with every request, so that only the
 * newest may stay: as many as the tabs of a browser that begins anew, as long as they are short.
 * @param header the Cookie header; browsers send the oldest first (RFC 6265 section 5.4).
 * @returns the names of those to delete.
 */
export function staleCookies(header: string | undefined, prefix: string): readonly string[] {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim())
  const begun = pairs.filter((pair) => /^[\w-]+=/.test(pair) && pair.startsWith(prefix))
  let chars = 0
  const isKept = (pair: string, age: number) => age < keptMax && (chars += pair.length) <= keptCharsMax
  const kept = new Set(begun.toReversed().filter(isKept))
  return begun.filter((pair) => !kept.has(pair)).map((pair) => pair.slice(0, pair.indexOf('=')))
}

/** A Set-Cookie header: Secure, HttpOnly, SameSite=Lax (the provider's redirect back must carry it). `maxAgeS` 0 deletes. */
export function writeCookie(name: string, value: string, maxAgeS: number): string {
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(maxAgeS)}; Secure; HttpOnly; SameSite=Lax`
}
