import { InsertColumns } from './insert-columns.ts'
import { NamedValue } from './named-value.ts'
import type { Token } from './sql-tokens.ts'

/** Names that a secret follows: the PASSWORD of a role, options of user mappings, columns in comparisons. */
export const secretName: RegExp =
  /^(?:\w*(?:password|passwd|passphrase|passcode)|(?:\w*_)?(?:pwd|secret|secret_?key|access_?key|api_?key|private_?key|token))$/i
/** No name of a secret is shorter, or ends in another letter. */
const secretNameCharsMin = 3
const secretNameEnd = /[detny]/i
/** The server's names are no longer. */
const nameCharsMax = 63
/** Longer words say nothing here. */
const wordCharsMax = 16
/** ALTER of these may hold a SET. */
const withSettings: ReadonlySet<string> = new Set(['system', 'role', 'user', 'database'])
const commandEnd = '_command'
const noValue: ReadonlySet<string> = new Set(['null', 'default', 'from', 'current', 'to'])

/** `bare`: it has no quotes, and ends where nobody knows. `command`: a string that is a command of a shell. */
export type Judged = 'secret' | 'bare' | 'command' | null

/** Knows, token by token, what is a secret. Everything up to the next `;` may matter. */
export class SecretFollower {
  /** A string before gave the beginning of a password: every string is suspect, up to the end of the statement. */
  tainted = false
  /** Numbers of the parameters that are secrets. */
  readonly parameters = new Set<number>()
  /** The last token was the name of a secret. */
  isName = false
  /** The last token in small letters, where it was a word without quotes. */
  word = ''
  readonly #sql: string
  readonly #insert = new InsertColumns()
  readonly #named = new NamedValue()
  #index = 0
  /** CREATE or ALTER comes first; then it is about a role. */
  #role: 'no' | 'verb' | 'yes' = 'no'
  /** SET, also within ALTER: a value there needs no quotes. */
  #isSetting = false
  /** The PASSWORD of a role was the last thing. */
  #isPasswordWord = false
  #last: 'program' | 'command' | 'set_config' | 'set_config(' | null = null

  constructor(sql: string) {
    this.#sql = sql
  }

  judge(token: Token): Judged {
    this.isName = false
    this.word = ''
    const judged = this.#judge(token)
    this.#index += 1
    return judged
  }

  #judge(token: Token): Judged {
    if (token.kind === 'other') return this.#other(token)
    if (token.kind === 'word' || token.kind === 'quoted-name') return this.#word(token)
    return this.#string(token)
  }

  #string(token: Token): Judged {
    const { contentFrom, contentTo } = token
    const last = this.#last
    const isSecret = this.#isSecret
    this.#last = null
    this.#isPasswordWord = false
    this.#named.given()
    if (isSecret) return 'secret'
    if (last === 'program' || last === 'command') return 'command'
    if (contentTo - contentFrom <= nameCharsMax && (this.#isSecretName(token) || this.#isSecretPath(token))) {
      this.#named.key()
    }
    if (last === 'set_config(') {
      const name = this.#sql.slice(contentFrom, Math.min(contentTo, contentFrom + 128))
      if (secretName.test(name.slice(name.lastIndexOf('.') + 1))) this.#named.bracket()
    }
    return null
  }

  get #isSecret(): boolean {
    return this.#named.isSecret || this.tainted || this.#insert.isSecret
  }

  #other({ from, to }: Token): Judged {
    const character = this.#sql[from]!
    if (character === '$') return this.#parameter(Number(this.#sql.slice(from + 1, to)))
    const isNumber = /\d/.test(character)
    if (this.#isBare(isNumber, character)) return 'bare'
    this.#isPasswordWord &&= /[=:(]/.test(character)
    if (isNumber) this.#named.number()
    else this.#sign(character)
    return null
  }

  /** `ALTER ROLE r PASSWORD 1234`: a mistake, and a secret all the same. */
  #isBare(isNumber: boolean, character: string): boolean {
    if (this.#isSetting && this.#named.isValue && isNumber) return true
    return this.#isPasswordWord && !/[=:(;,)]/.test(character)
  }

  #sign(character: string): void {
    if (this.#last === 'set_config' && character === '(') this.#last = 'set_config('
    else if (this.#last !== 'command' || character !== '=') this.#last = null
    this.#named.sign(character)
    this.#insert.sign(character)
    if (character !== ';') return
    this.tainted = this.#isSetting = false
    this.#role = 'no'
    this.#index = -1
  }

  #parameter(number: number): null {
    this.#last = null
    this.#isPasswordWord = false
    if (this.#isSecret) this.parameters.add(number)
    this.#named.given()
    return null
  }

  #word(token: Token): Judged {
    const isCommand = this.#last === 'command'
    this.#last = null
    const isUnquoted = token.kind === 'word'
    const word = this.#sql
      .slice(token.contentFrom, Math.min(token.contentTo, token.contentFrom + wordCharsMax))
      .toLowerCase()
    if (!noValue.has(word) && (this.#isPasswordWord || (this.#isSetting && this.#named.isValue))) {
      this.#isPasswordWord = false
      return 'bare'
    }
    const isName = this.#isSecretName(token)
    this.isName = isName
    this.word = isUnquoted ? word : ''
    this.#insert.word(this.word, isName)
    if (isUnquoted) this.#keyword(word)
    if (this.#isSetting && ((isCommand && word === 'to') || this.#isCommandName(token))) this.#last = 'command'
    if (isName) this.#named.name()
    else this.#named.word(this.word)
    const isPassword = word === 'password' && isUnquoted && this.#role === 'yes' && this.#index > 2
    this.#isPasswordWord = isPassword || (this.#isPasswordWord && word === 'to')
    return null
  }

  #keyword(word: string): void {
    if (this.#index === 0) this.#role = word === 'create' || word === 'alter' ? 'verb' : 'no'
    if (this.#index === 1 && this.#role === 'verb') {
      this.#role = /^(?:role|user|group)$/.test(word) ? 'yes' : 'no'
      this.#isSetting = withSettings.has(word)
    } else if (this.#index === 0) this.#isSetting = word === 'set'
    else if (word === 'program') this.#last = 'program'
    else if (word === 'set_config') this.#last = 'set_config'
  }

  /** `archive_command` and its like: a shell gets what they are set to. */
  #isCommandName({ contentTo }: Token): boolean {
    return this.#sql.slice(contentTo - commandEnd.length, contentTo).toLowerCase() === commandEnd
  }

  /** `{login,password}`: a path into JSON, which ends in such a name. */
  #isSecretPath({ contentFrom, contentTo }: Token): boolean {
    if (this.#sql[contentTo - 1] !== '}') return false
    const last = /[{,]\s*"?(\w+)"?\s*\}$/.exec(this.#sql.slice(contentFrom, contentTo))?.[1]
    return last !== undefined && secretName.test(last)
  }

  #isSecretName({ contentFrom, contentTo }: Token): boolean {
    if (contentTo - contentFrom < secretNameCharsMin || !secretNameEnd.test(this.#sql[contentTo - 1]!)) return false
    return secretName.test(this.#sql.slice(contentFrom, contentTo))
  }
}
