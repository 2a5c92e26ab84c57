/**
 * `fresh`, with each field that says the same as in `known` taken from there: what the store gives, and what is read from
 * a connection, is new each time, and would lie in memory once for each session.
 * @returns `known` itself where nothing differs
 */
export function sharing<Value extends object>(fresh: Value, known: Value | undefined): Value {
  if (known === undefined) return fresh
  if (isSame(fresh, known)) return known
  const shared = { ...fresh }
  for (const name of Object.keys(fresh) as (keyof Value)[]) {
    if (Object.hasOwn(known, name) && isSame(fresh[name], known[name])) shared[name] = known[name]
  }
  return shared
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (!isPlain(one) || !isPlain(other)) return false
  const names = Object.keys(one)
  if (Array.isArray(one) !== Array.isArray(other) || names.length !== Object.keys(other).length) return false
  return names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
}

/** An array, or an object that is nothing but its fields. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
}
