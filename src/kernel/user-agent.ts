const browsers = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const
const systems = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Windows/, 'Windows'],
  [/Linux/, 'Linux'],
] as const

/** The words that people know their browser by, `Chrome on Linux`; the whole text is too long to compare. */
export function browserName(userAgent: string): string {
  return knownBrowser(userAgent) ?? 'A browser'
}

/** Browsers by the name that people know, everything else by its own words, such as `curl/8.14.1`: printable ASCII. */
export function programName(userAgent: string): string {
  return knownBrowser(userAgent) ?? userAgent.replaceAll(/[^ -~]/g, '')
}

/** A program that brings no `Mozilla/` in front does not pretend to be a browser (RFC 9110, section 10.1.5). */
function knownBrowser(userAgent: string): string | undefined {
  const name = nameIn(browsers, userAgent)
  if (name === undefined || !userAgent.startsWith('Mozilla/')) return undefined
  const system = nameIn(systems, userAgent)
  return system === undefined ? name : `${name} on ${system}`
}

function nameIn(known: readonly (readonly [pattern: RegExp, name: string])[], text: string): string | undefined {
  return known.find(([pattern]) => pattern.test(text))?.[1]
}
