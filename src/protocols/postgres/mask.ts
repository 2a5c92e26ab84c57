import { LeftSide, type Place } from './left-side.ts'
import { maskCommand } from './mask-command.ts'
import { mask, maskPairs, maskText, maskUnfinishedUrl, maskUrls, worthLooking } from './mask-text.ts'
import { secretName, SecretFollower, type Judged } from './secret-follower.ts'
import { SqlTokens } from './sql-tokens.ts'

export { maskText } from './mask-text.ts'

/** SQL inside a string that gives a password: what follows may be built from any of the strings behind it. */
const spokenSecret = /(pass(?:word|wd|phrase))(?:\s*(?:%|'|\\|"|\$|\|\||e'|u&')|\s+$|\s*=\s*(?:%|'*$))/i
/** In a function body only the tight form is a connection string; `password = new.password` is not. */
const tightSecret = /((?:ssl)?(?:password|passwd|passphrase)=)(?!')\S+/gi
const nestedMax = 4
/** What is looked at of one statement: a sign is 1, a word or a string more. It takes some 25 ms. */
const workMax = 200_000
const [wordWork, stringWork] = [2, 8]
/** Servers quote nothing as long as this. */
const quotedCharsMax = 8192
/** Behind it, any of the values that are recorded may be a secret. */
const parametersMax = 256
/** `--x` */
const shortComment = 2
const bareEnd = /[^\s;]*/y

/**
 * Whether backslashes escape in plain strings (`standard_conforming_strings = off`). `unsure`: something is on its way
 * that may change it.
 */
export type Backslashes = boolean | 'unsure'

export interface Masked {
  readonly sql: string
  /** Numbers of the parameters whose values are secrets. */
  readonly parameters: ReadonlySet<number>
  /** It was too much work, or nobody knows how it is read: what is behind `sql` is not known, and not in it. */
  readonly isCut: boolean
}

/**
 * Takes passwords out of a statement: role and user passwords, options of user mappings and servers, connection
 * strings (subscriptions, dblink), commands of COPY PROGRAM, settings, and what is compared with, assigned to or inserted
 * into columns named like a secret; and all of those inside function bodies and strings that are executed. When in doubt
 * it takes too much. It cannot know a secret that is not named: `INSERT INTO logins VALUES ('me', 'hunter2')`.
 * @param isBeginning there is more of it, which is not looked at.
 * @returns the statement with `'[masked]'` in their places, and ` …` where it goes on and nobody knows how.
 */
export function maskStatement(text: string, backslashes: Backslashes = false, isBeginning = false): string {
  const { sql, isCut } = maskSecrets(text, backslashes, ignore, isBeginning)
  return isCut || isBeginning ? `${sql} …` : sql
}

/** The same, with what is needed to mask what belongs to it. @param found is given each secret that is taken out. */
export function maskSecrets(
  sql: string,
  backslashes: Backslashes,
  found: (secret: string) => void = ignore,
  isBeginning = false,
): Masked {
  if (!worthLooking.test(sql)) return { sql, parameters: none, isCut: false }
  const isUnsure = backslashes === 'unsure' && sql.includes("\\'")
  const masked = isUnsure
    ? maskBothWays(sql, found, isBeginning)
    : maskOneWay(sql, backslashes === true, found, isBeginning)
  return isBeginning ? { ...masked, sql: maskUnfinishedUrl(masked.sql) } : masked
}

function maskOneWay(
  sql: string,
  backslashes: boolean,
  found: (secret: string) => void,
  isBeginning: boolean,
  work = workMax,
): Masked {
  const masking = new Masking(backslashes, found, work, isBeginning)
  return { sql: masking.statement(sql, 0), parameters: masking.parameters, isCut: masking.isCut }
}

/** What either way of reading it shows is no secret, up to where they differ. */
function maskBothWays(sql: string, found: (secret: string) => void, isBeginning: boolean): Masked {
  const plain = maskOneWay(sql, false, found, isBeginning, workMax / 2)
  const escaping = maskOneWay(sql, true, found, isBeginning, workMax / 2)
  if (plain.sql === escaping.sql && !plain.isCut && !escaping.isCut) {
    return { ...plain, parameters: plain.parameters.union(escaping.parameters) }
  }
  let same = 0
  while (same < plain.sql.length && plain.sql[same] === escaping.sql[same]) same += 1
  return { sql: plain.sql.slice(0, same), parameters: all, isCut: true }
}

/** A value of a column that is named like a secret. */
export function secretValue<Value>(name: string, value: Value): Value | typeof mask {
  return secretName.test(name) ? mask : value
}

const none: ReadonlySet<number> = new Set()
const all: ReadonlySet<number> = new Set(Array.from({ length: parametersMax }, (_, index) => index + 1))

function ignore(): void {
  // nobody asked for them
}

/** What takes the place of parts of a text. */
class Edits {
  readonly #text: string
  readonly #byStart = new Map<number, { readonly to: number; readonly text: string }>()

  constructor(text: string) {
    this.#text = text
  }

  /** The last for a place counts. */
  set(from: number, to: number, text: string): void {
    this.#byStart.set(from, { to, text })
  }

  /** The text with them, up to `end`. */
  upTo(end: number): string {
    let out = ''
    let copied = 0
    for (const [from, { to, text }] of [...this.#byStart].sort(([one], [other]) => one - other)) {
      if (from >= end) break
      out += this.#text.slice(copied, from) + text
      copied = to
    }
    return out + this.#text.slice(copied, Math.max(copied, end))
  }
}

class Masking {
  parameters: ReadonlySet<number> = none
  #left: number
  readonly #backslashes: boolean
  readonly #found: (secret: string) => void
  readonly #isBeginning: boolean

  constructor(backslashes: boolean, found: (secret: string) => void, work: number, isBeginning: boolean) {
    this.#backslashes = backslashes
    this.#found = found
    this.#left = work
    this.#isBeginning = isBeginning
  }

  get isCut(): boolean {
    return this.#left < 0
  }

  statement(sql: string, depth: number): string {
    const follower = new SecretFollower(sql)
    const token = new SqlTokens(sql, this.#backslashes)
    const left = new LeftSide(sql)
    const edits = new Edits(sql)
    for (let before = 0; ; before = token.to) {
      const isOver = !token.next()
      const blankTo = isOver ? sql.length : token.from
      if (blankTo - before > shortComment) this.#comment(sql, before, blankTo, edits)
      if (isOver) break
      this.#left -= token.kind === 'word' ? wordWork : 1
      if (this.isCut) return this.#cut(edits.upTo(left.from ?? token.from))
      const masked = this.#replacement(sql, token, follower.judge(token), depth)
      for (const one of left.comparedWith(token, masked === undefined, follower.isName, follower.word)) {
        if (typeof one === 'number') follower.parameters.add(one)
        else edits.set(one.from, one.to, this.#hide(sql, one).text)
      }
      if (masked === undefined) continue
      this.#left -= stringWork
      if (masked.spoken) follower.tainted = true
      edits.set(token.from, token.to, masked.text)
    }
    if (depth === 0 && follower.parameters.size > 0) this.parameters = follower.parameters
    // What follows may say that it is a secret.
    const unknownFrom = depth === 0 && this.#isBeginning ? left.from : undefined
    return edits.upTo(unknownFrom ?? sql.length)
  }

  #comment(sql: string, from: number, to: number, edits: Edits): void {
    const text = sql.slice(from, to)
    const masked = maskText(text)
    if (masked !== text) edits.set(from, to, masked)
  }

  #cut(known: string): string {
    this.parameters = all
    return known
  }

  #replacement(
    sql: string,
    token: SqlTokens,
    judged: Judged,
    depth: number,
  ): { text: string; spoken: boolean } | undefined {
    if (judged === 'secret') return this.#hide(sql, token)
    if (judged === 'bare') return this.#hideBare(sql, token)
    if (token.kind !== 'string' && token.kind !== 'dollar-string') return undefined
    const content = sql.slice(token.contentFrom, token.contentTo)
    const around = (inner: string) =>
      sql.slice(token.from, token.contentFrom) + inner + sql.slice(token.contentTo, token.to)
    if (judged === 'command') return { text: around(this.#command(content)), spoken: false }
    if (!worthLooking.test(content)) return undefined
    if (token.kind === 'dollar-string') {
      if (depth >= nestedMax) return this.#hide(sql, token)
      return {
        text: around(this.#body(content, depth)),
        spoken: /pass(?:word|wd)\s*(?:%|$)/i.test(content),
      }
    }
    const spoken = spokenSecret.exec(content)
    if (spoken === null) return { text: around(maskPairs(content)), spoken: false }
    this.#found(content.slice(spoken.index + spoken[0].length).replaceAll(/^['"\s]+|['"\s]+$/g, ''))
    return { text: around(`${maskPairs(content.slice(0, spoken.index))}${spoken[1]} ${mask}`), spoken: true }
  }

  /** A server that cannot run it says the whole of it. */
  #command(content: string): string {
    const masked = maskCommand(content)
    if (masked !== content) this.#found(content)
    return masked
  }

  /** Up to the next blank or the end of the statement; a quote in it is open to the end of the text, as at the server. */
  #hideBare(sql: string, token: SqlTokens): { text: string; spoken: boolean } {
    this.#found(sql.slice(token.contentFrom, token.contentTo)) // servers quote a token
    const from = token.from
    bareEnd.lastIndex = token.to
    const more = bareEnd.exec(sql)![0]
    token.to = /['"]/.test(more) ? sql.length : token.to + more.length
    return this.#hide(sql, { from, to: token.to, contentFrom: from, contentTo: token.to })
  }

  #hide(sql: string, { contentFrom, contentTo }: Place): { text: string; spoken: boolean } {
    const content = sql.slice(contentFrom, contentTo)
    this.#found(content)
    if (content.length <= quotedCharsMax && content.includes("''")) this.#found(content.replaceAll("''", "'"))
    return { text: `'${mask}'`, spoken: false }
  }

  /** A dollar-quoted text is a plain string, or SQL with strings of its own. */
  #body(content: string, depth: number): string {
    if (!/['$]/.test(content)) return maskPairs(content)
    return maskUrls(this.statement(content, depth + 1).replaceAll(tightSecret, `$1${mask}`))
  }
}
