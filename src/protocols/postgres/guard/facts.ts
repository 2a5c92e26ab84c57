import type { StatementKind } from '../../../resources/guard.ts'

/** As it is written in a statement, without quotes. */
export interface Name {
  /** Null where the statement has none: then the server looks along its `search_path`, which nobody knows here. */
  readonly schema: string | null
  readonly name: string
}

/** In the place of a table's name: every table of the schema. */
export const everyTable = '*'

/** One thing that a statement does, to at most one table, or to all of a schema. */
export interface Doing {
  readonly kind: StatementKind
  readonly table: Name | null
  /** Of UPDATE and DELETE: there is no WHERE, or one that looks at no column. */
  readonly whereMissing: boolean
}

export interface StatementFacts {
  /** At least one. */
  readonly doings: readonly Doing[]
  /** Called anywhere in it. */
  readonly functions: readonly Name[]
  /** Taken out of something, `(a).b` or `a.b`: a column, or a function of one argument, which PostgreSQL lets stand so, too. */
  readonly attributes: readonly Name[]
}

/** What a text says that a client wants to have executed. */
export type Reading =
  /** Those that do the same stand there once; or twice, where there are no others. */
  | { readonly statements: readonly StatementFacts[] }
  /** Nobody knows what it does. `isSyntax`: the server will not understand it either. */
  | { readonly unparsable: string; readonly isSyntax: boolean }

/** A text that does more than so many different things is as good as unreadable: each is compared with every rule. */
export const doingsMax = 4_000

/** What is found while a statement is walked; each thing once. */
export class Findings {
  readonly #doings = new Map<string, Doing>()
  readonly #functions = new Map<string, Name>()
  readonly #attributes = new Map<string, Name>()

  get count(): number {
    return this.#doings.size + this.#functions.size + this.#attributes.size
  }

  add(kind: StatementKind, table: Name | null = null, whereMissing = false): void {
    // No name holds a NUL.
    const key = table === null ? kind : `${kind}\0${table.schema}\0${table.name}\0${whereMissing}`
    this.#doings.set(key, { kind, table, whereMissing })
  }

  /** Something is done to a table of its own, or to none; a SELECT is only worth a word where nothing else is done. */
  addWithoutTable(kind: StatementKind): void {
    const done = [...this.#doings.values()]
    if (kind === 'select' ? done.length === 0 : done.every((doing) => doing.kind !== kind)) this.add(kind)
  }

  call(name: Name): void {
    this.#functions.set(`${name.schema}\0${name.name}`, name)
  }

  take(attribute: string): void {
    this.#attributes.set(attribute, { schema: null, name: attribute })
  }

  /** A statement of which nothing is known does something all the same. */
  facts(): StatementFacts {
    if (this.#doings.size === 0) this.add('utility')
    const [doings, functions, attributes] = [this.#doings, this.#functions, this.#attributes]
    return {
      doings: [...doings.values()],
      functions: [...functions.values()],
      attributes: [...attributes.values()],
    }
  }
}
