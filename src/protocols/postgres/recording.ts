import type { Recorder } from '../../recording/recorder.ts'
import type { PostgresCode, PostgresEvents } from '../../recording/postgres-events.ts'

/** How much of what passes is written down. docs/protocols.md tells people. */
export const statementBytesMax: number = 64 * 1024
export const valueBytesMax = 1024
export const valuesMax = 256
export const bindBytesMax: number = 64 * 1024
export const reportBytesMax: number = 8 * 1024

/** The one way into a recorder from here, so that no line has another shape. */
export function record<Code extends PostgresCode>(recorder: Recorder, code: Code, data: PostgresEvents[Code]): void {
  recorder.event(code, data)
}
