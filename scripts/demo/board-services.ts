export interface Service {
  readonly name: string
  readonly state: 'up' | 'slow' | 'down'
  readonly answersInMs: number | null
  /** Who said that they look after it. */
  readonly acknowledgedBy: string | null
}

const usual = [
  ['Shop', 'up', 42],
  ['Payments', 'slow', 910],
  ['Search', 'up', 18],
  ['Mail', 'down', null],
  ['Stock', 'up', 65],
] as const

/** What the board shows: made up, and a little different each time that somebody looks. */
export class Services {
  readonly #acknowledged = new Map<string, string>()
  #looks = 0

  all(): readonly Service[] {
    this.#looks++
    return usual.map(([name, state, ms], index) => ({
      ...{ name, state },
      answersInMs: ms === null ? null : Math.round(ms * (1 + 0.1 * Math.sin(this.#looks + index * 2))),
      acknowledgedBy: this.#acknowledged.get(name) ?? null,
    }))
  }

  /** @returns false for a service that is not on the board. */
  acknowledge(name: string, who: string): boolean {
    if (!usual.some(([known]) => known === name)) return false
    this.#acknowledged.set(name, who)
    return true
  }
}
