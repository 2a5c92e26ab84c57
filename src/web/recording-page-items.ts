import { guardText } from '../recording/guard-words.ts'
import { type BoundValue, charsOf } from '../recording/postgres-events.ts'
import type { StatementItem, TimelineItem } from '../recording/postgres-timeline-items.ts'

/** What a reader of a long recording wants to see of it. */
export const itemViews = ['all', 'changes', 'errors', 'slowest'] as const
export type ItemView = (typeof itemViews)[number]

export interface Wanted {
  readonly view: ItemView
  /** Lower-case words to find; empty: everything. */
  readonly text: string
}

/** Items looked at for one page: a rare word must not keep a worker of the page busy for minutes. */
const lookedAtMax = 100_000
const slowestMax = 100
/** Texts and values that one page holds while it is made; it shows the beginning of each. */
const charsMax = 16 * 1024 * 1024

export interface ItemsPage {
  readonly items: readonly TimelineItem[]
  /** Seconds where the next page goes on; undefined at the end. */
  readonly next: number | undefined
}

/**
 * Collects one page.
 * @param items in order; those before `fromSeconds` are passed over (they may be needed to know prepared statements).
 */
export async function collectItems(
  items: AsyncIterable<TimelineItem>,
  wanted: Wanted,
  { fromSeconds, itemsMax }: { readonly fromSeconds: number; readonly itemsMax: number },
): Promise<ItemsPage> {
  const page: TimelineItem[] = []
  let lookedAt = 0
  let chars = 0
  let lastAt = -1
  for await (const item of items) {
    if (item.at < fromSeconds) continue
    const full = (page.length >= itemsMax || chars >= charsMax) && wanted.view !== 'slowest'
    // What a client sends at once has one time; cut within it, the next page could not say where it goes on.
    if ((full || lookedAt >= lookedAtMax) && item.at > lastAt) return { items: page, next: item.at }
    lookedAt++
    lastAt = item.at
    if (!isWanted(item, wanted)) continue
    page.push(item)
    chars += charsIn(item)
    if (wanted.view === 'slowest') chars -= dropFast(page as StatementItem[], chars)
  }
  return { items: page, next: undefined }
}

/** Keeps the slowest. @returns characters that are gone. */
function dropFast(page: StatementItem[], chars: number): number {
  page.sort((left, right) => (right.durationMs ?? -1) - (left.durationMs ?? -1))
  let gone = 0
  while (page.length > slowestMax || (page.length > 1 && chars - gone > charsMax)) gone += charsIn(page.pop()!)
  return gone
}

/** Of texts and values. */
function charsIn(item: TimelineItem): number {
  if (item.kind === 'parsed' || item.kind === 'error') return item.sql?.length ?? 0
  if (item.kind !== 'statement') return 0
  const { sql, binds, kept } = item
  return [binds, ...kept.rows].reduce((sum, values) => sum + charsOf(values), sql?.length ?? 0)
}

export function isWanted(item: TimelineItem, { view, text }: Wanted): boolean {
  if (item.kind === 'transaction' && view !== 'all') return false
  if (item.kind === 'parameter' && (view !== 'all' || text === '')) return false // a dozen at each start, of no interest
  if (view === 'errors' && errorOf(item) === null) return false
  if (view === 'changes' && !isChange(item)) return false
  if (view === 'slowest' && item.kind !== 'statement') return false
  return text === '' || textOf(item).toLowerCase().includes(text)
}

export function errorOf(item: TimelineItem): StatementItem['error'] {
  return item.kind === 'statement' || item.kind === 'error' ? item.error : null
}

const changingTag =
  /^(?!SELECT|SHOW|SET|RESET|BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|FETCH|MOVE|CLOSE|DECLARE|PREPARE|DEALLOCATE|EXPLAIN|LISTEN|UNLISTEN|DISCARD|COPY)/
const changingWord = /\b(insert|update|delete|merge|truncate|drop|alter|create|grant|revoke|call|do)\b/i

/** Tried to change something: by what the server says it was, or by its words (a failed one has no tag; a CTE hides it). */
function isChange(item: TimelineItem): boolean {
  if (item.kind !== 'statement') return false
  if (item.copy?.direction === 'in') return true
  return item.results.some(({ tag }) => tag !== null && changingTag.test(tag)) || changingWord.test(item.sql ?? '')
}

function textOf(item: TimelineItem): string {
  switch (item.kind) {
    case 'statement': {
      const reports = [...item.notices, ...(item.error === null ? [] : [item.error])]
      const said = reports.map(({ sqlstate, message }) => `${sqlstate} ${message}`)
      const kept = item.kept.rows.map((row) => row.map(bindText).join(' '))
      return [item.sql ?? '', ...item.binds.map(bindText), ...said, ...kept].join('\n')
    }
    case 'error':
      return `${item.error.sqlstate} ${item.error.message} ${item.sql ?? ''}`
    case 'parsed':
      return item.sql
    case 'notice':
      return `${item.notice.sqlstate} ${item.notice.message}`
    case 'cancel':
      return `cancel ${item.address}`
    case 'guard':
      return guardText(item)
    case 'parameter':
      return `${item.name} ${item.value}`
    case 'gate':
      return item.text
    case 'transaction':
      return item.status
    case 'unknown':
      return item.code
  }
}

/** A bind value as a person reads it: `'text'`, `NULL`, or the beginning with the whole length. */
export function bindText(value: BoundValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  if ('base64' in value) return `binary ${value.base64}${value.bytes === undefined ? '' : `… (${value.bytes} bytes)`}`
  const quoted = `'${value.text.replaceAll("'", "''")}${value.bytes === undefined ? '' : '…'}'`
  const typed = value.type === undefined ? quoted : `${quoted}::${value.type}`
  return value.bytes === undefined ? typed : `${typed} (${value.bytes} bytes)`
}
