import type { Instant } from '../../kernel/time.ts'

/** What stands in a cell. `length` in milliseconds; `share` from 0 to 1; `texts`: several, or none. */
export type CellKind = 'text' | 'texts' | 'moment' | 'length' | 'count' | 'bytes' | 'share' | 'flag'
interface Cells {
  readonly text: string | null
  readonly texts: readonly string[]
  readonly moment: Instant | null
  readonly length: number | null
  readonly count: number | null
  readonly bytes: number
  readonly share: number | null
  readonly flag: boolean
}
export type Cell = Cells[CellKind]

export interface Column {
  /** As programs call it: in JSON, and on top of the column in CSV. */
  readonly key: string
  /** For people. */
  readonly head: string
  readonly kind: CellKind
  /** Worth its place on a phone. */
  readonly isFirst?: true
}

export interface Shape {
  readonly title: string
  /** What it says, in one sentence. */
  readonly says: string
  /** Whether it is about some days back from now; else about now. */
  readonly isOverTime: boolean
  readonly columns: readonly Column[]
}

const text = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'text' }) as const
const texts = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'texts' }) as const
const moment = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'moment' }) as const
const length = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'length' }) as const
const count = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'count' }) as const
const bytes = <Key extends string>(key: Key, head: string) => ({ key, head, kind: 'bytes' }) as const
const first = <One extends Column>(column: One) => ({ ...column, isFirst: true }) as const

/** Every report. Names and keys are for good: programs use them. */
export const reportShapes = {
  'without-a-human': {
    title: 'Access without a human',
    says: 'Whom the policies let in without anybody approving it: at once, or by breaking the glass.',
    isOverTime: false,
    columns: [
      first(text('who', 'Who')),
      first(text('resource', 'Resource')),
      first(text('role', 'Role')),
      text('takes', 'Takes'),
      length('lengthMostMs', 'At most for'),
      texts('onlyWhen', 'Only'),
      texts('unless', 'Unless denied by'),
      text('policy', 'By policy'),
      count('people', 'Known people'),
      { key: 'breakGlass', head: 'Break-glass', kind: 'flag' },
    ],
  },
  standing: {
    title: 'Standing and long access',
    says: 'Grants that live now and tokens that work for a week or more, the longest first, with their last use.',
    isOverTime: false,
    columns: [
      text('kind', 'What'),
      first(text('person', 'Who')),
      first(text('resource', 'Resource')),
      first(text('role', 'Role')),
      first(length('lengthMs', 'Lasts')),
      length('ageMs', 'Age'),
      moment('startsAt', 'Since'),
      moment('expiresAt', 'Until'),
      moment('lastUsedAt', 'Last use'),
      texts('approvedBy', 'Approved by'),
      text('policy', 'By policy'),
      text('about', 'About'),
      text('id', 'Id'),
    ],
  },
  unused: {
    title: 'Unused access',
    says: 'Roles without a session, policies that gave no grant, and grants that nobody used, in these days.',
    isOverTime: true,
    columns: [
      first(text('kind', 'What')),
      first(text('name', 'Name')),
      text('person', 'Who'),
      text('resource', 'Resource'),
      text('role', 'Role'),
      text('policy', 'By policy'),
      text('state', 'State'),
      moment('startsAt', 'Since'),
      first(moment('lastUsedAt', 'Last before')),
    ],
  },
  requests: {
    title: 'Requests and waiting times',
    says: 'What was asked for in these days, what came of it, and how long people waited for a decision.',
    isOverTime: true,
    columns: [
      first(text('by', 'By')),
      first(text('name', 'Name')),
      first(count('requests', 'Requests')),
      count('open', 'Open'),
      count('approved', 'Approved'),
      count('atOnce', 'At once'),
      count('refused', 'Refused'),
      count('calledOff', 'Called off'),
      count('lapsed', 'Lapsed'),
      { key: 'refusedShare', head: 'Refused of decided', kind: 'share' },
      first(length('waitHalfMs', 'Half waited up to')),
      length('waitMostMs', 'Nine of ten up to'),
      length('waitLongestMs', 'Longest wait'),
    ],
  },
  failed: {
    title: 'Failed attempts',
    says: 'Sign-ins, tokens, requests, decisions and sessions that were refused in these days, the latest first.',
    isOverTime: true,
    columns: [
      first(text('what', 'What')),
      first(text('person', 'Who')),
      text('address', 'From'),
      text('resource', 'Resource'),
      text('role', 'Role'),
      first(text('code', 'Why')),
      first(count('times', 'Times')),
      moment('lastAt', 'Last'),
      moment('firstAt', 'First'),
      text('message', 'What they read'),
    ],
  },
  use: {
    title: 'Use',
    says: 'Sessions that began in these days: how many, how long, and how many bytes, by person and role.',
    isOverTime: true,
    columns: [
      first(text('person', 'Who')),
      first(text('resource', 'Resource')),
      first(text('role', 'Role')),
      first(count('sessions', 'Sessions')),
      count('live', 'Live'),
      length('timeMs', 'Time'),
      bytes('bytesFromClient', 'Sent'),
      bytes('bytesFromTarget', 'Received'),
      moment('lastAt', 'Last'),
    ],
  },
} as const satisfies Readonly<Record<string, Shape>>

export type ReportName = keyof typeof reportShapes
export const reportNames: readonly ReportName[] = Object.keys(reportShapes) as ReportName[]

/** One row of a report, by the keys of its columns. */
export type RowOf<Name extends ReportName> = {
  readonly [One in (typeof reportShapes)[Name]['columns'][number] as One['key']]: Cells[One['kind']]
}

export const daysMost = 366
export const daysUsual = 30
/** A report has no more rows; whoever needs more narrows the time. */
export const rowsMost = 10_000

export interface Report<Name extends ReportName = ReportName> {
  readonly name: Name
  /** Null: it is about now. */
  readonly days: number | null
  readonly madeAt: Instant
  readonly rows: readonly RowOf<Name>[]
  /** Whether there was more than is shown, or looked at. */
  readonly isCut: boolean
}
