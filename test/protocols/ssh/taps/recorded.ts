import type { Recorder } from '../../../../src/recording/recorder.ts'
import { readSshEvent } from '../../../../src/recording/ssh-event-shapes.ts'
import type { SshEvents } from '../../../../src/recording/ssh-events.ts'

/** One line: `f`, its data; of bytes their latin1 text, joined with those before them. */
export type Line = readonly [code: string, data: Record<string, unknown>]

/** Keeps what a tap writes. */
export class KeptRecorder implements Recorder {
  readonly active = true
  readonly full = false
  readonly #lines: Line[] = []

  isFullAt(): boolean {
    return this.full
  }

  event(code: string, data: unknown): void {
    // As whoever reads the recording will see it.
    const read = readSshEvent({ code, data: JSON.parse(JSON.stringify(data)) as unknown })
    if (read === undefined) throw new Error(`no such event: ${code} ${JSON.stringify(data)}`)
    this.#lines.push([code, { ...read.data }])
  }

  encoded(tail: Buffer, tailBytes: number): void {
    const [code, data] = JSON.parse(`[${tail.toString('utf8', 0, tailBytes)}]`) as [string, unknown]
    this.event(code, data)
  }

  bytes(code: `=${string}`, { ch }: { readonly ch?: unknown }, bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('latin1')
    const last = this.#lines.at(-1)
    if (last?.[0] === code) last[1]['text'] = `${String(last[1]['text'])}${text}`
    else this.#lines.push([code, { ch, text }])
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  seal(): Promise<void> {
    return Promise.resolve()
  }

  get lines(): readonly Line[] {
    return this.#lines
  }

  /** File operations, without channel and time. */
  get files(): readonly Partial<SshEvents['f']>[] {
    return filesOf(this.#lines)
  }

  text(code: string): string {
    return this.#lines
      .filter((line) => line[0] === code)
      .map(([, data]) => String(data['text']))
      .join('')
  }

  get lost(): string | undefined {
    return this.#lines.find(([code]) => code === 'lost')?.[1]['why'] as string | undefined
  }
}

export function filesOf(lines: readonly Line[]): readonly Partial<SshEvents['f']>[] {
  return lines
    .filter(([code]) => code === 'f')
    .map(([, { ch: _ch, ms: _ms, ...event }]) => event as Partial<SshEvents['f']>)
}
