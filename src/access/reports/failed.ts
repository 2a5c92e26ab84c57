import type { AuditEvent, AuditType } from '../../audit/event.ts'
import type { AuditStore } from '../../audit/store.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Paged, Period } from './reads.ts'
import { rowsMost, type RowOf } from './shapes.ts'

type Row = RowOf<'failed'>

/** Events that tell of something that was refused. */
export const refusalTypes = [
  'session.refused',
  'request.refused',
  'decision.refused',
  'person.sign-in-refused',
  'sign-in.refused',
  'token.refused',
  'certificate.refused',
] as const satisfies readonly AuditType[]

const pageEvents = 500

/** The events of one type within the period, newest first. Each type is looked up by itself: the log has an index by type. */
export async function* eventsOf(
  audit: Pick<AuditStore, 'search'>,
  type: AuditType,
  { from, to }: Period,
): Paged<AuditEvent> {
  for (let before: number | undefined; ;) {
    const found = await audit.search({ types: [type], limit: pageEvents, ...(before !== undefined && { before }) })
    const events = found.map(({ json }) => JSON.parse(json) as AuditEvent)
    yield events.filter(({ at }) => at >= from && at < to)
    const oldest = events.at(-1)
    if (oldest === undefined || oldest.at < from || events.length < pageEvents) return
    before = found.at(-1)!.sequence
  }
}

/** Counts refusals that are alike: of one kind, by one person, from one address, at one resource, for one reason. */
export class FailureTally {
  readonly #rows = new Map<string, { -readonly [Key in keyof Row]: Row[Key] } & { times: number }>()
  #isCut = false

  get isCut(): boolean {
    return this.#isCut
  }

  add({ type, at, personName, data }: AuditEvent): void {
    const [address, resource, role] = [textOf(data['address']), textOf(data['resource']), textOf(data['role'])]
    const code = textOf(data['code']) ?? textOf(data['reason'])
    const key = JSON.stringify([type, personName, address, resource, role, code])
    const known = this.#rows.get(key)
    if (known === undefined && this.#rows.size === rowsMost) {
      this.#isCut = true
      return
    }
    const message = textOf(data['message'])
    const row = known ?? {
      ...{ what: type, person: personName, address, resource, role, code, times: 0 },
      ...{ lastAt: at, firstAt: at, message },
    }
    row.times++
    if (at > row.lastAt!) Object.assign(row, { lastAt: at, message })
    row.firstAt = Math.min(row.firstAt!, at) as Instant
    this.#rows.set(key, row)
  }

  /** The latest first. */
  rows(): readonly Row[] {
    return [...this.#rows.values()].toSorted((left, right) => right.lastAt! - left.lastAt!)
  }
}

function textOf(value: AuditEvent['data'][string] | undefined): string | null {
  return typeof value === 'string' ? value : null
}
