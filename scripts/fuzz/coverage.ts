import { Session, type Profiler } from 'node:inspector'

/** Tells from V8's own counters whether a function of src/ ran just now in another way than ever before: through other blocks. */
export class Coverage implements Disposable {
  readonly #session = new Session()
  /** Of each function: 1 for each character that has run. */
  readonly #reached = new Map<string, Uint8Array>()
  readonly #seen = new Set<string>()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  }

  /** Functions that ran at all, and the characters in them that never did. */
  get summary(): { readonly functions: number; readonly charactersLeft: number } {
    let charactersLeft = 0
    for (const reached of this.#reached.values()) for (const one of reached) charactersLeft += 1 - one
    return { functions: this.#reached.size, charactersLeft }
  }

  /** Since the last call. @param isNoted false: only looks, so that the same is new the next time, too. */
  ranAnew(isNoted: boolean): boolean {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (_error, { result }) => (scripts = result))
    let anew = false
    for (const { url, functions } of scripts) {
      if (!url.includes('/src/')) continue
      for (const one of functions) anew = this.#isNew(url, one, isNoted) || anew
    }
    return anew
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }

  #isNew(url: string, { ranges }: Profiler.FunctionCoverage, isNoted: boolean): boolean {
    const [whole] = ranges
    if (whole === undefined || whole.count === 0) return false
    const key = `${url}:${whole.startOffset}`
    const signature = `${key}:${ranges.map(({ startOffset, count }) => (count > 0 ? startOffset : -startOffset)).join()}`
    if (this.#seen.has(signature)) return false
    if (!isNoted) return true
    this.#seen.add(signature)
    const now = painted(ranges)
    const before = this.#reached.get(key)
    if (before === undefined) this.#reached.set(key, now)
    else for (const [at, one] of now.entries()) before[at]! |= one
    return true
  }
}

/** Ranges lie in each other; the inner one counts. */
function painted([whole, ...inner]: readonly Profiler.CoverageRange[]): Uint8Array {
  const { startOffset: from, endOffset } = whole!
  const reached = new Uint8Array(endOffset - from).fill(1)
  for (const { startOffset, endOffset: to, count } of inner)
    reached.fill(count > 0 ? 1 : 0, startOffset - from, to - from)
  return reached
}
