/** Lengths of time, for a middle and a longest that are exact. Eight bytes each. */
export class Waits {
  #values = new Float64Array(16)
  #count = 0
  #isSorted = true

  add(lengthMs: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.#count++] = lengthMs
    this.#isSorted = false
  }

  /**
   * The least value that at least this share of all is not above (nearest rank).
   * @param share above 0, at most 1.
   * @returns null without values.
   */
  quantile(share: number): number | null {
    if (this.#count === 0) return null
    const values = this.#values.subarray(0, this.#count)
    if (!this.#isSorted) values.sort()
    this.#isSorted = true
    return values[Math.max(1, Math.ceil(share * this.#count)) - 1]!
  }
}
