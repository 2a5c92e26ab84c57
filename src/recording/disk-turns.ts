/**
 * Requests to the disk, so many at once. Each takes one of the few threads of the process that names, keys and all other
 * files wait for, too; a disk that hangs keeps those that it has, and must not get them all. config/threads.ts says how many there are.
 */
export class DiskTurns {
  readonly #most: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#most = most
  }

  async take<T>(request: () => Promise<T>): Promise<T> {
    if (this.#running < this.#most) this.#running++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await request()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next() // its turn passes on
    }
  }
}

/** For what is written: three files at once, and the folder of a new one. */
export const writing: DiskTurns = new DiskTurns(4)

/** For what is read, however many look at recordings, and for how much room there is. */
export const reading: DiskTurns = new DiskTurns(2)
