/**
 * One table as CSV: a line of names, then one line for each row, all ended by CRLF.
 * @param cells numbers and truth values as they are written in JSON; null is empty.
 * @see RFC 4180
 */
export function csvText(
  names: readonly string[],
  rows: Iterable<readonly (string | number | boolean | null)[]>,
): string {
  const lines = [names, ...rows].map((cells) => `${cells.map(csvCell).join(',')}\r\n`)
  return lines.join('')
}

function csvCell(cell: string | number | boolean | null): string {
  if (cell === null) return ''
  return typeof cell === 'string' ? quoted(harmless(cell)) : String(cell)
}

/** Spreadsheets take what begins so for a formula, also in full width or behind white space; an apostrophe makes it a text. */
function harmless(text: string): string {
  return /^[\s\p{Cc}\p{Cf}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u.test(text) ? `'${text}` : text
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
