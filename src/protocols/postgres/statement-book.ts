import { BoundedNames } from '../../recording/bounded-names.ts'

/** A column of a result. */
export interface Column {
  readonly name: string
  readonly typeOid: number
  /** 0 text, 1 binary; in the description of a prepared statement always 0. */
  readonly format: number
}

/** What is known of a prepared statement. */
export interface KnownStatement {
  /** 0: not known. */
  parameterTypes: readonly number[]
  /** Numbers of those that are secrets, from 1. */
  readonly secretParameters: ReadonlySet<number>
  /** Null: not described. */
  columns: readonly Column[] | null
}

/** A statement with its values, ready to be executed. */
export interface KnownPortal {
  readonly statement: KnownStatement | null
  /** Of its result's columns: one for all, one for each, or none (text). */
  readonly formats: readonly number[]
  columns: readonly Column[] | null
}

/** What waits for its description; `end`: ReadyForQuery comes there. */
type Asked = KnownStatement | KnownPortal | 'unknown' | 'end'

const noNumbers: ReadonlySet<number> = new Set()
const namesMax = 1000
const typesMax = 100_000
/** So many unanswered descriptions are followed; beyond, none is. */
const askedMax = 10_000

/** Types and columns of a session's statements and portals, as both sides tell them. Bounded in all. */
export class StatementBook {
  /** One with secrets among its parameters was forgotten: any statement that is not known may be it. */
  forgotSecrets = false
  readonly #statements = new BoundedNames<KnownStatement>(namesMax, typesMax, (gone) => this.#forgotten(gone))
  #replaced: KnownStatement | undefined
  readonly #portals = new BoundedNames<KnownPortal>(namesMax, typesMax)
  #asked: Asked[] = []

  parse(name: string, parameterTypes: readonly number[], secretParameters: ReadonlySet<number> = noNumbers): void {
    const weight = 1 + parameterTypes.length + secretParameters.size
    this.#replaced = this.#statements.get(name)
    this.#statements.set(name, { parameterTypes, secretParameters, columns: null }, weight)
  }

  bind(portal: string, statement: string, formats: readonly number[]): void {
    const known = this.#statements.get(statement) ?? null
    this.#portals.set(portal, { statement: known, formats, columns: null }, 1 + formats.length)
  }

  /** @param kind `S` for a statement, `P` for a portal. */
  describe(kind: 'S' | 'P', name: string): void {
    const known = kind === 'S' ? this.#statements.get(name) : this.#portals.get(name)
    this.#ask(known ?? 'unknown')
  }

  /** Of something that nobody wants to know. */
  describeUnknown(): void {
    this.#ask('unknown')
  }

  /** A Sync, a simple query or a function call: each is answered by one ReadyForQuery. */
  end(): void {
    this.#ask('end')
  }

  /** A Sync of those was passed over. */
  passOver(): void {
    const end = this.#asked.indexOf('end')
    if (end >= 0) this.#asked.splice(end, 1)
  }

  statement(name: string): KnownStatement | undefined {
    return this.#statements.get(name)
  }

  portal(name: string): KnownPortal | undefined {
    return this.#portals.get(name)
  }

  /** ParameterDescription: the first of two answers about a statement. */
  parametersDescribed(parameterTypes: readonly number[]): void {
    const [asked] = this.#asked
    if (asked !== undefined && typeof asked === 'object' && 'parameterTypes' in asked) {
      asked.parameterTypes = parameterTypes
    }
  }

  /** RowDescription, or NoData with none. */
  rowsDescribed(columns: readonly Column[]): void {
    const [asked] = this.#asked
    if (asked === undefined || asked === 'end') return // of a simple query
    this.#asked.shift()
    if (asked === 'unknown') return
    asked.columns = columns
    // Drivers remember what one portal of a statement told them, and ask no more.
    if ('statement' in asked && asked.statement !== null) asked.statement.columns ??= columns
  }

  /** What was not answered by now was skipped after an error. */
  ready(): void {
    if (this.#asked.length === 1) return void this.#asked.pop()
    const end = this.#asked.indexOf('end')
    this.#asked.splice(0, end < 0 ? this.#asked.length : end + 1)
  }

  #forgotten(gone: KnownStatement): void {
    if (gone !== this.#replaced && gone.secretParameters.size > 0) this.forgotSecrets = true
  }

  #ask(asked: Asked): void {
    if (this.#asked.length >= askedMax) this.#asked = []
    else this.#asked.push(asked)
  }
}

/** The columns of a portal's rows, with the formats that its Bind asked for. */
export function columnsOf({ columns, statement, formats }: KnownPortal): readonly Column[] | null {
  if (columns !== null) return columns
  const described = statement?.columns
  if (described === null || described === undefined) return null
  return described.map((column, index) => ({ ...column, format: formatAt(formats, index) }))
}

export function formatAt(formats: readonly number[], index: number): number {
  return formats.length === 1 ? formats[0]! : (formats[index] ?? 0)
}
