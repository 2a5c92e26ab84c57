import { Session, type Profiler } from 'node:inspector'

type Range = readonly [from: number, to: number]

/** Tells from V8's own counters whether a function of src/ ran just now in another way than ever before: through other blocks. */
export class Coverage implements Disposable {
  readonly #session = new Session()
  /** Of each function: what has never run of it. */
  readonly #left = new Map<string, readonly Range[]>()
  readonly #seen = new Set<string>()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  }

  /** Functions that ran at all, and the characters in them that never did. */
  get summary(): { readonly functions: number; readonly charactersLeft: number } {
    const left = [...this.#left.values()].flat()
    return { functions: this.#left.size, charactersLeft: left.reduce((sum, [from, to]) => sum + to - from, 0) }
  }

  /** Since the last call. */
  ranAnew(): boolean {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (_error, { result }) => (scripts = result))
    let anew = false
    for (const { url, functions } of scripts) {
      if (!url.includes('/src/')) continue
      for (const one of functions) anew = this.#note(url, one) || anew
    }
    return anew
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }

  #note(url: string, { ranges }: Profiler.FunctionCoverage): boolean {
    const [whole] = ranges
    if (whole === undefined || whole.count === 0) return false
    const key = `${url}:${whole.startOffset}`
    const unreached = ranges.filter(({ count }) => count === 0)
    const signature = `${key}:${unreached.map(({ startOffset }) => startOffset).join()}`
    if (this.#seen.has(signature)) return false
    this.#seen.add(signature)
    const now = unreached.map(({ startOffset, endOffset }): Range => [startOffset, endOffset])
    const before = this.#left.get(key)
    const left = before === undefined ? now : common(before, now)
    this.#left.set(key, left)
    return true
  }
}

function common(some: readonly Range[], others: readonly Range[]): readonly Range[] {
  return some
    .flatMap(([from, to]) => others.map(([start, end]): Range => [Math.max(from, start), Math.min(to, end)]))
    .filter(([from, to]) => from < to)
}
