// Controls, marks and overrides of direction, line and paragraph separators.
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

/**
 * Text that somebody else wrote, made safe to print: what would move the cursor, change colours or turn the direction
 * of reading around is shown as `\x1b` and the like. Line feeds and tabs stay.
 */
export function terminalText(text: string): string {
  return text.replaceAll(invisible, (character) => {
    if (character === '\n' || character === '\t') return character
    const code = character.codePointAt(0)!
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** As `terminalText`, on one line. */
export function terminalLine(text: string): string {
  return terminalText(text).replaceAll(/\s*\n\s*/g, ' ')
}

/** One line of JSON that does nothing to a terminal either: JSON.stringify leaves DEL, C1 and the like as they are. */
export function terminalJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    invisible,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
