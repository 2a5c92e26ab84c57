/** A terminal that nobody looks at, in tmux: programs behave in it as they do for people. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const waitMsMax = 30_000

export interface TerminalOptions {
  /** Joins its environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Name of tmux's socket, where several terminals share a folder. */
  readonly socket?: string
  /** Default 60. */
  readonly rows?: number
}

export class Terminal implements AsyncDisposable {
  readonly #socket: string

  private constructor(socket: string) {
    this.#socket = socket
  }

  /**
   * Opens a shell with an environment of its own.
   * @param folder where it begins, its HOME, and where tmux keeps its socket.
   */
  static async open(
    folder: string,
    { env: more, socket = 'tmux', rows = 60 }: TerminalOptions = {},
  ): Promise<Terminal> {
    const terminal = new Terminal(join(folder, socket))
    const { PATH = '' } = process.env
    const settings = { PATH, HOME: folder, TERM: 'xterm', LC_ALL: 'C.UTF-8', PS1: '$ ', PAGER: '', ...more }
    const env = ['env', '-i', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)]
    const size = ['-x', '112', '-y', String(rows)]
    await terminal.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, '-c', folder, ...env, '/bin/sh', '-i')
    return terminal
  }

  async type(line: string): Promise<void> {
    // tmux takes a semicolon at the end for its own.
    if (line !== '') await this.#tmux('send-keys', '-l', line.replace(/;$/, String.raw`\;`))
    await this.#tmux('send-keys', 'Enter')
  }

  /** Everything that it shows and has shown. */
  async text(): Promise<string> {
    const { stdout } = await this.#tmux('capture-pane', '-p', '-J', '-S', '-')
    return stdout.replaceAll(/[ \t]+$/gm, '').trimEnd()
  }

  /**
   * Waits until it shows `pattern`.
   * @returns the first group of the pattern, or else what matched.
   * @throws Error with all that it shows, when time passes before.
   */
  async until(pattern: RegExp, msMax: number = waitMsMax): Promise<string> {
    const deadline = performance.now() + msMax
    for (;;) {
      const text = await this.text()
      const found = pattern.exec(text)
      if (found !== null) return found[1] ?? found[0]
      if (performance.now() > deadline) throw new Error(`the terminal did not show ${pattern}:\n${text}`)
      await sleep(50)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux('kill-server')
  }

  #tmux(...args: string[]): Promise<{ stdout: string }> {
    return run('tmux', ['-S', this.#socket, ...args])
  }
}
