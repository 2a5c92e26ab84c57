import type { Recorder } from '../../recording/recorder.ts'
import type { PostgresCode, PostgresEvents } from '../../recording/postgres-events.ts'

/** How much of what passes is written down. docs/protocols.md tells people. */
export const statementBytesMax: number = 1024 * 1024
/** What one line of the recording holds of a statement, in UTF-16 units; the rest follows in lines of its own. */
export const statementPieceCharsMax: number = 64 * 1024
export const valueBytesMax = 1024
export const valuesMax = 256
export const bindBytesMax: number = 64 * 1024
/** Of a result's description: some hundred columns. */
export const columnsBytesMax: number = 32 * 1024
export const reportBytesMax: number = 8 * 1024
/** Of statements and portals. A longer one is refused: it would leave no room for what comes behind it. */
export const nameBytesMax = 1024
/** NAMEDATALEN - 1: the server tells names apart by so many bytes, so no more are recorded. */
export const nameBytesKept = 63

/** @returns the name in `bytes[from, end)` as the server knows it. */
export function nameOf(bytes: Buffer, from: number, end: number): string {
  return bytes.toString('utf8', from, Math.min(end, from + nameBytesKept))
}

/** The one way into a recorder from here, so that no line has another shape. */
export function record<Code extends PostgresCode>(recorder: Recorder, code: Code, data: PostgresEvents[Code]): void {
  recorder.event(code, data)
}
