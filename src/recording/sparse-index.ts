import type { Manifest } from './manifest.ts'

/** Entries in a manifest's index; beyond it, every second one is dropped. */
export const indexEntriesMax = 4096

type Entry = [sequence: number, offset: number, firstUs: number]

/** Remembers where segments begin, in bounded space: when it is full, it keeps every second entry. */
export class SparseIndex {
  #every = 1
  #entries: Entry[] = []

  add(sequence: number, offset: number, firstUs: number): void {
    if ((sequence - 1) % this.#every !== 0) return
    const entry: Entry = [sequence, offset, firstUs]
    // Most sessions have one; a list that is pushed to has room for more than a dozen.
    if (this.#entries.length === 0) this.#entries = [entry]
    else this.#entries.push(entry)
    if (this.#entries.length < indexEntriesMax) return
    this.#every *= 2
    this.#entries = this.#entries.filter(([kept]) => (kept - 1) % this.#every === 0)
  }

  get entries(): Manifest['index'] {
    return this.#entries
  }
}
