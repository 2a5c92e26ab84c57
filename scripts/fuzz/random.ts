/** Random numbers that a seed repeats. */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 to 2³² - 1. @see "mulberry32" by Tommy Ettinger */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** 0 to `below` - 1. */
  below(below: number): number {
    return below <= 1 ? 0 : this.uint32() % below
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!
  }

  /** Mostly small. */
  length(most: number): number {
    return this.below(1 << this.below(Math.ceil(Math.log2(most)) + 1))
  }

  bytes(lengthBytes: number): Buffer {
    return Buffer.from(Array.from({ length: lengthBytes }, () => this.below(256)))
  }
}

/** The seed of one case, so that it can be repeated without those before it. */
export function seedOf(seed: number, index: number): number {
  return new Chance(Math.imul(seed, 0x9e37_79b1) ^ index).uint32()
}
