/** Texts in which `*` stands for any characters, also none. Cannot hang: the parts between the stars are looked for in turn. */
export function globPattern(pattern: string): { test(text: string): boolean } {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  return { test: (text) => (last === undefined ? text === first : hasInTurn(text, first, rest, last)) }
}

function hasInTurn(text: string, first: string, between: readonly string[], last: string): boolean {
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const part of between) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}
