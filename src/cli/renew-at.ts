import type { CliSession } from './session-file.ts'

const renewBeforeMsMax = 10 * 60_000

/** In its last quarter, at most ten minutes before its end. One that ends with the session can only be replaced by a sign-in. */
export function renewAt(
  { validAfterMs, endsAtMs }: { readonly validAfterMs: number; readonly endsAtMs: number },
  session: Pick<CliSession, 'expiresAt'>,
): number {
  // Certificates count whole seconds.
  if (Date.parse(session.expiresAt) - endsAtMs < 1000) return endsAtMs
  return endsAtMs - Math.min(renewBeforeMsMax, (endsAtMs - validAfterMs) / 4)
}
