/**
 * A name as SQL has it, whatever is in it.
 * @see PostgreSQL manual, "Identifiers and Key Words"
 */
export function identifier(name: string): string {
  return `"${name.replaceAll('\0', '').replaceAll('"', '""')}"`
}

/** A text as SQL has it. Backslashes mean themselves in this form, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quoted = text.replaceAll('\0', '').replaceAll("'", "''")
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
