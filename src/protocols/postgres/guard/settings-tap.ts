import type { FrameTap } from '../frames.ts'
import { fromServer } from '../messages.ts'
import type { ReadAs } from './backslashes.ts'

const parameterBytesMax = 512

/** Watches how the server reads statements, on the way to another tap. */
export class SettingsTap implements FrameTap {
  readonly #readAs: ReadAs
  readonly #inner: FrameTap | null
  #innerWants = false

  constructor(readAs: ReadAs, inner: FrameTap | null) {
    this.#readAs = readAs
    this.#inner = inner
  }

  chunk(nowMs?: number): void {
    this.#inner?.chunk?.(nowMs)
  }

  whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    if (type === fromServer.parameterStatus) return false
    return this.#inner === null || this.#inner.whole?.(type, chunk, from, to) === true
  }

  begin(type: number, bodyBytes: number): number {
    const wanted = this.#inner?.begin(type, bodyBytes) ?? 0
    this.#innerWants = wanted > 0
    return type === fromServer.parameterStatus ? Math.max(wanted, parameterBytesMax) : wanted
  }

  head(type: number, bytes: Buffer, bodyBytes: number): void {
    if (type === fromServer.parameterStatus) {
      const [name = '', value = ''] = bytes.toString('utf8').split('\0')
      noteSetting(this.#readAs, name, value)
    }
    if (this.#innerWants) this.#inner?.head(type, bytes, bodyBytes)
  }

  rest(type: number, bytes: Buffer): void {
    if (this.#innerWants) this.#inner?.rest(type, bytes)
  }

  end(type: number): void {
    if (this.#innerWants) this.#inner?.end(type)
  }
}

export function noteSetting(readAs: ReadAs, name: string, value: string): void {
  if (name === 'standard_conforming_strings') readAs.backslashes = value === 'off'
  if (name === 'client_encoding') readAs.encoding = value
}
