import type { RuleSet } from '../access/reports/differences.ts'
import { reportNames, reportShapes, type ReportName } from '../access/reports/shapes.ts'
import { rulesOf } from '../config/load-rules.ts'
import { writePath } from '../config/problems.ts'
import { Fault } from '../kernel/fault.ts'
import { body, caller, checked, type Caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import { dryRunJson, reportCsv, reportJson } from './report-json.ts'
import type { Site } from './site.ts'

const { apiPath } = schema
/** Larger than a page's forms: a file with the policies of a large company. */
const rulesBytesMax = 512 * 1024

/** Reports and the dry run for programs and the CLI. Shapes: api-schema-reports.ts. */
export function reportApiRoutes(site: Site): void {
  const { reports } = site.deps
  site.open('GET', `${apiPath}/reports`, async (c) => {
    await reader(site, c)
    const all = reportNames.map((name) => {
      const { title, says, isOverTime } = reportShapes[name]
      return { name, title, says, isOverTime }
    })
    return c.json({ reports: all })
  })
  site.open('GET', `${apiPath}/reports/:name`, async (c) => {
    const known = await reader(site, c)
    const name = reportCalled(c.req.param('name'))
    const { days, format } = checked(schema.reportQuery, c.req.query())
    await noted(site, c, known, name, days)
    const report = await reports.read(known.person, name, days)
    return format === 'csv' ? csvAnswer(c, reportCsv(report)) : c.json(reportJson(report))
  })
  site.open('POST', `${apiPath}/policies/dry-run`, async (c) => {
    const known = await caller(site, c, 'reports:read', rulesBytesMax)
    if (!reports.mayDryRun(known.person)) throw new Fault('NOT_ALLOWED', 'Dry runs are for operators.')
    const { days, rules } = await body(c, schema.dryRunWish, rulesBytesMax)
    const after = ruleSetOf(rules)
    await noted(site, c, known, 'dry-run', days)
    return c.json(dryRunJson(await reports.dryRun(known.person, after, days)))
  })
}

async function reader(site: Site, c: WebContext): Promise<Caller> {
  const known = await caller(site, c, 'reports:read')
  if (!site.deps.reports.mayRead(known.person)) throw forStaff()
  return known
}

export function forStaff(): Fault {
  return new Fault('NOT_ALLOWED', 'Reports are for reviewers and operators.')
}

/** Reading a report is a fact in the audit log, once per token and half hour for each. */
function noted(site: Site, c: WebContext, known: Caller, report: string, days: number): Promise<void> {
  return site.auditor.noteCall(known, peerAddress(c), report, 'report.read', { report, days })
}

/** @throws Fault NOT_FOUND */
export function reportCalled(text: string | undefined): ReportName {
  const name = reportNames.find((one) => one === text)
  if (name !== undefined) return name
  throw new Fault('NOT_FOUND', 'There is no such report.', { hint: `There are: ${reportNames.join(', ')}.` })
}

export function csvAnswer(c: WebContext, text: string): Response {
  return c.body(text, 200, { 'Content-Type': 'text/csv; charset=utf-8; header=present' })
}

/** @param plain `policies`, `resources` and so on as in a configuration file. @throws Fault INPUT_INVALID */
export function ruleSetOf(plain: unknown): RuleSet {
  const { rules, findings } = rulesOf(plain)
  if (rules !== undefined) return rules
  const [first] = findings
  const place = first === undefined ? '' : `${writePath(first.path)}: `
  const expected = first?.expected === undefined ? '' : `expected ${first.expected}, `
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : ''
  throw new Fault(
    'INPUT_INVALID',
    `${place}${expected}${first?.message ?? 'these are no policies'}${more}`.slice(0, 1000),
    {
      hint: 'Correct the file; curfew config check FILE lists every problem.',
    },
  )
}
