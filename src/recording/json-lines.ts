import type { Recording } from './reading.ts'

/**
 * The header line, then one line an event: `[seconds, code, data]`; where raw bytes belong to it, `data.base64` holds
 * them. Each with its line feed.
 * @throws as `recording.events`.
 */
export async function* jsonLines(recording: Recording): AsyncGenerator<string> {
  yield `${JSON.stringify(recording.header)}\n`
  for await (const { seconds, code, data, bytes } of recording.events()) {
    const whole = bytes === undefined ? data : { ...(data as object), base64: bytes.toString('base64') }
    yield `${JSON.stringify([seconds, code, whole])}\n`
  }
}
