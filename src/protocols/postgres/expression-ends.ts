/** Words at which an expression is over, wherever one may stand: in queries, definitions and function bodies. */
const words: ReadonlySet<string> = new Set([
  ...['and', 'or', 'where', 'from', 'returning', 'order', 'group', 'having', 'limit', 'offset', 'fetch', 'window'],
  ...['union', 'intersect', 'except', 'on', 'using', 'join', 'when', 'then', 'else', 'end', 'set', 'values', 'select'],
  ...['insert', 'update', 'delete', 'merge', 'with', 'as', 'do', 'loop', 'if', 'elsif', 'begin', 'declare', 'return'],
  ...['raise', 'perform', 'execute', 'exception', 'into', 'valid', 'connection'],
])
const charsMax = 10

export function endsExpression(word: string): boolean {
  return word.length <= charsMax && words.has(word)
}
