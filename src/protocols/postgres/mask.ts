import { SqlTokens, type Token } from './sql-tokens.ts'

/** What stands in the place of a password. */
export const mask = '[masked]'

/** Names that a secret follows: the PASSWORD of a role, options of user mappings, columns in comparisons. */
const secretName =
  /^(?:\w*_)?(?:password|passwd|passphrase|passcode|sslpassword|secret|secret_?key|access_?key|api_?key)$/i
/** Without any of these a text is left alone, which is nearly always. */
const worthLooking = /pass(?:word|wd|phrase|code)|secret|(?:access|api)_?key|:\/\//i
/** `password=…` in a connection string, up to where it must end; a quoted one is taken to the end of the text. */
const pairSecret =
  /((?:ssl)?(?:password|passwd|passphrase|passcode|secret)\s*=\s*)(?:[^\s'"\\&;,]+(?=[\s&;,]|$)|[\s\S]+)/gi
/** `scheme://name:password@host`: how long the name and the password may be. */
const [urlNameCharsMax, urlSecretCharsMax] = [256, 512]
const urlNameEnd: Uint8Array = table(/[\s/?#:@'"]/)
const urlSecretEnd: Uint8Array = table(/[\s@]/)
/** No name of a secret is shorter, or ends in another letter. */
const secretNameCharsMin = 6
const secretNameEnd = /[dety]/i
/** SQL inside a string that gives a password: what follows may be built from any of the strings behind it. */
const spokenSecret = /(pass(?:word|wd))(?:\s*(?:%|'|\\|"|\$|\|\||e'|u&')|\s+$)/i
/** In a function body only the tight form is a connection string; `password = new.password` is not. */
const tightSecret = /((?:ssl)?(?:password|passwd|passphrase)=)(?!')\S+/gi
const nestedMax = 4

/**
 * Takes passwords out of a statement: role and user passwords, options of user mappings and servers, connection
 * strings (subscriptions, dblink, COPY PROGRAM), comparisons with columns named like a secret, and all of those inside
 * function bodies and strings that are executed. When in doubt it takes too much.
 * It cannot know a secret that is not named: `INSERT INTO logins VALUES ('me', 'hunter2')`.
 * @param backslashes whether backslashes escape in plain strings (`standard_conforming_strings = off`).
 * @returns the statement with `'[masked]'` in their places.
 */
export function maskStatement(sql: string, backslashes = false): string {
  return worthLooking.test(sql) ? maskTokens(sql, backslashes, 0) : sql
}

/** The same for a text that is no SQL, such as a bound value: only connection strings are known. */
export function maskText(text: string): string {
  return worthLooking.test(text) ? maskPairs(text) : text
}

/** A value of a column that is named like a secret. */
export function secretValue<Value>(name: string, value: Value): Value | typeof mask {
  return secretName.test(name) ? mask : value
}

function maskPairs(text: string): string {
  return maskUrls(text).replaceAll(pairSecret, `$1${mask}`)
}

/** Looks at each character once or twice, whatever is in the text; a regular expression would try at every `://`. */
function maskUrls(text: string): string {
  let out = ''
  let [copied, secretEnd] = [0, -1]
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 1)) {
    if (at < copied) continue
    const nameFrom = at + '://'.length
    const nameEnd = firstOf(urlNameEnd, text, nameFrom)
    if (text[nameEnd] !== ':' || nameEnd - nameFrom > urlNameCharsMax) continue
    const from = nameEnd + 1
    if (secretEnd < from) secretEnd = firstOf(urlSecretEnd, text, from)
    if (text[secretEnd] !== '@' || secretEnd === from || secretEnd - from > urlSecretCharsMax) continue
    out += text.slice(copied, from) + mask
    copied = secretEnd
  }
  return out + text.slice(copied)
}

/** 1 for each character that matches. */
function table(character: RegExp): Uint8Array {
  return Uint8Array.from({ length: 0x1_0000 }, (_, code) => Number(character.test(String.fromCharCode(code))))
}

function firstOf(end: Uint8Array, text: string, from: number): number {
  let at = from
  while (at < text.length && end[text.charCodeAt(at)] === 0) at += 1
  return at
}

function maskTokens(sql: string, backslashes: boolean, depth: number): string {
  const follower = new Follower(sql)
  let out = ''
  let copied = 0
  const token = new SqlTokens(sql, backslashes)
  while (token.next()) {
    const masked = replacement(sql, token, follower.secretHere(token), backslashes, depth)
    if (masked === undefined) continue
    if (masked.spoken) follower.tainted = true
    out += sql.slice(copied, token.from) + masked.text
    copied = token.to
  }
  return out + sql.slice(copied)
}

/** Knows, token by token, whether a string would be a secret. */
class Follower {
  /** A string before gave the beginning of a password: every string is suspect, up to the end of the statement. */
  tainted = false
  #armed = false
  readonly #sql: string

  constructor(sql: string) {
    this.#sql = sql
  }

  secretHere(token: Token): boolean {
    const isString = token.kind === 'string' || token.kind === 'dollar-string'
    // Strings that follow each other are one string, so being armed lasts.
    if (isString) return this.#armed || this.tainted
    if (token.kind === 'other') this.#passOther(token)
    else this.#armed = this.#isSecretName(token)
    return false
  }

  #passOther({ from, to }: Token): void {
    const character = this.#sql[from]
    if (character === ';') this.tainted = false
    // `=`, `=>`, `:=`, a cast's or a call's brackets may stand between the name and the secret.
    this.#armed &&= to - from === 1 && /[=>:(|]/.test(character!)
  }

  #isSecretName({ contentFrom, contentTo }: Token): boolean {
    if (contentTo - contentFrom < secretNameCharsMin || !secretNameEnd.test(this.#sql[contentTo - 1]!)) return false
    return secretName.test(this.#sql.slice(contentFrom, contentTo))
  }
}

function replacement(
  sql: string,
  token: Token,
  secret: boolean,
  backslashes: boolean,
  depth: number,
): { text: string; spoken: boolean } | undefined {
  if (token.kind !== 'string' && token.kind !== 'dollar-string') return undefined
  if (secret) return { text: `'${mask}'`, spoken: false }
  const content = sql.slice(token.contentFrom, token.contentTo)
  if (!worthLooking.test(content)) return undefined
  const around = (inner: string) =>
    sql.slice(token.from, token.contentFrom) + inner + sql.slice(token.contentTo, token.to)
  if (token.kind === 'dollar-string') {
    if (depth >= nestedMax) return { text: `'${mask}'`, spoken: false }
    return { text: around(maskBody(content, backslashes, depth)), spoken: /pass(?:word|wd)\s*(?:%|$)/i.test(content) }
  }
  const spoken = spokenSecret.exec(content)
  if (spoken === null) return { text: around(maskPairs(content)), spoken: false }
  return { text: around(`${maskPairs(content.slice(0, spoken.index))}${spoken[1]} ${mask}`), spoken: true }
}

/** A dollar-quoted text is a plain string, or SQL with strings of its own. */
function maskBody(content: string, backslashes: boolean, depth: number): string {
  if (!/['$]/.test(content)) return maskPairs(content)
  return maskUrls(maskTokens(content, backslashes, depth + 1).replaceAll(tightSecret, `$1${mask}`))
}
