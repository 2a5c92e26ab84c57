import { parseDurationMs } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'

/** What a client asks for with its connection: `options='-c curfew.reason=… -c curfew.for=30m'`. */
export interface InlineWish {
  readonly reason: string
  /** Null: as long as the policy offers. */
  readonly lengthMs: number | null
  readonly ticket: string | null
}

export interface TakenApart {
  /** Null when nothing is said for the gateway. */
  readonly wish: InlineWish | null
  /** What is left for the target, as it was written. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

const prefix = 'curfew.'
const names = ['reason', 'for', 'ticket'] as const

/**
 * Takes the gateway's own settings out of what a client sends at the start: out of `options`, and those that drivers send
 * as parameters of their own. The last of a name counts, as at the server.
 * @throws Fault INPUT_INVALID for a setting that there is not, LENGTH_REFUSED for a length that is none
 */
export function takeOwnSettings(parameters: TakenApart['parameters']): TakenApart {
  const said = new Map<string, string>()
  const left: (readonly [string, string])[] = []
  for (const [name, value] of parameters) {
    if (name === 'options') {
      const { own, rest } = readOptions(value)
      for (const [setting, text] of own) said.set(setting, text)
      if (rest.trim() !== '' || own.length === 0) left.push([name, rest])
    } else if (name.toLowerCase().startsWith(prefix)) said.set(name.toLowerCase().slice(prefix.length), value)
    else left.push([name, value])
  }
  return { wish: said.size === 0 ? null : wishOf(said), parameters: left }
}

function wishOf(said: ReadonlyMap<string, string>): InlineWish {
  for (const name of said.keys()) {
    if (names.some((known) => known === name)) continue
    throw new Fault('INPUT_INVALID', `There is no setting "${prefix}${name.slice(0, 64)}".`, {
      hint: `There are ${names.map((known) => prefix + known).join(', ')}.`,
    })
  }
  const length = said.get('for')
  const lengthMs = length === undefined ? null : parseDurationMs(length)
  if (lengthMs === undefined) {
    throw new Fault('LENGTH_REFUSED', 'curfew.for is not a length of time.', { hint: 'Such as 30m or 2h.' })
  }
  return { reason: said.get('reason') ?? '', lengthMs, ticket: said.get('ticket') || null }
}

interface Options {
  readonly own: readonly (readonly [name: string, value: string])[]
  readonly rest: string
}

/**
 * Splits as the server does: at white space, `\` takes the next character as it is; `-c name=value` or `--name=value`. A
 * value of ours may also stand in quotes.
 * @see PostgreSQL manual, "Connections and Authentication", `options`; the server's command line, `-c` and `--name=value`
 */
function readOptions(options: string): Options {
  const own: (readonly [string, string])[] = []
  let rest = ''
  let from = 0
  for (const argument of argumentsIn(options)) {
    const mine = ownSetting(options, argument)
    if (mine === undefined) continue
    if (argument.start < from) continue // inside a quoted value that was taken already
    own.push([mine.name, mine.value])
    rest += options.slice(from, argument.start)
    from = mine.end
  }
  return { own, rest: rest + options.slice(from) }
}

interface Argument {
  /** `name=value`, without `-c` or `--`, and without escapes. */
  readonly setting: string
  /** Where the argument begins in the text, with its `-c`. */
  readonly start: number
  /** Where its setting begins. */
  readonly settingStart: number
  readonly end: number
}

function* argumentsIn(options: string): Generator<Argument> {
  let switchedAt: number | undefined
  for (const word of wordsIn(options)) {
    const { text, start, end } = word
    if (switchedAt !== undefined) {
      yield { setting: text, start: switchedAt, settingStart: start, end }
      switchedAt = undefined
    } else if (text === '-c') switchedAt = start
    else if (text.startsWith('-c') || text.startsWith('--')) {
      yield { setting: text.slice(2), start, settingStart: start + 2, end }
    }
  }
}

interface Word {
  readonly text: string
  readonly start: number
  readonly end: number
}

const isSpace = (character: string | undefined) => character !== undefined && /[ \t\n\v\f\r]/.test(character)

/** As the server splits `options`. */
export function* wordsIn(options: string): Generator<Word> {
  let at = 0
  for (;;) {
    while (isSpace(options[at])) at++
    if (at >= options.length) return
    const start = at
    let text = ''
    while (at < options.length && !isSpace(options[at])) {
      if (options[at] === '\\') at++
      text += options[at] ?? ''
      at++
    }
    at = Math.min(at, options.length)
    yield { text, start, end: at }
  }
}

function ownSetting(
  options: string,
  { setting, settingStart, end }: Argument,
): { readonly name: string; readonly value: string; readonly end: number } | undefined {
  const equals = setting.indexOf('=')
  const name = (equals < 0 ? setting : setting.slice(0, equals)).toLowerCase()
  if (!name.startsWith(prefix)) return undefined
  const value = equals < 0 ? '' : setting.slice(equals + 1)
  return { name: name.slice(prefix.length), ...(quoted(options, settingStart) ?? { value, end }) }
}

/** `name='some words'`: from one quote to the next. */
function quoted(options: string, settingStart: number): { readonly value: string; readonly end: number } | undefined {
  const valueStart = options.indexOf('=', settingStart) + 1
  const quote = options[valueStart]
  if (quote !== "'" && quote !== '"') return undefined
  const close = options.indexOf(quote, valueStart + 1)
  if (close < 0 || !(close + 1 === options.length || isSpace(options[close + 1]))) return undefined
  return { value: options.slice(valueStart + 1, close), end: close + 1 }
}
