import type { Clock } from '../../kernel/time.ts'

const workMsMost = 8

/** Lets everything else have its turn while something long is worked out: sessions are cut by the same thread. */
export function createBreather(
  clock: Pick<Clock, 'monotonicMs'>,
  soon: (task: () => void) => void,
): () => Promise<void> {
  let since = clock.monotonicMs()
  return async () => {
    if (clock.monotonicMs() - since < workMsMost) return
    await new Promise<void>((resolve) => soon(resolve))
    since = clock.monotonicMs()
  }
}
