/** How long the event loop of this process kept others waiting, looked at every few milliseconds. */
export interface LoopDelay {
  /** Longest time between two looks beyond what was asked for: what somebody may have waited. */
  readonly delayMs: number
  /** Longest CPU time of this thread between two looks: the part of it that was work of its own. */
  readonly busyMs: number
}

const everyMs = 5

export class LoopWatch {
  #delayMs = 0
  #busyMs = 0

  constructor() {
    let [lookedMs, cpu] = [performance.now(), process.threadCpuUsage()]
    setInterval(() => {
      const { user, system } = process.threadCpuUsage(cpu)
      this.#delayMs = Math.max(this.#delayMs, performance.now() - lookedMs - everyMs)
      this.#busyMs = Math.max(this.#busyMs, (user + system) / 1000)
      lookedMs = performance.now()
      cpu = process.threadCpuUsage()
    }, everyMs).unref()
  }

  /** Since the last call. */
  take(): LoopDelay {
    const taken = { delayMs: this.#delayMs, busyMs: this.#busyMs }
    this.#delayMs = 0
    this.#busyMs = 0
    return taken
  }
}
