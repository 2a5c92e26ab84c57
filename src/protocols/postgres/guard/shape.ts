/** Where a digit may be part of something else than a number, or a number says what a statement does. */
const particular = /[^\x20-\x7e\t\n\r]|['"$\\]|--|\/\*|explain/i

/**
 * What statements have in common that do the same and differ in their whole numbers only; the text itself where that is
 * not sure. Nothing that a guard looks at depends on a number, except in the options of EXPLAIN.
 */
export function shapeOf(text: string): string {
  return particular.test(text) ? text : text.replaceAll(/\b\d+\b/g, '0')
}
