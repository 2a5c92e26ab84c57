/** The value below which the share `fraction` of the sorted samples lies (nearest rank). */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}
