import { writeFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import type * as z from 'zod'
import { daysMost, daysUsual, reportNames } from '../access/reports/shapes.ts'
import { csvText } from '../kernel/csv.ts'
import { formatLasted } from '../kernel/durations.ts'
import { anyReport, reportList } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { asUsage } from './options.ts'
import { forPeople, note, print, printJson, printRaw, table } from './print.ts'
import { sizeInWords } from './recording-words.ts'
import { terminalJson, terminalLine } from './terminal-text.ts'

type Report = z.output<typeof anyReport>
type Column = Report['columns'][number]
type Cell = Report['rows'][number][string]

/** Reports read much. */
export const reportMsMax = 120_000

export const daysOption = asUsage((text) => {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (days < 1 || days > daysMost) throw new Error(`expected a number of days, 1 to ${daysMost}`)
  return days
})

interface ReportOptions {
  readonly days: number
  readonly json?: true
  readonly csv?: true
  readonly output?: string
}

export function addReport(program: Command): void {
  program
    .command('report')
    .summary('sum up who has access, and what happened (reviewers, operators)')
    .description(
      'Prints a report; without a name, what reports there are. For reviewers and operators; reading one is written in the audit log.',
    )
    .argument('[name]', `one of: ${reportNames.join(', ')}`)
    .option('--days <count>', 'how far back it looks', daysOption, daysUsual)
    .addOption(new Option('--json', 'print one JSON object').conflicts('csv'))
    .option('--csv', 'print comma-separated values (RFC 4180)')
    .option('-o, --output <file>', 'write it to a file')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew report\n  curfew report without-a-human\n  curfew report requests --days 90 --csv -o requests.csv\n',
    )
    .action(async (name: string | undefined, options: ReportOptions) =>
      name === undefined ? listReports(options) : showReport(name, options),
    )
}

async function listReports({ json }: ReportOptions): Promise<void> {
  const { client } = await openGateway()
  await using _ = client
  const { reports } = (await client.call('GET', '/reports', reportList)).value
  if (json) return reports.forEach(printJson)
  const rows = reports.map(({ name, says }) => [terminalLine(name), terminalLine(says)])
  print(table(['NAME', 'WHAT IT SAYS'], rows))
}

async function showReport(name: string, { days, json, csv, output }: ReportOptions): Promise<void> {
  const { client } = await openGateway()
  await using _ = client
  const path = `/reports/${encodeURIComponent(name)}?days=${days}`
  const report = (await client.call('GET', path, anyReport, undefined, reportMsMax)).value
  const text = json ? `${terminalJson(report)}\n` : csv ? csvOf(report) : `${tableOf(report)}\n`
  if (report.isCut) note('There is more than this report looks at. Look back fewer days to see all of it.')
  if (output === undefined) return await printRaw(text)
  await writeFile(output, text, { mode: 0o600 })
  note(`${report.rows.length} rows are in ${output}.`)
}

function csvOf({ columns, rows }: Report): string {
  const value = (cell: Cell | undefined) => (Array.isArray(cell) ? cell.join('; ') : (cell ?? null))
  return csvText(
    columns.map(({ key }) => key),
    rows.map((row) => columns.map(({ key }) => value(row[key]))),
  )
}

/** Without columns in which nothing stands. */
function tableOf({ says, rows, ...report }: Report): string {
  const columns = report.columns.filter(({ key }) => rows.some((row) => !isNothing(row[key])))
  if (columns.length === 0) return `${terminalLine(says)}\n\nThere is nothing to show.`
  const lines = rows.map((row) => columns.map((column) => terminalLine(words(column, row[column.key]))))
  const heads = columns.map(({ head }) => terminalLine(head).toUpperCase())
  return `${terminalLine(says)}\n\n${table(heads, lines)}`
}

function isNothing(cell: Cell | undefined): boolean {
  return cell === undefined || cell === null || cell === false || (Array.isArray(cell) && cell.length === 0)
}

/** A kind that this CLI does not know is shown as it comes. */
function words({ kind }: Column, cell: Cell | undefined): string {
  if (cell === undefined || cell === null) return kind === 'moment' ? 'never' : '-'
  if (Array.isArray(cell)) return cell.join('; ')
  if (kind === 'moment') return forPeople(String(cell))
  if (kind === 'length') return formatLasted(Number(cell))
  if (kind === 'bytes') return sizeInWords(Number(cell))
  if (kind === 'share') return `${Math.round(Number(cell) * 100)} %`
  if (kind === 'flag') return cell === true ? 'yes' : 'no'
  return String(cell)
}
