import type { Recorder } from '../../recording/recorder.ts'

const usualBytesMax = 16 * 1024
/** Of one UTF-16 unit in UTF-8. */
const unitBytesMax = 3

/** Gives lines that are JSON already to recorders, by way of one piece of memory for all. */
export class EncodedLines {
  #buffer: Buffer | null = null

  /** @param line code and data: `"c",{"n":1}` */
  write(recorder: Recorder, line: string, atMs: number): void {
    if (line.length * unitBytesMax > usualBytesMax) {
      const bytes = Buffer.from(line, 'utf8')
      return recorder.encoded(bytes, bytes.length, atMs)
    }
    this.#buffer ??= Buffer.allocUnsafeSlow(usualBytesMax)
    recorder.encoded(this.#buffer, this.#buffer.write(line, 'utf8'), atMs)
  }
}
