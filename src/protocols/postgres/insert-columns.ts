/** Where in `INSERT INTO t (name, password) VALUES (…), (…)` the secrets stand. It is told token by token. */
export class InsertColumns {
  #stage: 'none' | 'insert' | 'table' | 'columns' | 'values' | 'row' = 'none'
  readonly #secret = new Set<number>()
  #position = 0
  #depth = 0

  /** Whether what comes now is a value of a column that is named like a secret. */
  get isSecret(): boolean {
    return this.#stage === 'row' && this.#secret.has(this.#position)
  }

  word(text: string, isSecretName: boolean): void {
    const word = text.length > 'values'.length ? '' : text.toLowerCase()
    if (word === 'insert') this.#stage = 'insert'
    else if (this.#stage === 'insert') this.#stage = word === 'into' ? 'table' : 'none'
    else if (this.#stage === 'columns' && isSecretName) this.#secret.add(this.#position)
    else if (this.#stage === 'values' && word !== 'values') this.#over()
  }

  sign(character: string): void {
    if (this.#stage === 'none') return
    if (character === ';') this.#over()
    else if (character === '(') this.#open()
    else if (character === ')') this.#close()
    else if (character === ',' && this.#depth === 1) this.#position += 1
  }

  #open(): void {
    if (this.#stage === 'table') this.#begin('columns')
    else if (this.#stage === 'values') this.#begin('row')
    else this.#depth += 1
  }

  #begin(stage: 'columns' | 'row'): void {
    ;[this.#stage, this.#position, this.#depth] = [stage, 0, 1]
  }

  #close(): void {
    this.#depth -= 1
    if (this.#depth > 0) return
    if ((this.#stage === 'columns' || this.#stage === 'row') && this.#secret.size > 0) this.#stage = 'values'
    else this.#over()
  }

  #over(): void {
    this.#stage = 'none'
    this.#depth = 0
    this.#secret.clear()
  }
}
