import { SqlTokens } from '../sql-tokens.ts'

/** How the server reads what a client sends, as far as is known at the moment. */
export interface ReadAs {
  /** `standard_conforming_strings` is off: backslashes escape in every string. */
  backslashes: boolean
  /** `client_encoding` as the server names it. */
  encoding: string
  /** Nothing is on its way that could change the two. */
  settled: boolean
}

/** Until a server says otherwise. */
export function usualReading(): ReadAs {
  return { backslashes: false, encoding: 'UTF8', settled: true }
}

/** Encodings in which a byte below 128 may be the second half of a character. */
const splitting = /^(?:SJIS|SHIFT_JIS_2004|BIG5|GBK|UHC|GB18030|JOHAB)$/i

/**
 * Whether the server could end a string elsewhere than the parser here, which knows only the usual settings. Only a
 * backslash before a quote can do that: with backslashes that escape in plain strings, or in an encoding in which the
 * backslash is half of a character.
 */
export function isAmbiguous(text: string, isAscii: boolean, { backslashes, encoding, settled }: ReadAs): boolean {
  if (!text.includes("\\'")) return false
  const isSure = settled && !backslashes && !splitting.test(encoding)
  if (isSure) return false
  if (!isAscii) return true
  const token = new SqlTokens(text)
  while (token.next()) {
    const { kind, from, to } = token
    const escapes = text[from] === 'e' || text[from] === 'E'
    if (kind === 'string' && !escapes && text.slice(from, to).includes('\\')) return true
  }
  return false
}
