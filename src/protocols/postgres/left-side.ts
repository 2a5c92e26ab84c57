import { endsExpression } from './expression-ends.ts'
import type { Token } from './sql-tokens.ts'

/** Where a string stands. */
export type Place = Pick<Token, 'from' | 'to' | 'contentFrom' | 'contentTo'>

/** So many strings of one expression are remembered. */
const rememberedMax = 64
const none: readonly (Place | number)[] = []

/** Remembers what stands before a comparison: `'…' = password`, `crypt($1, password) = password`. */
export class LeftSide {
  readonly #sql: string
  /** Strings, and numbers of parameters. */
  #remembered: (Place | number)[] = []
  /** So many before them are forgotten. */
  #forgotten = 0
  /** For each bracket and CASE that is open, and without any: how many came before its expression. */
  readonly #begins = [0]
  /** Which of those are a CASE. */
  readonly #isCase = [false]
  /** Those that are compared with what comes now. */
  #compared: { readonly from: number; readonly to: number } | null = null

  constructor(sql: string) {
    this.#sql = sql
  }

  /** Where the first begins of which what follows may tell that it is a secret. */
  get from(): number | undefined {
    return this.#remembered.find((one) => typeof one !== 'number')?.from
  }

  /**
   * @param isPlain nothing of the token was taken out.
   * @param word in small letters, of a word without quotes.
   * @returns what stands before, if `token` makes it a secret.
   */
  comparedWith(token: Token, isPlain: boolean, isSecretName: boolean, word: string): readonly (Place | number)[] {
    switch (token.kind) {
      case 'string':
      case 'dollar-string': {
        this.#compared = null
        if (isPlain) {
          const { from, to, contentFrom, contentTo } = token
          this.#remember({ from, to, contentFrom, contentTo })
        }
        return none
      }
      case 'other':
        this.#other(token)
        return none
      default:
        return this.#word(token, isSecretName, word)
    }
  }

  #remember(one: Place | number): void {
    if (this.#remembered.length >= rememberedMax) this.#forget()
    this.#remembered.push(one)
  }

  get #count(): number {
    return this.#forgotten + this.#remembered.length
  }

  #forget(): void {
    this.#forgotten = this.#count
    this.#remembered = []
  }

  #other({ from, to }: Token): void {
    const character = this.#sql[from]!
    switch (character) {
      case '$':
        this.#remember(Number(this.#sql.slice(from + 1, to)))
        break
      case '(':
        this.#open(false)
        return // `'…' = (password)`
      case ')':
        while (this.#isCase.at(-1) === true) this.#close()
        this.#close()
        break
      case ';':
        while (this.#begins.length > 1) this.#close() // also what `END CASE` opened
        this.#over()
        break
      case ',':
        this.#over()
        break
      case '.':
        return // `'…' = u.password`
      case '=':
      case '<':
      case '>':
      case '!':
      case '~':
        this.#compared = { from: this.#begins.at(-1)!, to: this.#count }
        return
    }
    this.#compared = null
  }

  #word({ to }: Token, isSecretName: boolean, word: string): readonly (Place | number)[] {
    const compared = this.#compared
    if (compared !== null) {
      if (isSecretName) {
        this.#compared = null
        const [from, until] = [compared.from - this.#forgotten, compared.to - this.#forgotten]
        return this.#remembered.slice(Math.max(0, from), Math.max(0, until))
      }
      const next = this.#sql[to]
      if (next !== '.' && next !== '(') this.#compared = null // no table's name, nor a function's
    }
    if (word === 'case') this.#open(true)
    else if (word === 'end' && this.#isCase.at(-1) === true) this.#close()
    else if (this.#remembered.length > 0 && endsExpression(word)) this.#over()
    return none
  }

  #open(isCase: boolean): void {
    this.#begins.push(this.#count)
    this.#isCase.push(isCase)
  }

  #close(): void {
    if (this.#begins.length === 1) return
    this.#begins.pop()
    this.#isCase.pop()
  }

  #over(): void {
    this.#compared = null
    if (this.#begins.length === 1) this.#forget()
    this.#begins[this.#begins.length - 1] = this.#count
  }
}
