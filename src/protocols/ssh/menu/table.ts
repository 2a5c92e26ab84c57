import { asciiLine } from '../texts.ts'

/**
 * Columns side by side, each as wide as it must be; the last one is cut where the terminal ends.
 * @param widthMax columns of the terminal; null: there is none, nothing is cut.
 */
export function table(rows: readonly (readonly string[])[], widthMax: number | null): string {
  const cells = rows.map((row) => row.map(asciiLine))
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? []
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return lines.map((line) => `${cut(`  ${line}`.trimEnd(), widthMax)}\n`).join('')
}

function cut(line: string, widthMax: number | null): string {
  // The last column is left free: terminals differ in when they wrap.
  if (widthMax === null || line.length < widthMax) return line
  return widthMax < 8 ? line.slice(0, Math.max(1, widthMax - 1)) : `${line.slice(0, widthMax - 4)}...`
}
