import * as z from 'zod'
import { differenceKinds } from '../access/reports/differences.ts'
import { daysMost, daysUsual, reportNames, reportShapes, type CellKind } from '../access/reports/shapes.ts'

// Reports and the dry run, as the API gives and takes them. Lengths are milliseconds, shares are from 0 to 1.

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })

const cells = {
  text: z.string().nullable(),
  texts: z.array(z.string()),
  moment: instant.nullable(),
  length: z.number().nullable(),
  count: z.int().nullable(),
  bytes: z.int(),
  share: z.number().nullable(),
  flag: z.boolean(),
} as const satisfies Record<CellKind, z.ZodType>

const column = z.object({
  /** The key in each row. */
  key: z.string(),
  head: z.string().meta({ description: 'For people' }),
  kind: z.enum(Object.keys(cells) as [CellKind, ...CellKind[]]),
})

const about = {
  title: z.string(),
  says: z.string().meta({ description: 'What it says, in one sentence' }),
}
const head = {
  ...about,
  days: z.int().nullable().meta({ description: 'How far it looks back; null: it is about now' }),
  madeAt: instant,
  isCut: z.boolean().meta({ description: 'Whether there was more than is shown, or looked at' }),
  columns: z.array(column),
}

/** What there is. */
export const reportList = z.object({
  reports: z.array(z.object({ name: z.string(), ...about, isOverTime: z.boolean() })),
})

const [firstReport, ...otherReports] = reportNames.map((name) =>
  z.object({
    name: z.literal(name),
    ...head,
    rows: z.array(z.object(Object.fromEntries(reportShapes[name].columns.map(({ key, kind }) => [key, cells[kind]])))),
  }),
)
/** One report, with the rows that are its own. */
export const report = z.discriminatedUnion('name', [firstReport!, ...otherReports])

const anyCell = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())])
/** The same for a program that shows whatever report a gateway has. */
export const anyReport = z.object({
  name: z.string(),
  ...head,
  columns: z.array(column.extend({ kind: z.string() })),
  rows: z.array(z.record(z.string(), anyCell)),
})

const days = z.coerce.number().int().min(1).max(daysMost)
export const reportQuery = z.object({
  days: days.default(daysUsual).meta({ description: 'How far back it looks' }),
  format: z.enum(['json', 'csv']).default('json').meta({ description: '`csv`: RFC 4180, with a line of keys' }),
})

/** The parts of a configuration file that decide, as they are written there. */
export const dryRunWish = z.strictObject({
  days: z.int().min(1).max(daysMost).default(daysUsual),
  rules: z.looseObject({ policies: z.unknown(), resources: z.unknown() }).meta({
    description: '`policies` and `resources`, and where there are any `freezes`, `machines`, `geo` and `risk`',
  }),
})

const differenceKind = z.enum(differenceKinds as [(typeof differenceKinds)[number], ...typeof differenceKinds])
export const dryRun = z.object({
  days: z.int(),
  madeAt: instant,
  looked: z.object({ requests: z.int(), attempts: z.int(), grants: z.int() }),
  /** How often each kind was found; one request may differ in several ways. */
  counts: z.record(differenceKind, z.int()),
  differences: z.array(
    z.object({
      kinds: z.array(differenceKind),
      what: z.enum(['request', 'attempt', 'grant']),
      id: z.string().nullable(),
      person: z.string(),
      resource: z.string(),
      role: z.string(),
      at: instant,
      before: z.string(),
      after: z.string(),
    }),
  ),
  isCut: z.boolean(),
  /** Who could reach what after and not before, and the other way round. */
  reach: z.object({ gained: z.array(z.string()), lost: z.array(z.string()) }),
})
