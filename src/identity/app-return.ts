const charsMax = 2000

/**
 * Where somebody goes on to at an application's host: a path of that host, or `/` for everything else. Paths below
 * `/.curfew/` are the gateway's own.
 * @param host with its port if that is unusual.
 */
export function appReturnTo(wanted: string, host: string): string {
  if (!/^\/(?![/\\])[!-~]*$/.test(wanted) || wanted.includes('\\')) return '/'
  // As browsers do: `/a/../.curfew/` and `/./.curfew/` lead to the gateway's paths, too.
  const url = URL.parse(wanted, `https://${host}`)
  if (url === null || url.host !== host || url.pathname.startsWith('//') || isOurs(url.pathname)) return '/'
  const path = `${url.pathname}${url.search}`
  return path.length > charsMax ? '/' : path
}

function isOurs(pathname: string): boolean {
  return /^\/+\.curfew(?:\/|$)/i.test(
    pathname.replaceAll(/%([2-7][\da-f])/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
  )
}
