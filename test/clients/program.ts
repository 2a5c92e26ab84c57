/** A real program as a child: what it writes can be awaited while it runs. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface Exit {
  /** Null when a signal ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

/** Hundreds of times the same files begin to run: what Node made of them once is kept, which halves each start. */
export const compiled = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/curfew-tests'),
} as const

export interface ProgramOptions {
  /** Joins a small, clean environment: nothing of the caller's settings or home folder reaches the program. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Longest wait for a text or the end. Default 20 s. */
  readonly waitMsMax?: number
}

export class Program implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #waitMsMax: number
  readonly #name: string
  readonly #closed: Promise<Exit>
  #stdout = ''
  #stderr = ''
  #exit: Exit | undefined
  #wake: (() => void)[] = []

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    const { env, cwd, waitMsMax = 20_000 } = options
    const clean = {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      ...compiled,
      ...env,
    }
    this.#name = command
    this.#waitMsMax = waitMsMax
    this.#child = spawn(command, args, { env: clean, ...(cwd !== undefined && { cwd }) })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#hear(() => (this.#stdout += text)))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#hear(() => (this.#stderr += text)))
    // A program that has ended reads no more; that shows in its exit.
    this.#child.stdin.on('error', () => undefined)
    this.#closed = this.#untilClosed()
    // Whoever waits for the end sees the failure; nobody has to.
    this.#closed.catch(() => undefined)
  }

  get processId(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#exit === undefined
  }

  /** Everything so far. */
  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Types one line. */
  send(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Types without Enter: keys such as Ctrl-C. */
  type(keys: string): void {
    this.#child.stdin.write(keys)
  }

  /** Nothing more will be typed. */
  endInput(): void {
    this.#child.stdin.end()
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal)
  }

  /**
   * Waits until `pattern` is in what it has written to both outputs together (stdout first).
   * @throws Error with all that it wrote, when it ends or time passes before.
   */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + this.#waitMsMax
    for (;;) {
      const found = pattern.exec(`${this.#stdout}\n${this.#stderr}`)
      if (found !== null) return found
      if (this.#exit !== undefined) throw this.#failure(`ended before it wrote ${pattern}`)
      await this.#more(deadline, `did not write ${pattern}`)
    }
  }

  /** Waits for its end. */
  async exited(): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
    const deadline = performance.now() + this.#waitMsMax
    while (this.#exit === undefined) {
      await Promise.race([this.#closed, this.#more(deadline, 'did not end')])
    }
    return { ...this.#exit, stdout: this.#stdout, stderr: this.#stderr }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    // A program that could not even be started has nothing left to wait for.
    await this.#closed.catch(() => undefined)
  }

  async #untilClosed(): Promise<Exit> {
    const [status, signal] = (await once(this.#child, 'close')) as [number | null, NodeJS.Signals | null]
    this.#hear(() => (this.#exit = { status, signal }))
    return { status, signal }
  }

  #hear(note: () => void): void {
    note()
    for (const wake of this.#wake.splice(0)) wake()
  }

  async #more(deadline: number, failure: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(this.#failure(`${failure} in time`)), deadline - performance.now())
    this.#wake.push(resolve)
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what}\n--- stdout\n${this.#stdout}\n--- stderr\n${this.#stderr}`)
  }
}
