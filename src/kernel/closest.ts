/** The candidates that somebody who wrote `name` could have meant, closest first. */
export function closest(name: string, candidates: readonly string[]): readonly string[] {
  const distanceMax = Math.max(2, Math.floor(name.length / 3))
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(candidate, name) }))
    .filter(({ candidate, distance }) => distance <= distanceMax && distance < candidate.length)
    .toSorted((left, right) => left.distance - right.distance)
    .map(({ candidate }) => candidate)
}

/** Levenshtein distance, with a cheap way out for lengths that cannot be close. */
function editDistance(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > 8 || left.length > 100) return Number.POSITIVE_INFINITY
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const substituted = previous[column - 1]! + (left[row - 1] === right[column - 1] ? 0 : 1)
      current.push(Math.min(substituted, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[right.length]!
}
