interface Entry<Value> {
  readonly value: Value
  chars: number
}

/** Values by name, bounded in number and in size: of too many, the oldest are forgotten. */
export class BoundedNames<Value> {
  readonly #entries = new Map<string, Entry<Value>>()
  readonly #countMax: number
  readonly #charsMax: number
  readonly #forgotten: (value: Value) => void
  #chars = 0

  /** @param forgotten told of each value that leaves, also when its name is given to another. */
  constructor(countMax: number, charsMax: number, forgotten: (value: Value) => void = () => {}) {
    this.#countMax = countMax
    this.#charsMax = charsMax
    this.#forgotten = forgotten
  }

  get(name: string): Value | undefined {
    return this.#entries.get(name)?.value
  }

  /** @param chars how large `value` is. The newest stays, however large. */
  set(name: string, value: Value, chars: number): void {
    this.#drop(name)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#countMax && this.#chars + chars <= this.#charsMax) break
      this.#drop(oldest)
    }
    this.#entries.set(name, { value, chars })
    this.#chars += chars
  }

  /** The value of that name has become larger. */
  grow(name: string, byChars: number): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    entry.chars += byChars
    this.#chars += byChars
    for (const oldest of this.#entries.keys()) {
      if (this.#chars <= this.#charsMax || oldest === name) break
      this.#drop(oldest)
    }
  }

  clear(): void {
    for (const name of this.#entries.keys()) this.#drop(name)
  }

  #drop(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#entries.delete(name)
    this.#chars -= entry.chars
    this.#forgotten(entry.value)
  }
}
