/** A place in the parsed file: keys and list positions from the top. */
export type ConfigPath = readonly (string | number)[]

/** One thing that is wrong with the configuration file, as it is printed. */
export interface ConfigProblem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** `resources.prod-db.port`; empty for the file itself. */
  readonly path: string
  /** What is wrong, in one clause; never the value of a secret. */
  readonly message: string
  /** What would be right; null where the message says it. */
  readonly expected: string | null
  readonly hint: string | null
}

/** What a check says; the place in the file is looked up later. `at: 'key'` points at the key instead of its value. */
export interface Finding {
  readonly path: ConfigPath
  readonly message: string
  readonly expected?: string
  readonly hint?: string
  readonly at?: 'key' | 'value'
  /** Points into the text that stands there: so many characters from its beginning. */
  readonly offset?: number
}

/** Everything that is wrong with a configuration file, at once. */
export class ConfigProblems extends Error {
  override readonly name = 'ConfigProblems'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** `curfew.yaml:12:7 resources.prod-db.port: expected …, got …`, and the hint on a line of its own. */
export function formatProblem(problem: ConfigProblem): string {
  const where = `${problem.file}:${problem.line}:${problem.column}`
  const expected = problem.expected === null ? '' : `expected ${problem.expected}, `
  const path = problem.path === '' ? '' : ` ${problem.path}`
  const hint = problem.hint === null ? '' : `\n    ${problem.hint}`
  return `${where}${path}: ${expected}${problem.message}${hint}`
}

/** `["resources", "prod-db", "roles", 0]` as `resources.prod-db.roles[0]`. */
export function writePath(path: ConfigPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    const plain = /^[A-Za-z0-9_-]+$/.test(step) ? step : JSON.stringify(step)
    return text === '' ? plain : `${text}.${plain}`
  }, '')
}
