/**
 * - `source`: columns are known, and what is inserted comes next: VALUES, or a query.
 * - `row`: of VALUES, or what a SELECT selects, by position.
 * - `from`: where such a query reads; rows of VALUES that stand there are all secret, as nobody knows their order.
 */
type Stage = 'none' | 'insert' | 'table' | 'columns' | 'source' | 'row' | 'from' | 'rows'

const wordCharsMax = 9

/** Where in `INSERT INTO t (name, password) VALUES (…), (…)` the secrets stand. It is told token by token. */
export class InsertColumns {
  #stage: Stage = 'none'
  readonly #secret = new Set<number>()
  #position = 0
  #depth = 0
  /** Nothing of the row has come. */
  #isFresh = false
  #isSelect = false

  /** Whether what comes now is a value of a column that is named like a secret. */
  get isSecret(): boolean {
    return this.#stage === 'row' ? this.#secret.has(this.#position) : this.#stage === 'rows' && this.#depth > 0
  }

  /** @param word in small letters; '' for a quoted name. */
  word(word: string, isSecretName: boolean): void {
    if (word === 'insert') return this.#at('insert')
    const isFresh = this.#isFresh
    this.#isFresh = false
    switch (this.#stage) {
      case 'insert':
        return this.#at(word === 'into' ? 'table' : 'none')
      case 'columns':
        if (isSecretName) this.#secret.add(this.#position)
        return
      case 'source':
        return this.#source(word)
      case 'row':
        if (isFresh) this.#source(word)
        else if (this.#isSelect && this.#depth === 1 && word.length <= wordCharsMax) this.#selected(word)
        return
      case 'from':
      case 'rows':
        if (word === 'values') this.#begin('rows', 0)
        else if (isUnion(word)) this.#at('source')
        return
      case 'none':
      case 'table':
    }
  }

  sign(character: string): void {
    if (this.#stage === 'none') return
    this.#isFresh = false
    if (character === ';') this.#over()
    else if (character === '(') this.#open()
    else if (character === ')') this.#close()
    else if (character === ',' && this.#depth === 1) this.#position += 1
  }

  #source(word: string): void {
    if (word === 'select') {
      this.#begin('row')
      this.#isSelect = true
    } else if (word === 'values') this.#at('source')
    else if (this.#stage === 'source' && (word === 'on' || word === 'returning')) this.#over()
  }

  #selected(word: string): void {
    if (word === 'from') this.#begin('from', 0)
    else if (isUnion(word)) this.#at('source')
    else if (word === 'where' || word === 'on' || word === 'returning') this.#over()
  }

  #open(): void {
    if (this.#stage === 'insert' || this.#stage === 'table') this.#begin('columns')
    else if (this.#stage === 'source') this.#begin('row')
    else this.#depth += 1
    this.#isFresh = this.#stage === 'row' && this.#depth === 1 && !this.#isSelect
  }

  #at(stage: Stage): void {
    this.#stage = stage
    this.#isSelect = this.#isFresh = false
  }

  #begin(stage: 'columns' | 'row' | 'from' | 'rows', depth = 1): void {
    this.#at(stage)
    ;[this.#position, this.#depth] = [0, depth]
  }

  #close(): void {
    this.#depth -= 1
    if (this.#depth > 0 || this.#stage === 'from') return
    if (this.#stage === 'rows') {
      if (this.#depth < 0) this.#begin('from', 0)
    } else if ((this.#stage === 'columns' || this.#stage === 'row') && this.#secret.size > 0) this.#at('source')
    else this.#over()
  }

  #over(): void {
    this.#at('none')
    this.#depth = 0
    this.#secret.clear()
  }
}

function isUnion(word: string): boolean {
  return word === 'union' || word === 'intersect' || word === 'except'
}
