import type * as z from 'zod'
import type { DryRun } from '../access/reports/dry-run.ts'
import { reportShapes, type Cell, type Column, type Report } from '../access/reports/shapes.ts'
import { csvText } from '../kernel/csv.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { anyReport, dryRun } from './api-schema-reports.ts'

export function reportJson({ name, days, madeAt, isCut, rows }: Report): z.output<typeof anyReport> {
  const { title, says, columns } = reportShapes[name]
  return {
    ...{ name, title, says, days, madeAt: isoTime(madeAt), isCut },
    columns: columns.map(({ key, head, kind }) => ({ key, head, kind })),
    rows: rows.map((row) =>
      Object.fromEntries(columns.map((column) => [column.key, jsonCell(column, cellOf(row, column))])),
    ),
  }
}

export function reportCsv({ name, rows }: Report): string {
  const columns: readonly Column[] = reportShapes[name].columns
  return csvText(
    columns.map(({ key }) => key),
    rows.map((row) => columns.map((column) => csvCell(column, cellOf(row, column)))),
  )
}

/** Rows have what their columns say; the type of each is known where it is made. */
export function cellOf(row: Report['rows'][number], { key }: Column): Cell {
  return (row as Readonly<Record<string, Cell>>)[key]!
}

function jsonCell({ kind }: Column, cell: Cell): string | number | boolean | null | string[] {
  if (kind === 'moment') return cell === null ? null : isoTime(cell as Instant)
  return typeof cell === 'object' && cell !== null ? [...cell] : cell
}

function csvCell(column: Column, cell: Cell): string | number | boolean | null {
  const value = jsonCell(column, cell)
  return Array.isArray(value) ? value.join('; ') : value
}

export function dryRunJson({ madeAt, differences, reach, ...rest }: DryRun): z.output<typeof dryRun> {
  return {
    ...rest,
    madeAt: isoTime(madeAt),
    differences: differences.map(({ kinds, at, ...one }) => ({ ...one, kinds: [...kinds], at: isoTime(at) })),
    reach: { gained: [...reach.gained], lost: [...reach.lost] },
  }
}
