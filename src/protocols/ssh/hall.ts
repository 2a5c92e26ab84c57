import { Fault } from '../../kernel/fault.ts'
import type { PersonId } from '../../kernel/ids.ts'

/** Counts the connections of people who are known and have no session: in the menu, jumping, asking, waiting. */
export class Hall {
  readonly #perPersonMax: number
  readonly #counts = new Map<PersonId, number>()

  constructor(perPersonMax: number) {
    this.#perPersonMax = perPersonMax
  }

  /** @throws Fault TOO_MANY_CONNECTIONS. Disposing leaves; twice is harmless. */
  enter(person: PersonId): Disposable {
    const count = this.#counts.get(person) ?? 0
    if (count >= this.#perPersonMax) {
      throw new Fault('TOO_MANY_CONNECTIONS', `${count} connections of yours have no session yet.`, {
        hint: 'Close some of them.',
      })
    }
    this.#counts.set(person, count + 1)
    let inside = true
    return {
      [Symbol.dispose]: () => {
        if (inside) this.#leave(person)
        inside = false
      },
    }
  }

  #leave(person: PersonId): void {
    const left = (this.#counts.get(person) ?? 1) - 1
    if (left > 0) this.#counts.set(person, left)
    else this.#counts.delete(person)
  }
}
