import { InsertColumns } from './insert-columns.ts'
import type { Token } from './sql-tokens.ts'

/** Names that a secret follows: the PASSWORD of a role, options of user mappings, columns in comparisons. */
export const secretName: RegExp =
  /^(?:\w*(?:password|passwd|passphrase|passcode)|(?:\w*_)?(?:pwd|secret|secret_?key|access_?key|api_?key|private_?key|token))$/i
/** No name of a secret is shorter, or ends in another letter. */
const secretNameCharsMin = 3
const secretNameEnd = /[detny]/i
/** They may stand between a name and its secret: `password in ('…')`, `not like '…'`. */
const between: ReadonlySet<string> = new Set([
  ...['is', 'not', 'distinct', 'from', 'like', 'ilike', 'similar', 'to', 'encrypted', 'collate'],
])
const listWords: ReadonlySet<string> = new Set(['in', 'any', 'all', 'some', 'array'])
const betweenCharsMax = 9

/** `command`: a string that is a command of a shell. */
export type Judged = 'secret' | 'command' | null

/** Knows, token by token, what is a secret. Everything up to the next `;` may matter. */
export class SecretFollower {
  /** A string before gave the beginning of a password: every string is suspect, up to the end of the statement. */
  tainted = false
  /** Numbers of the parameters that are secrets. */
  readonly parameters = new Set<number>()
  readonly #sql: string
  readonly #insert = new InsertColumns()
  #armed = false
  /** Inside the brackets of a list: a comma does not end it. */
  #isList = false
  #index = 0
  /** CREATE or ALTER comes first; then it is about a role. */
  #role: 'no' | 'verb' | 'yes' = 'no'
  #isPasswordWord = false
  #last: 'program' | 'set_config' | 'set_config(' | null = null

  constructor(sql: string) {
    this.#sql = sql
  }

  judge(token: Token): Judged {
    const judged = this.#judge(token)
    this.#index += 1
    return judged
  }

  #judge(token: Token): Judged {
    if (token.kind === 'other') return this.#other(token)
    if (token.kind === 'word' || token.kind === 'quoted-name') return this.#word(token)
    return this.#string(token)
  }

  #string({ contentFrom, contentTo }: Token): Judged {
    const last = this.#last
    this.#last = null
    this.#isPasswordWord = false
    // Strings that follow each other are one string, so being armed lasts.
    if (this.#armed || this.tainted || this.#insert.isSecret) return 'secret'
    if (last === 'program') return 'command'
    if (last === 'set_config(') {
      const name = this.#sql.slice(contentFrom, Math.min(contentTo, contentFrom + 128))
      this.#armed = this.#isList = secretName.test(name.slice(name.lastIndexOf('.') + 1))
    }
    return null
  }

  #other({ from, to }: Token): Judged {
    this.#isPasswordWord = false
    const character = this.#sql[from]!
    const isSign = to - from === 1
    if (isSign) this.#sign(character)
    else if (character === '$') this.#parameter(Number(this.#sql.slice(from + 1, to)))
    // `=`, `=>`, `:=`, other comparisons, a cast's or a call's brackets may stand between the name and the secret.
    this.#armed &&= (isSign && /[=<>!~*:(|[]/.test(character)) || (this.#isList && !/[)\]]/.test(character))
    this.#isList &&= this.#armed
    return null
  }

  #sign(character: string): void {
    this.#last = this.#last === 'set_config' && character === '(' ? 'set_config(' : null
    this.#insert.sign(character)
    if (character !== ';') return
    this.tainted = false
    this.#role = 'no'
    this.#index = -1
  }

  #parameter(number: number): void {
    this.#last = null
    if (this.#armed || this.#insert.isSecret) this.parameters.add(number)
  }

  #word(token: Token): Judged {
    this.#last = null
    const isName = this.isSecretName(token)
    const isUnquoted = token.kind === 'word'
    const text = this.#sql.slice(token.contentFrom, Math.min(token.contentTo, token.contentFrom + 16))
    this.#insert.word(text, isName)
    // `ALTER ROLE r PASSWORD hunter2`: a mistake, and a secret all the same.
    if (this.#isPasswordWord && text.toLowerCase() !== 'null') {
      this.#isPasswordWord = false
      return 'secret'
    }
    if (isUnquoted) this.#keyword(text)
    if (!(this.#armed && isUnquoted && this.#mayStandBetween(text))) this.#armed = isName
    if (!this.#armed) this.#isList = false
    this.#isPasswordWord = isName && isUnquoted && this.#role === 'yes' && this.#index > 2
    return null
  }

  #keyword(text: string): void {
    if (this.#index === 0) this.#role = /^(?:create|alter)$/i.test(text) ? 'verb' : 'no'
    else if (this.#index === 1 && this.#role === 'verb') this.#role = /^(?:role|user|group)$/i.test(text) ? 'yes' : 'no'
    else if (text.length === 7 && text.toLowerCase() === 'program') this.#last = 'program'
    else if (text.length === 10 && text.toLowerCase() === 'set_config') this.#last = 'set_config'
  }

  #mayStandBetween(text: string): boolean {
    if (text.length > betweenCharsMax) return false
    const word = text.toLowerCase()
    this.#isList ||= listWords.has(word)
    return this.#isList || between.has(word)
  }

  isSecretName({ contentFrom, contentTo }: Token): boolean {
    if (contentTo - contentFrom < secretNameCharsMin || !secretNameEnd.test(this.#sql[contentTo - 1]!)) return false
    return secretName.test(this.#sql.slice(contentFrom, contentTo))
  }
}
