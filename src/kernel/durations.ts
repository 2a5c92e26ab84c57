const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const shape = /^(\d{1,9})(ms|s|m|h|d)$/

/**
 * Reads `90s`, `30m`, `8h`, `2d`, `250ms`, or `0`.
 * @returns milliseconds; undefined when the text has another form.
 */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0
  const parts = shape.exec(text)
  if (parts === null) return undefined
  return Number(parts[1]) * unitMs[parts[2] as keyof typeof unitMs]
}

/** For people: `2 h 5 min`, `42 min`, `30 s`. Rounds to the two largest units, up at the end so that "0" never shows early. */
export function formatDuration(lengthMs: number): string {
  const totalSeconds = Math.ceil(lengthMs / 1000)
  return totalSeconds < 60 ? `${Math.max(0, totalSeconds)} s` : formatMinutes(Math.ceil(totalSeconds / 60))
}

/** For what is over, to the nearest: 2 min 29 s lasted `2 min`. What lasted less than a second, but at all, reads `1 s`. */
export function formatLasted(lengthMs: number): string {
  const totalSeconds = Math.round(lengthMs / 1000)
  return totalSeconds < 60
    ? `${Math.max(lengthMs > 0 ? 1 : 0, totalSeconds)} s`
    : formatMinutes(Math.round(totalSeconds / 60))
}

function formatMinutes(totalMinutes: number): string {
  const days = Math.floor(totalMinutes / 1440)
  const hours = Math.floor((totalMinutes % 1440) / 60)
  const minutes = totalMinutes % 60
  const parts =
    days > 0 ? [days && `${days} d`, hours && `${hours} h`] : [hours && `${hours} h`, minutes && `${minutes} min`]
  return parts.filter(Boolean).join(' ')
}

/** For a countdown: near the end, seconds count: `9 min 5 s`. Else as `formatDuration`. */
export function formatLeft(leftMs: number): string {
  const totalSeconds = Math.ceil(leftMs / 1000)
  if (totalSeconds < 60 || totalSeconds >= 600) return formatDuration(leftMs)
  const [minutes, seconds] = [Math.floor(totalSeconds / 60), totalSeconds % 60]
  return seconds === 0 ? `${minutes} min` : `${minutes} min ${seconds} s`
}

/** As it is typed: `90s` as `90s`, 3600000 as `1h`. The largest unit that divides it. */
export function writeDuration(lengthMs: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (lengthMs > 0 && lengthMs % unitMs[unit] === 0) return `${lengthMs / unitMs[unit]}${unit}`
  }
  return lengthMs === 0 ? '0' : `${lengthMs}ms`
}
