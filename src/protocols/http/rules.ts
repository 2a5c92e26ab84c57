import { Fault } from '../../kernel/fault.ts'
import type { HttpRole, HttpRule } from '../../resources/catalogue.ts'
import { normalisePath } from './path.ts'

/** What of an application a role covers. */
export interface Rules {
  /** The role has no limits: paths go to the target as they came. */
  readonly all: boolean
  /**
   * @param method as it came; upper-case. An upgrade is the GET that it is.
   * @param path origin-form with its query; `*` is covered by roles without limits only.
   * @returns the path (and query) for the target to see, or a Fault REQUEST_NOT_COVERED.
   */
  judge(method: string, path: string): { readonly path: string } | Fault
}

/**
 * Reads a role's rules. A request must fit one of `allow` (if there are any) and none of `deny`. Globs are compared with
 * decoded segments, case-sensitively, in time that grows with the length of the path only: `*` stands for any characters
 * within a segment, also none, and a segment `**` for any number of segments, also none.
 *
 * A doubt counts against the request: `;parameters` of segments, which some targets cut off, must be covered with and
 * without; a `deny` also holds with or without a slash at the end. A target that ignores upper and lower case, or takes
 * the method from a form field, has more ways in than a `deny` can name: use `allow` there.
 * @throws Fault CONFIG_INVALID for a path that is not one.
 */
export function compileRules({ allow, deny }: Pick<HttpRole, 'allow' | 'deny'>): Rules {
  if (allow.length === 0 && deny.length === 0) return { all: true, judge: (_, path) => ({ path }) }
  const allowed = allow.map((rule) => compileRule(rule, false))
  const denied = deny.map((rule) => compileRule(rule, true))
  return {
    all: false,
    judge: (method, path) => {
      const normal = normalised(path)
      if (normal instanceof Fault) return normal
      const readings = readingsOf(normal.path)
      const isAllowed =
        allowed.length === 0 || readings.every((segments) => allowed.some((rule) => rule.fits(method, segments)))
      const isDenied = readings
        .flatMap((segments) => [segments, withoutEndSlash(segments)])
        .some((segments) => denied.some((rule) => rule.fits(method, segments)))
      return isAllowed && !isDenied ? { path: normal.path + normal.query } : notCovered(method, normal.path)
    },
  }
}

interface CompiledRule {
  fits(method: string, segments: readonly string[]): boolean
}

/** Of one segment: the texts between stars. */
type Pieces = readonly string[]
/** Segments between two `**`. */
type Run = readonly Pieces[]

function compileRule({ methods, paths }: HttpRule, isDeny: boolean): CompiledRule {
  const globs = paths.map((path) => compileGlob(path, isDeny))
  return {
    fits: (method, segments) =>
      coversMethod(methods, method) && (globs.length === 0 || globs.some((glob) => fitsPath(glob, segments))),
  }
}

/** HEAD asks for nothing that GET would not give. RFC 9110 section 9.3.2 */
function coversMethod(methods: readonly string[], method: string): boolean {
  return methods.length === 0 || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

function compileGlob(text: string, isDeny: boolean): readonly Run[] {
  const { path, query } = normalisedGlob(text)
  if (query !== '') throw new Fault('CONFIG_INVALID', `The rule "${text}" holds a query; rules are about paths.`)
  const segments = path.split('/').slice(1)
  const runs: Pieces[][] = [[]]
  for (const segment of isDeny ? withoutEndSlash(segments) : segments) {
    if (segment === '**') runs.push([])
    else runs.at(-1)!.push(segment.split(/\*+/).map(decodeURIComponent))
  }
  return runs
}

function normalisedGlob(text: string): ReturnType<typeof normalisePath> {
  try {
    // People write paths as they read them.
    return normalisePath(text.replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent))
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The rule "${text}" is not a path.`, { cause: error })
  }
}

function normalised(path: string): ReturnType<typeof normalisePath> | Fault {
  try {
    return normalisePath(path)
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** The decoded segments, as targets see them that keep `;parameters` and as those do that cut them off. */
function readingsOf(path: string): readonly (readonly string[])[] {
  const segments = path.slice(1).split('/')
  const decoded = path.includes('%') ? segments.map(decodeURIComponent) : segments
  if (!decoded.some((segment) => segment.includes(';'))) return [decoded]
  return [decoded, decoded.map((segment) => segment.split(';', 1)[0]!)]
}

function withoutEndSlash(segments: readonly string[]): readonly string[] {
  return segments.at(-1) === '' ? segments.slice(0, -1) : segments
}

/**
 * Runs of segments between `**` are looked for from the left, each where it fits first: what comes later then has the most
 * room, so nothing needs to be tried again.
 */
function fitsPath(runs: readonly Run[], segments: readonly string[]): boolean {
  const first = runs[0]!
  if (runs.length === 1) return first.length === segments.length && fitsRun(first, segments, 0)
  const last = runs.at(-1)!
  const end = segments.length - last.length
  if (first.length > end || !fitsRun(first, segments, 0) || !fitsRun(last, segments, end)) return false
  let at = first.length
  for (const run of runs.slice(1, -1)) {
    while (at + run.length <= end && !fitsRun(run, segments, at)) at++
    at += run.length
    if (at > end) return false
  }
  return true
}

function fitsRun(run: Run, segments: readonly string[], from: number): boolean {
  return run.every((pieces, index) => fitsSegment(pieces, segments[from + index]!))
}

/** The texts between stars, in the same manner. */
function fitsSegment(pieces: Pieces, segment: string): boolean {
  const first = pieces[0]!
  if (pieces.length === 1) return segment === first
  const last = pieces.at(-1)!
  const end = segment.length - last.length
  if (first.length > end || !segment.startsWith(first) || !segment.endsWith(last)) return false
  let at = first.length
  for (let index = 1; index < pieces.length - 1; index++) {
    const found = segment.indexOf(pieces[index]!, at)
    if (found < 0) return false
    at = found + pieces[index]!.length
  }
  return at <= end
}

function notCovered(method: string, path: string): Fault {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  return new Fault('REQUEST_NOT_COVERED', `Your role does not cover ${method} ${shown}.`)
}
