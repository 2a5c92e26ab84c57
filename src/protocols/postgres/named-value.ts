import { endsExpression } from './expression-ends.ts'

/** They may stand between a name and its secret: `password is not null`, `encrypted`, `collate`. */
const between: ReadonlySet<string> = new Set(['is', 'not', 'distinct', 'encrypted', 'collate'])
/** What follows them is compared or assigned. */
const operators: ReadonlySet<string> = new Set([
  ...['in', 'any', 'all', 'some', 'array', 'like', 'ilike', 'similar', 'default', 'operator'],
])

/**
 * - `name`: the name of a secret was the last thing; a string here is the secret, as in OPTIONS (password '…').
 * - `given`: that string was the last thing; strings that follow each other are one.
 * - `near`: the name is part of what stands here, as in `lower(password)` or `password text`: what is compared with it,
 *   or assigned, is a secret.
 * - `value`: within what is compared or assigned, up to the end of that expression.
 */
type Stage = 'none' | 'name' | 'given' | 'near' | 'value'

/** Knows, token by token, whether what stands here is given to something that is named like a secret. */
export class NamedValue {
  #stage: Stage = 'none'
  #depth = 0
  /** Of brackets, where the value began. */
  #base = 0
  /** The deepest bracket that is open and holds a name of a secret; 0 for none. */
  #namedDepth = 0
  /** CASE within the value. */
  #cases = 0
  #word = ''
  /** A string that is such a name was the last thing: behind a comma comes what it names, as in `jsonb_build_object('password', '…')`. */
  #isKey = false
  /** The deepest bracket that is open and a list to compare with, `in ('password', 'token')`: names, and nothing that they name. */
  #listDepth = 0

  get isSecret(): boolean {
    return this.#stage === 'name' || this.#stage === 'given' || this.#stage === 'value'
  }

  /** The value itself is being said: `= …`, and not only the name. */
  get isValue(): boolean {
    return this.#stage === 'value'
  }

  /** The rest of the bracket that is open is given to a secret. */
  bracket(): void {
    this.#begin(this.#depth - 1)
  }

  name(): void {
    this.#namedDepth = this.#depth
    if (this.#stage !== 'value') this.#stage = 'name'
    this.#word = ''
  }

  /** A string that is such a name, as in `data->>'password' = '…'`. */
  key(): void {
    this.#isKey = this.#depth > 0 && this.#depth !== this.#listDepth
    this.#namedDepth = this.#depth
    if (this.#stage === 'none') this.#stage = 'near'
  }

  /** A string or a parameter. */
  given(): void {
    this.#word = ''
    this.#isKey = false
    if (this.#stage === 'near') this.#stage = 'none'
    else if (this.#stage !== 'name') return
    // `set_password('bob', '…')`: which of them it is, nobody knows.
    else if (this.#depth > this.#namedDepth) this.bracket()
    else this.#stage = 'given'
  }

  /** @param word in small letters; '' for a quoted name. */
  word(word: string): void {
    const before = this.#word
    this.#word = word
    if (this.#stage === 'none') return
    if (this.#stage === 'value') this.#wordInValue(word)
    else if (this.#stage === 'given') this.#stage = 'none'
    else if (before === 'set' && word !== 'default') this.#stage = 'none' // a table of that name
    else if (this.#begins(word, before)) this.#begin()
    else if (between.has(word)) return
    else if (word === 'set' && this.#stage === 'name') return // `alter column password set default '…'`
    else if (endsExpression(word)) this.#stage = 'none'
    else this.#stage = this.#namedDepth === this.#depth ? 'near' : 'none'
  }

  #begins(word: string, before: string): boolean {
    return (
      operators.has(word) || (word === 'to' && this.#stage === 'name') || (word === 'from' && before === 'distinct')
    )
  }

  #wordInValue(word: string): void {
    if (word === 'case') this.#cases += 1
    else if (word === 'end' && this.#cases > 0) this.#cases -= 1
    else if (this.#depth === this.#base && this.#cases === 0 && endsExpression(word)) this.#stage = 'none'
  }

  /** @param character of an operator, a bracket, a comma; each by itself. */
  sign(character: string): void {
    const [before, isKey] = [this.#word, this.#isKey]
    this.#word = ''
    this.#isKey &&= character === ':'
    switch (character) {
      case '(':
      case '[':
        this.#depth += 1
        if (before === 'in') this.#listDepth = this.#depth
        if (this.#stage === 'given') this.#stage = 'none'
        break
      case ')':
      case ']':
        this.#close()
        break
      case ',':
        if (this.#stage !== 'value' || (this.#depth === this.#base && this.#cases === 0)) this.#stage = 'none'
        if (isKey && this.#stage === 'none') this.#begin()
        break
      case ';':
        this.#stage = 'none'
        this.#depth = this.#namedDepth = this.#listDepth = 0
        break
      case '=':
      case '<':
      case '>':
      case '!':
      case '~':
        if (this.#stage === 'name' || this.#stage === 'near') this.#begin()
        break
      case ':':
      case '*':
      case '|':
        break
      case '.':
        if (this.#stage === 'name' || this.#stage === 'given') this.#stage = 'none'
        break
      default:
        if (this.#stage === 'name') this.#stage = 'near' // `secret->>'key' = '…'`
        else if (this.#stage === 'given') this.#stage = 'none'
    }
  }

  number(): void {
    this.#word = ''
    if (this.#stage === 'name' && this.#depth > this.#namedDepth) this.bracket()
    else if (this.#stage === 'name' || this.#stage === 'given') this.#stage = 'none'
  }

  #begin(base = this.#depth): void {
    this.#stage = 'value'
    this.#base = base
    this.#cases = 0
  }

  /** What a bracket held that is closed now, `(password, name)`, is compared as a whole. */
  #close(): void {
    this.#depth = Math.max(0, this.#depth - 1)
    const heldName = this.#namedDepth > this.#depth
    this.#namedDepth = Math.min(this.#namedDepth, this.#depth)
    if (this.#listDepth > this.#depth) this.#listDepth = 0
    if (this.#stage === 'value' && this.#depth >= this.#base) return
    if (heldName) this.#stage = 'near'
    else if (this.#stage !== 'near') this.#stage = 'none'
  }
}
