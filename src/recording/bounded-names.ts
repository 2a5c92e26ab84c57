interface Entry<Value> {
  readonly value: Value
  chars: number
}

/** Values by name, bounded in number and in size: of too many, the oldest are forgotten. */
export class BoundedNames<Value> {
  /** Made with the first: most sessions never name anything. */
  #entries: Map<string, Entry<Value>> | null = null
  readonly #countMax: number
  readonly #charsMax: number
  readonly #forgotten: (value: Value) => void
  #chars = 0

  /** @param forgotten told of each value that leaves, also when its name is given to another. */
  constructor(countMax: number, charsMax: number, forgotten: (value: Value) => void = tellNobody) {
    this.#countMax = countMax
    this.#charsMax = charsMax
    this.#forgotten = forgotten
  }

  get(name: string): Value | undefined {
    return this.#entries?.get(name)?.value
  }

  /** @param chars how large `value` is. The newest stays, however large. */
  set(name: string, value: Value, chars: number): void {
    const entries = (this.#entries ??= new Map<string, Entry<Value>>())
    this.#drop(name)
    for (const oldest of entries.keys()) {
      if (entries.size < this.#countMax && this.#chars + chars <= this.#charsMax) break
      this.#drop(oldest)
    }
    entries.set(name, { value, chars })
    this.#chars += chars
  }

  /** The value of that name has become larger. */
  grow(name: string, byChars: number): void {
    const entries = this.#entries
    const entry = entries?.get(name)
    if (entries === null || entry === undefined) return
    entry.chars += byChars
    this.#chars += byChars
    for (const oldest of entries.keys()) {
      if (this.#chars <= this.#charsMax || oldest === name) break
      this.#drop(oldest)
    }
  }

  clear(): void {
    for (const name of this.#entries?.keys() ?? []) this.#drop(name)
  }

  #drop(name: string): void {
    const entry = this.#entries?.get(name)
    if (entry === undefined) return
    this.#entries?.delete(name)
    this.#chars -= entry.chars
    this.#forgotten(entry.value)
  }
}

function tellNobody(): void {}
