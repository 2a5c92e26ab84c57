import type { HttpBytes, HttpBytesCode, HttpCode, HttpEvents } from '../../recording/http-events.ts'
import type { Recorder } from '../../recording/recorder.ts'

// The one way into a recorder from here, so that no line has another shape.

export function record<Code extends HttpCode>(recorder: Recorder, code: Code, data: HttpEvents[Code]): void {
  recorder.event(code, data)
}

export function recordBytes<Code extends HttpBytesCode>(
  recorder: Recorder,
  code: Code,
  data: HttpBytes[Code],
  bytes: Uint8Array,
): void {
  recorder.bytes(code, { ...data }, bytes)
}
