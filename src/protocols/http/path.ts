import { Fault } from '../../kernel/fault.ts'

/** What a target's URL parser could make of a path. `query` keeps its question mark; it is never changed. */
export interface NormalPath {
  readonly path: string
  readonly query: string
}

/**
 * The one way to write a path, for roles whose rules look at it; what is judged is what the target gets. Percent-encoded
 * unreserved characters are decoded and other triplets written in upper case (RFC 3986 section 6.2.2), `.` and `..` are
 * resolved, and several slashes become one: some targets merge them, others do not, and a rule for `/admin/**` must hold for
 * `//admin/`, too. Reserved characters are never decoded, so `%252e` stays what it is for a target that decodes once.
 * @param pathAndQuery origin-form: begins with `/`; `*` is no path.
 * @throws Fault REQUEST_NOT_COVERED for a path that programs read in different ways: encoded slashes, backslashes or control
 * characters, broken or non-UTF-8 escapes (also overlong ones), `..;` and the like, raw characters that belong in no URL.
 */
export function normalisePath(pathAndQuery: string): NormalPath {
  const queryAt = pathAndQuery.indexOf('?')
  const path = queryAt < 0 ? pathAndQuery : pathAndQuery.slice(0, queryAt)
  const query = queryAt < 0 ? '' : pathAndQuery.slice(queryAt)
  if (isPlain(path)) return { path, query }
  if (!path.startsWith('/')) throw ambiguous('it does not begin with a slash')
  if (rawMisfit.test(path)) throw ambiguous('it holds a character that belongs in no URL')
  return { path: resolveDots(normaliseTriplets(path)), query }
}

/** Whether programs may read this path in different ways: `normalisePath` refuses it. */
export function isAmbiguous(pathAndQuery: string): boolean {
  try {
    normalisePath(pathAndQuery)
    return false
  } catch (error) {
    if (error instanceof Fault) return true
    throw error
  }
}

const rawMisfit = /[^\x21-\x7e]|[\\#]/
const plainPath = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_~!$&'()*+,=:@.-]*)+\/?$/

/** Most paths are normal already; this finds them in one pass. */
function isPlain(path: string): boolean {
  return path === '/' || plainPath.test(path)
}

function normaliseTriplets(path: string): string {
  if (!path.includes('%')) return path
  let result = ''
  let at = 0
  for (let percent = path.indexOf('%'); percent >= 0; percent = path.indexOf('%', at)) {
    const end = endOfTriplets(path, percent)
    result += path.slice(at, percent) + normaliseRun(path.slice(percent, end))
    at = end
  }
  return result + path.slice(at)
}

/** Triplets that stand side by side belong together: they may be one character's bytes. */
function endOfTriplets(path: string, from: number): number {
  let at = from
  while (path[at] === '%') at += 3
  return at
}

function normaliseRun(run: string): string {
  if (!/^(?:%[0-9A-Fa-f]{2})+$/.test(run)) throw ambiguous('a percent sign is not followed by two hexadecimal digits')
  const upper = run.toUpperCase()
  if (/%(?:2F|5C)/.test(upper)) throw ambiguous('it holds an encoded slash or backslash')
  if (/%(?:[01][0-9A-F]|7F)/.test(upper)) throw ambiguous('it holds an encoded control character')
  if (!isUtf8(upper)) throw ambiguous('its escapes are not UTF-8')
  return upper.replaceAll(/%[0-9A-F]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : triplet
  })
}

function isUtf8(run: string): boolean {
  try {
    // Refuses overlong forms, surrogates and cut characters.
    decodeURIComponent(run)
    return true
  } catch {
    // A URIError is the answer.
    return false
  }
}

/** RFC 3986 section 5.2.4, after slashes were merged. */
function resolveDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  const last = segments.length - 1
  let endsInSlash = false
  for (const [index, segment] of segments.entries()) {
    endsInSlash = segment === '' || segment === '.' || segment === '..'
    if (segment === '' || segment === '.') continue
    if (segment === '..') kept.pop()
    else kept.push(checkedSegment(segment))
    if (index === last) break
  }
  return kept.length === 0 ? '/' : `/${kept.join('/')}${endsInSlash ? '/' : ''}`
}

/** Some targets cut `;params` off before they look for dots, others after. */
function checkedSegment(segment: string): string {
  if (/^\.{0,2}(?:;|%3B)/.test(segment)) throw ambiguous('parameters stand behind an empty or dot segment')
  return segment
}

function ambiguous(why: string): Fault {
  return new Fault('REQUEST_NOT_COVERED', `The path can be read in more than one way: ${why}.`, {
    hint: 'Your role allows some paths only, so the path must be written plainly.',
  })
}
