import type { GuardWord } from './postgres-events.ts'

/** What a guard said, as people read it: `Guard: refused, delete on t without WHERE (rule no-full-tables)`. */
export function guardText(word: GuardWord): string {
  const rule = word.rule === null ? '' : ` (rule ${word.rule})`
  return `Guard: ${doneWords(word)}, ${word.about}${rule}`
}

function doneWords({ action, answer, by, comment, waitedMs }: GuardWord): string {
  if (action === 'warn') return 'warned'
  if (action === 'refuse') return 'refused'
  if (answer === undefined) return 'asked'
  const after = waitedMs === undefined ? '' : ` after ${(waitedMs / 1000).toFixed(1)} s`
  const who = by === undefined ? '' : ` by ${by}`
  const why = comment === undefined || comment === '' ? '' : `: "${comment}"`
  return `${answerWords[answer]}${who}${after}${why}`
}

const answerWords = {
  approved: 'approved',
  refused: 'refused',
  lapsed: 'not answered',
  'given-up': 'given up',
  failed: 'could not be asked',
} as const
