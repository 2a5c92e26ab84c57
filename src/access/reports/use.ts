import type { Instant } from '../../kernel/time.ts'
import type { KnownSession } from './reads.ts'
import { rowsMost, type RowOf } from './shapes.ts'

type Row = RowOf<'use'>
type Sum = Omit<{ -readonly [Key in keyof Row]: NonNullable<Row[Key]> }, 'person'> & { person: string }

/** Sums up sessions one by one, by person, resource and role. */
export class UseTally {
  readonly #sums = new Map<string, Sum>()
  readonly #now: Instant
  #isCut = false

  /** @param now until when sessions that live have lasted. */
  constructor(now: Instant) {
    this.#now = now
  }

  get isCut(): boolean {
    return this.#isCut
  }

  add(session: KnownSession): void {
    const key = JSON.stringify([session.person, session.resource, session.role])
    const known = this.#sums.get(key)
    if (known === undefined && this.#sums.size === rowsMost) {
      this.#isCut = true
      return
    }
    const sum = known ?? firstOf(session)
    sum.sessions++
    sum.live += session.endedAt === null ? 1 : 0
    sum.timeMs += Math.max(0, (session.endedAt ?? this.#now) - session.startedAt)
    sum.bytesFromClient += session.bytesFromClient ?? 0
    sum.bytesFromTarget += session.bytesFromTarget ?? 0
    sum.lastAt = Math.max(sum.lastAt, session.startedAt) as Instant
    this.#sums.set(key, sum)
  }

  /** The longest first. */
  rows(): readonly Row[] {
    return [...this.#sums.values()].toSorted((left, right) => right.timeMs - left.timeMs)
  }
}

function firstOf({ personName, resource, role, startedAt }: KnownSession): Sum {
  const zero = { sessions: 0, live: 0, timeMs: 0, bytesFromClient: 0, bytesFromTarget: 0 }
  return { person: personName, resource, role, ...zero, lastAt: startedAt }
}
