import { Environment, EvaluationError, ParseError, TypeError } from '@marcbachmann/cel-js'
import type { ASTNode } from '@marcbachmann/cel-js'
import type { Instant } from '../kernel/time.ts'
import { isCountryCode, type Country } from './countries.ts'
import { globPattern } from './glob.ts'
import { isIn, networksOf, readNetwork } from './networks.ts'
import type { Risk } from './risk.ts'
import { isZone, wallClock, weekdays } from './wall-clock.ts'

/** What a condition may look at. Absent facts are not known yet. */
export interface ConditionFacts {
  readonly person: {
    /** Absent: a person. */
    readonly kind?: 'person' | 'machine'
    readonly email: string | null
    readonly name?: string | null
    readonly groups: readonly string[]
    readonly claims?: Readonly<Record<string, readonly string[]>>
  }
  readonly resource: { readonly name: string; readonly kind: string; readonly labels: Readonly<Record<string, string>> }
  readonly role: string
  readonly request?: { readonly lengthMs: number; readonly reason: string; readonly ticket: string | null } | undefined
  readonly client?: { readonly address: string; readonly country?: Country | undefined } | undefined
  readonly at?: Instant | undefined
  /** Null: it was not worked out, and is not known either. */
  readonly risk?: RiskFacts | null | undefined
}

export type RiskFacts = Pick<Risk, 'score' | 'level'> & {
  readonly factors: readonly Pick<Risk['factors'][number], 'code'>[]
}

/** `unknown`: it hangs on a fact that is not known yet. `failed`: it cannot be worked out. */
export type ConditionResult = boolean | 'unknown' | { readonly failed: string }

/** One expression in CEL (Common Expression Language), parsed and checked. */
export interface Condition {
  readonly text: string
  /** Claims of the person that it looks at. */
  readonly claims: readonly string[]
  /** Whether what the clock shows matters. It looks at whole quarters of an hour, no finer. */
  readonly looksAtTime: boolean
  readonly looksAtCountry: boolean
  evaluate(facts: ConditionFacts): ConditionResult
}

/** What is wrong with a condition, and where: an offset into its text. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError'
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

export const conditionLengthMax = 2000
/** With at most this many parts, and one walk through a list at a time, the worst takes some milliseconds. */
const limits = { maxAstNodes: 200, maxDepth: 24, maxListElements: 100, maxMapEntries: 20, maxCallArguments: 8 }
const walks = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'cel.bind'])

/** Opaque to conditions: they ask it for what a clock on the wall shows. */
class Clock {
  readonly at: Instant

  constructor(at: Instant) {
    this.at = at
  }
}

const environment = new Environment({ limits })
  .registerType('Clock', { ctor: Clock, fields: {} })
  .registerVariable({
    name: 'person',
    schema: {
      ...{ kind: 'string', email: 'string', name: 'string', groups: 'list<string>' },
      claims: 'map<string, list<string>>',
    },
  })
  .registerVariable({ name: 'resource', schema: { name: 'string', kind: 'string', labels: 'map<string, string>' } })
  .registerVariable('role', 'string')
  .registerVariable({ name: 'request', schema: { minutes: 'int', reason: 'string', ticket: 'string' } })
  .registerVariable({ name: 'client', schema: { address: 'string', protocol: 'string', country: 'string' } })
  .registerVariable({ name: 'risk', schema: { score: 'int', level: 'string', factors: 'list<string>' } })
  .registerVariable('time', 'Clock')
  .registerFunction('Clock.hour(string): int', (clock: Clock, zone: string) =>
    BigInt(Math.floor(wallClock(clock.at, zone).minute / 60)),
  )
  .registerFunction(
    'Clock.weekday(string): string',
    (clock: Clock, zone: string) => weekdays[wallClock(clock.at, zone).day - 1]!,
  )
  .registerFunction('string.glob(string): bool', (text: string, pattern: string) => globPattern(pattern).test(text))
  .registerFunction('string.inNetwork(string): bool', (address: string, network: string) =>
    isIn(networksOf([network]), address),
  )

/** @throws ConditionError when it is no CEL, names what is not there, is no bool, or may take too long. */
export function compileCondition(text: string): Condition {
  if (text.length > conditionLengthMax) {
    throw new ConditionError(`a condition has at most ${conditionLengthMax} characters`, conditionLengthMax)
  }
  const parsed = parsedAndChecked(text)
  const nodes = [...nodesOf(parsed.ast, 0)]
  for (const { node, walksAround } of nodes) refuseCostly(node, walksAround)
  const names = new Set(nodes.flatMap(({ node }) => (node.op === 'id' ? [node.args] : [])))
  const claims = [...new Set(nodes.flatMap(({ node }) => claimOf(node)))]
  return {
    text,
    claims,
    looksAtTime: names.has('time'),
    looksAtCountry: names.has('client') && nodes.some(({ node }) => namesCountry(node)),
    evaluate: (facts) => evaluate(parsed, facts),
  }
}

function parsedAndChecked(text: string) {
  try {
    const parsed = environment.parse(text)
    const { type, error } = parsed.check()
    if (error !== undefined) throw error
    if (type !== 'bool') throw new ConditionError(`it is a ${type}, and must be true or false`, 0)
    return parsed
  } catch (error) {
    if (error instanceof ParseError || error instanceof TypeError || error instanceof EvaluationError) {
      throw new ConditionError(error.summary, error.range?.start ?? 0)
    }
    throw error
  }
}

interface Found {
  readonly node: ASTNode
  /** How many walks through a list it stands in. */
  readonly walksAround: number
}

function* nodesOf(node: ASTNode, walksAround: number): Generator<Found> {
  yield { node, walksAround }
  const inside = isWalk(node) ? walksAround + 1 : walksAround
  for (const child of childrenOf(node.args)) yield* nodesOf(child, inside)
}

function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf)
  return typeof args === 'object' && args !== null && 'op' in args && 'args' in args ? [args as ASTNode] : []
}

function isWalk(node: ASTNode): boolean {
  return node.op === 'rcall' && walks.has(node.args[0])
}

function refuseCostly(node: ASTNode, walksAround: number): void {
  if (node.op !== 'rcall' && node.op !== 'call') return
  const [name] = node.args
  if (name === 'matches') {
    throw new ConditionError('matches() is not offered, as regular expressions can hang; use glob()', node.start)
  }
  if (walksAround > 0 && isWalk(node)) throw new ConditionError(`${name}() stands inside another such call`, node.start)
  const argument = node.op === 'rcall' ? node.args[2][0] : undefined
  const value = argument?.op === 'value' ? argument.args : undefined
  if ((name === 'hour' || name === 'weekday') && (typeof value !== 'string' || !isZone(value))) {
    throw new ConditionError(`${name}() takes a time zone, such as "Europe/Berlin"`, argument?.start ?? node.start)
  }
  if (name === 'inNetwork' && (typeof value !== 'string' || readNetwork(value) === undefined)) {
    throw new ConditionError('inNetwork() takes a network, such as "10.0.0.0/8"', argument?.start ?? node.start)
  }
}

/** `person.claims.department` or `person.claims["department"]`; another way would leave open which claims to keep. */
function claimOf(node: ASTNode): readonly string[] {
  if (node.op === '.' && isClaims(node.args[0])) return [node.args[1]]
  if (node.op !== '[]' || !isClaims(node.args[0])) return []
  const [, key] = node.args
  if (key.op === 'value' && typeof key.args === 'string') return [key.args]
  throw new ConditionError('a claim is named by a text, such as person.claims["department"]', key.start)
}

function isClaims(node: ASTNode): boolean {
  return node.op === '.' && node.args[1] === 'claims' && node.args[0].op === 'id' && node.args[0].args === 'person'
}

/** Of whatever; a variable could stand for the client. */
function namesCountry(node: ASTNode): boolean {
  return (node.op === '.' && node.args[1] === 'country') || (node.op === 'value' && node.args === 'country')
}

type Parsed = ReturnType<typeof environment.parse>

function evaluate(parsed: Parsed, facts: ConditionFacts): ConditionResult {
  try {
    const result: unknown = parsed(contextOf(facts))
    return typeof result === 'boolean' ? result : { failed: 'it is neither true nor false' }
  } catch (error) {
    if (!(error instanceof EvaluationError)) return { failed: 'it cannot be worked out' }
    return error.code === 'unknown_variable' ? 'unknown' : { failed: error.summary }
  }
}

/** What is not known is left out: who looks at it gets an error that says so, unless the rest decides already. */
function contextOf({ person, resource, role, request, client, at, risk }: ConditionFacts) {
  const { kind = 'person', email, name, groups, claims = {} } = person
  return {
    person: { kind, email: email ?? '', name: name ?? '', groups, claims },
    resource: { name: resource.name, kind: resource.kind, labels: resource.labels },
    role,
    ...(request !== undefined && {
      request: {
        minutes: BigInt(Math.ceil(request.lengthMs / 60_000)),
        reason: request.reason,
        ticket: request.ticket ?? '',
      },
    }),
    ...(client !== undefined && {
      client: { address: client.address, protocol: resource.kind, country: codeOf(client.country) },
    }),
    ...(at !== undefined && { time: new Clock(at) }),
    ...(risk !== undefined && risk !== null && { risk: contextOfRisk(risk) }),
  }
}

function codeOf(country: Country | undefined): string {
  return country !== undefined && isCountryCode(country) ? country : ''
}

function contextOfRisk({ score, level, factors }: RiskFacts) {
  return { score: BigInt(score), level, factors: factors.map(({ code }) => code) }
}
