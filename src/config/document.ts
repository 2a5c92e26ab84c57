import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Document, Pair } from 'yaml'
import { writePath } from './problems.ts'
import type { ConfigPath, ConfigProblem, Finding } from './problems.ts'

/** A configuration file, parsed, that knows where everything stands. */
export interface ConfigDocument {
  /** Plain data; undefined when the text is no YAML at all. */
  readonly value: unknown
  /** What the YAML parser has to say. */
  readonly problems: readonly ConfigProblem[]
  /** Puts a finding in its place in the file. */
  readonly place: (finding: Finding) => ConfigProblem
}

interface Position {
  readonly line: number
  readonly col: number
}

/** Aliases are counted so that a few lines cannot unfold into gigabytes. */
const aliasesMax = 100

/** @param file the name that problems carry. */
export function parseConfigDocument(file: string, text: string): ConfigDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const place = (finding: Finding) => placeFinding(file, text, document, lines, finding)
  const problems = [...document.errors, ...document.warnings].map((error) =>
    yamlProblem(file, lines.linePos(error.pos[0]), error.code, error.message),
  )
  const fatal = document.errors.some((error) => error.code !== 'DUPLICATE_KEY')
  if (fatal) return { value: undefined, problems, place }
  try {
    // Of a key that is there twice, the last value is checked; the parser has complained already.
    document.errors.length = 0
    return { value: document.toJS({ maxAliasCount: aliasesMax }), problems, place }
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const lost = lostAlias(document)
    const at = lines.linePos(lost?.offset ?? 0)
    const message =
      lost === undefined ? 'aliases unfold into too much' : `there is no anchor &${lost.name} before this alias`
    const problem = problemAt(file, at, message, lost === undefined ? 'Write some of them out.' : null)
    return { value: undefined, problems: [...problems, problem], place }
  }
}

function yamlProblem(file: string, at: Position, code: string, message: string): ConfigProblem {
  switch (code) {
    case 'DUPLICATE_KEY':
      return problemAt(file, at, 'this key is there already', 'Rename it, or join the two.')
    case 'MULTIPLE_DOCS':
      return problemAt(file, at, 'a second document begins here, after "---"', 'One file holds one configuration.')
    default:
      return problemAt(file, at, `this is not YAML: ${message}`, null)
  }
}

function problemAt(file: string, at: Position, message: string, hint: string | null): ConfigProblem {
  return { file, line: Math.max(1, at.line), column: Math.max(1, at.col), path: '', message, expected: null, hint }
}

/** The first that stands for nothing. */
function lostAlias(document: Document): { readonly name: string; readonly offset: number } | undefined {
  let lost: { name: string; offset: number } | undefined
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined
      lost = { name: alias.source, offset: alias.range?.[0] ?? 0 }
      return visit.BREAK
    },
  })
  return lost
}

function placeFinding(
  file: string,
  text: string,
  document: Document,
  lines: LineCounter,
  finding: Finding,
): ConfigProblem {
  const start = locate(document, finding.path, finding.at ?? 'value')
  const offset =
    finding.offset === undefined ? start : within(text, start, document.getIn(finding.path), finding.offset)
  const { line, col } = lines.linePos(offset)
  return {
    file,
    line: Math.max(1, line),
    column: Math.max(1, col),
    path: writePath(finding.path),
    message: finding.message,
    expected: finding.expected ?? null,
    hint: finding.hint ?? null,
  }
}

/** Where the deepest part of `path` that exists begins, as an offset into the text. */
function locate(document: Document, path: ConfigPath, at: 'key' | 'value'): number {
  let node: unknown = document.contents
  let offset = 0
  for (const [depth, step] of path.entries()) {
    const next = stepInto(document, node, step)
    if (next === undefined) return offset
    const last = depth === path.length - 1
    const wanted = (last && at === 'value') || next.key === undefined ? [next.value, next.key] : [next.key, next.value]
    offset = wanted.map(startOf).find((start) => start !== undefined) ?? offset
    node = next.value
  }
  return offset
}

function stepInto(
  document: Document,
  node: unknown,
  step: string | number,
): { readonly key: unknown; readonly value: unknown } | undefined {
  const target = isAlias(node) ? node.resolve(document) : node
  if (isSeq(target)) return { key: undefined, value: target.items[Number(step)] }
  if (!isMap(target)) return undefined
  // The last of two equal keys, as in the value that was checked.
  const pair = target.items.findLast((item: Pair) => isScalar(item.key) && String(item.key.value) === String(step))
  return pair === undefined ? undefined : { key: pair.key, value: pair.value }
}

/** A value that is left out (`key:`) has a place, but none worth pointing at. */
function startOf(node: unknown): number | undefined {
  if (!isNode(node) || (isScalar(node) && node.value === null && node.source === '')) return undefined
  return node.range?.[0]
}

/** YAML folds white space and indents; everything else of a text stands in the file as it is read. */
function within(text: string, start: number, value: unknown, offset: number): number {
  if (typeof value !== 'string') return start
  const header = /^[|>][^\n]*\n/.exec(text.slice(start, start + 100))?.[0].length
  let at = start + (header ?? (/["']/.test(text[start] ?? '') ? 1 : 0))
  const isBlank = () => /\s/.test(text[at] ?? 'x')
  for (let left = value.slice(0, offset).replaceAll(/\s/g, '').length; left > 0; at++) if (!isBlank()) left--
  while (isBlank()) at++
  return at
}
