import type { Instant } from '../kernel/time.ts'

/** What came of one attempt to send a message. */
export type Outcome =
  | { readonly kind: 'sent'; readonly reference: string | null }
  /** Worth trying again. `pauseMs`: the receiver asked for that much quiet, for everything. */
  | { readonly kind: 'failed'; readonly problem: string; readonly pauseMs?: number }
  /** Will never succeed. */
  | { readonly kind: 'refused'; readonly problem: string }
  /** Not true or not needed any more. */
  | { readonly kind: 'void'; readonly why: string }
  /** Another message has to go first; does not count as an attempt. */
  | { readonly kind: 'later'; readonly notBefore: Instant }
  /** The receiver wants nothing any more. */
  | { readonly kind: 'gone'; readonly problem: string }

export const sent: Outcome = { kind: 'sent', reference: null }

/** A system's or a library's words about a failed connection; one line, bounded. */
export function problemOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const text = cause instanceof Error ? cause.message || cause.name : String(cause)
  return oneLine(text, 300)
}

/** Without line breaks, control characters, and overrides of direction; cut to a length. */
export function oneLine(text: string, charsMax: number): string {
  const plain = text
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu, ' ')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
  const characters = Array.from(plain)
  return characters.length <= charsMax ? plain : `${characters.slice(0, charsMax - 1).join('')}…`
}
