/** A structured log line: what, with which ids. The observability room gives it a voice; secrets never enter it. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A log whose every line carries `fields` too. */
  child(fields: Readonly<Record<string, unknown>>): Log
}
