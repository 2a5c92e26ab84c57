const lengthMax = 2048

/**
 * Where to go on to after signing in, if that is a page of the gateway; `/` for everything else.
 * Browsers read `\` as `/` and drop tabs and newlines, so neither is let through.
 */
export function safeReturnTo(wanted: string, publicUrl: URL): string {
  if (wanted.length > lengthMax || !wanted.startsWith('/') || /[\\\p{Cc}]/u.test(wanted)) return '/'
  const url = URL.parse(wanted, publicUrl)
  // `/.//evil.example` is a path here, but would be a host to whoever resolves it twice.
  if (url === null || url.origin !== publicUrl.origin || url.pathname.startsWith('//')) return '/'
  return `${url.pathname}${url.search}${url.hash}`
}
