import type { Finding } from './problems.ts'

/**
 * Why no path can fit a glob, as requests whose paths programs read in different ways are refused, and what is left is
 * normalised before a rule sees it. Such a rule would allow nothing, and what is worse, deny nothing. Undefined: one can.
 * @param glob begins with `/`.
 */
export function globFailure(glob: string): Pick<Finding, 'message' | 'expected' | 'hint'> | undefined {
  if (/[?#]/.test(glob)) {
    const hint = 'Patterns are about the path only: `*` stands for text within a segment, `**` for any segments.'
    return { expected: 'a pattern without ? and #', message: 'got one with them', hint }
  }
  if (canFit(glob)) return undefined
  const hint =
    'Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.'
  return { expected: 'a pattern that a path can have', message: 'got one that none has', hint }
}

function canFit(glob: string): boolean {
  const text = glob.isWellFormed() ? decoded(glob) : undefined
  if (text === undefined || /%(?:2f|5c)/i.test(glob)) return false
  // oxlint-disable-next-line no-control-regex
  return !/[\u0000-\u001f\u007f\\]|\/\/|\/\.\.?(?:\/|$)|\/\.{0,2};/.test(text)
}

/** Undefined when escapes are broken or not UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // A URIError is the answer.
    return undefined
  }
}
