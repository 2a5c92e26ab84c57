import { expect } from 'vitest'

/** Every step of a story has left its event, in this order; others may stand between them. */
export function expectInOrder(types: readonly string[], story: readonly string[]): void {
  let from = 0
  for (const type of story) {
    const at = types.indexOf(type, from)
    expect(at, `${type} after ${types.slice(0, from).join(', ')}`).toBeGreaterThanOrEqual(from)
    from = at + 1
  }
}
