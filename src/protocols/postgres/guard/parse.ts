/** A node of the parser's tree: fields by their names in PostgreSQL's sources (parsenodes.h). */
export type Node = Readonly<Record<string, unknown>>

/** The trees of the statements in a text, or why there are none. */
export type Parsed = { readonly statements: readonly Node[] } | { readonly error: string; readonly isSyntax: boolean }

/** Parses SQL as the server does. Never throws. */
export type Parse = (text: string) => Parsed

/**
 * Loads PostgreSQL's own parser, compiled to WebAssembly. The only file that knows the package.
 * @see https://github.com/constructive-io/libpg-query-node
 */
export async function loadParser(): Promise<Parse> {
  const { loadModule, parseSync, hasSqlDetails } = await import('libpg-query')
  await loadModule()
  return (text) => {
    if (text === '') return { statements: [] } // the package refuses it; the server takes it
    try {
      const { stmts = [] } = parseSync(text)
      return { statements: stmts.map(({ stmt }) => (stmt ?? {}) as Node) }
    } catch (error) {
      // Anything but the parser's own word is a text that it could not hold, such as too deep a nesting.
      const isSyntax = hasSqlDetails(error)
      return { error: isSyntax ? error.message : 'it is nested too deeply', isSyntax }
    }
  }
}
