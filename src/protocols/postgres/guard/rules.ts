import { globPattern } from '../../../policy/glob.ts'
import { guardActions, type GuardAction, type GuardRule, type StatementGuard } from '../../../resources/guard.ts'
import { everyTable, type Doing, type Name, type Reading, type StatementFacts } from './facts.ts'

/** What the guard says of a whole message. */
export interface Verdict {
  readonly action: GuardAction
  /** Null: no rule matched, and it is what the guard says otherwise; or nobody can tell what it does. */
  readonly rule: string | null
  readonly message: string | null
  /** What it was about, in a few words: `delete from orders without WHERE`. */
  readonly about: string
}

export type Judge = (reading: Reading) => Verdict

/**
 * Each thing that a message does is judged on its own, by the first rule that matches; the strictest word counts for
 * the whole message. What nobody can read is refused, unless a rule names the kind `unparsable`.
 */
export function judgeBy(guard: StatementGuard): Judge {
  const matchers = guard.rules.map(matcherOf)
  const aboutDoings = matchers.filter(({ functions }) => functions === null)
  const aboutFunctions = matchers.filter(({ functions }) => functions !== null)
  // What may be a column is no call for a rule over whatever is called.
  const aboutSome = aboutFunctions.filter(({ rule }) => rule.functions?.every((pattern) => !/^[*.]*$/.test(pattern)))
  return (reading) => {
    if ('unparsable' in reading) return unreadable(guard.rules, reading)
    const several = reading.statements.length > 1
    let verdict = nothingDone
    for (const statement of reading.statements) {
      for (const doing of statement.doings) {
        const found = decide(aboutDoings, (matcher) => doingFits(matcher, doing, several), guard.otherwise)
        verdict = stricter(verdict, found, () => doingWords(doing))
      }
      const calls = (names: readonly Name[], matchers: readonly Matcher[]) => {
        for (const name of names) {
          const found = decide(matchers, (matcher) => callFits(matcher, name, statement, several), 'allow')
          verdict = stricter(verdict, found, () => `a call of ${nameWords(name)}`)
        }
      }
      calls(statement.functions, aboutFunctions)
      calls(statement.attributes, aboutSome)
    }
    return verdict
  }
}

interface Matcher {
  readonly rule: GuardRule
  readonly kinds: ReadonlySet<string> | null
  readonly tables: readonly NamePattern[] | null
  readonly functions: readonly NamePattern[] | null
}

/** `maybe`: it depends on the schema, which the statement does not say. */
type Fit = 'yes' | 'maybe' | 'no'
type NamePattern = (name: Name) => Fit
type Decided = { readonly action: GuardAction; readonly rule: GuardRule | null }

const nothingDone: Verdict = { action: 'allow', rule: null, message: null, about: 'nothing' }

function matcherOf(rule: GuardRule): Matcher {
  return {
    rule,
    kinds: rule.kinds === null ? null : new Set(rule.kinds),
    tables: rule.tables?.map(namePattern) ?? null,
    functions: rule.functions?.map(namePattern) ?? null,
  }
}

/** A pattern without a schema fits in every one. */
function namePattern(pattern: string): NamePattern {
  const dot = pattern.lastIndexOf('.')
  const last = globPattern(pattern.slice(dot + 1))
  const first = globPattern(dot < 0 ? '*' : pattern.slice(0, dot))
  const everySchema = first.test('') && first.test('*')
  const everyName = last.test('') && last.test('*')
  return ({ schema, name }) => {
    if (name === everyTable && schema !== null) return first.test(schema) ? (everyName ? 'yes' : 'maybe') : 'no'
    if (!last.test(name)) return 'no'
    if (schema === null) return everySchema ? 'yes' : 'maybe'
    return first.test(schema) ? 'yes' : 'no'
  }
}

/** The first rule that surely fits ends the search; where one may fit, the stricter of it and what follows counts. */
function decide(matchers: readonly Matcher[], fit: (matcher: Matcher) => Fit, otherwise: GuardAction): Decided {
  let strictest: Decided | undefined
  for (const matcher of matchers) {
    const fits = fit(matcher)
    if (fits === 'no') continue
    const { rule } = matcher
    strictest = stricterOf(strictest, { action: rule.action, rule })
    if (fits === 'yes') return strictest
  }
  return stricterOf(strictest, { action: otherwise, rule: null })
}

function stricterOf(left: Decided | undefined, right: Decided): Decided {
  return left !== undefined && rank(left.action) >= rank(right.action) ? left : right
}

function rank(action: GuardAction): number {
  return guardActions.indexOf(action)
}

function doingFits({ rule, kinds, tables }: Matcher, { kind, table, whereMissing }: Doing, several: boolean): Fit {
  if (kinds !== null && !kinds.has(kind)) return 'no'
  if ((rule.whereMissing && !whereMissing) || (rule.several && !several)) return 'no'
  if (tables === null) return 'yes'
  return table === null ? 'no' : best(tables, table)
}

function callFits({ rule, kinds, functions }: Matcher, name: Name, { doings }: StatementFacts, several: boolean): Fit {
  if (kinds !== null && !doings.some(({ kind }) => kinds.has(kind))) return 'no'
  if (rule.several && !several) return 'no'
  return best(functions ?? [], name)
}

function best(patterns: readonly NamePattern[], name: Name): Fit {
  const fits = patterns.map((pattern) => pattern(name))
  if (fits.includes('yes')) return 'yes'
  return fits.includes('maybe') ? 'maybe' : 'no'
}

function stricter(before: Verdict, { action, rule }: Decided, about: () => string): Verdict {
  if (rank(action) <= rank(before.action)) return before
  return { action, rule: rule?.name ?? null, message: rule?.message ?? null, about: about() }
}

/** The parser's words quote the statement, and so perhaps a password: they are for the person alone. */
function unreadable(
  rules: readonly GuardRule[],
  { unparsable, isSyntax }: Extract<Reading, { unparsable: string }>,
): Verdict {
  const rule = rules.find(({ kinds }) => kinds?.includes('unparsable') === true) ?? null
  return {
    action: rule?.action ?? 'refuse',
    rule: rule?.name ?? null,
    message: rule?.message ?? null,
    about: `it cannot be read: ${isSyntax ? 'a syntax error' : unparsable}`,
  }
}

function doingWords({ kind, table, whereMissing }: Doing): string {
  const what = table === null ? kind : `${kind} on ${nameWords(table)}`
  return whereMissing ? `${what} without WHERE` : what
}

/** Names are as long as somebody likes. */
function nameWords({ schema, name }: Name): string {
  const whole = schema === null ? name : `${schema}.${name}`
  return whole.length > 130 ? `${whole.slice(0, 129)}…` : whole
}
