import type { StatementKind } from '../../../resources/guard.ts'
import { doingsMax, Findings, type Name, type Reading, type StatementFacts } from './facts.ts'
import { kindOfNode, kindsOfAttribute, kindsOfFunction } from './kinds.ts'
import {
  isExecuted,
  list,
  nameIn,
  nodes,
  stringConstant,
  tablesDropped,
  tablesGranted,
  tablesRenamed,
  whereMissing,
} from './nodes.ts'
import type { Node, Parsed } from './parse.ts'

/** Names that WITH gives, where they hold. They hide tables of the same name. */
interface Scope {
  readonly names: ReadonlySet<string>
  readonly outer: Scope | null
}

interface Context {
  /** What is done to a table that is met here. */
  readonly kind: StatementKind
  readonly scope: Scope | null
  /** Within what is only explained: nothing there is done. */
  readonly explained: boolean
}

/** What parsed statements do. Never throws. */
export function readStatements(parsed: Parsed): Reading {
  if ('error' in parsed) return { unparsable: parsed.error, isSyntax: parsed.isSyntax }
  const different = new Map<string, StatementFacts>()
  let count = 0
  for (const statement of parsed.statements) {
    const walk = new Walk()
    const facts = walk.statement(statement) ? walk.facts() : undefined
    const key = parsed.statements.length === 1 ? '' : JSON.stringify(facts)
    if (facts !== undefined && different.has(key)) continue
    count += walk.count
    if (facts === undefined || count > doingsMax) {
      return { unparsable: `it does more than ${doingsMax} things`, isSyntax: false }
    }
    different.set(key, facts)
  }
  const statements = [...different.values()]
  // Two that are alike are several all the same.
  return {
    statements: parsed.statements.length > 1 && statements.length === 1 ? [...statements, ...statements] : statements,
  }
}

/** Goes through the whole tree of one statement: what counts may stand anywhere in it. Nesting costs no stack. */
class Walk {
  readonly #found = new Findings()
  readonly #todo: [unknown, Context][] = []
  /** Kinds of statements that were met; each is done to some table, or to none. */
  readonly #met = new Set<StatementKind>()

  /** @returns false when there is too much of it. */
  statement(tree: Node): boolean {
    this.#todo.push([tree, { kind: 'utility', scope: null, explained: false }])
    for (let next = this.#todo.pop(); next !== undefined; next = this.#todo.pop()) {
      const [value, context] = next
      if (this.#found.count > doingsMax) return false
      this.#visit(value, context)
    }
    return true
  }

  get count(): number {
    return this.#found.count
  }

  facts(): StatementFacts {
    const isReading = this.#met.delete('select')
    for (const kind of this.#met) this.#found.addWithoutTable(kind)
    if (isReading) this.#found.addWithoutTable('select')
    return this.#found.facts()
  }

  /** A list, a node in its wrapper `{ SelectStmt: … }`, or the fields of one where its type is clear from the field. */
  #visit(value: unknown, context: Context): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#later(item, context)
      return
    }
    const keys = Object.keys(value as Node)
    const [first] = keys
    if (keys.length === 1 && isType(first!)) this.#enter(first!, (value as Node)[first!] as Node, context)
    else this.#fields(value as Node, context)
  }

  #later(value: unknown, context: Context): void {
    if (typeof value === 'object' && value !== null) this.#todo.push([value, context])
  }

  #enter(type: string, node: Node, context: Context): void {
    if (type === 'LockingClause') return // names what FROM has already
    if (type === 'FuncCall') this.#call(node)
    if (type === 'A_Indirection') this.#attributes(list(node['indirection']))
    if (type === 'ColumnRef') this.#attributes(list(node['fields']).slice(1))
    const kind = kindOfNode(type)
    if (kind === undefined) return this.#fields(node, context)
    const inside = context.explained ? context : { ...context, kind }
    this.#statement(type, kind, node, inside)
  }

  #statement(type: string, kind: StatementKind, node: Node, context: Context): void {
    switch (type) {
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#change(kind, node, context)
      case 'CopyStmt':
        return this.#copy(node, context)
      case 'VariableSetStmt':
        return this.#meet(settingKind(node), context)
      case 'ExplainStmt':
        this.#meet('explain', context)
        return this.#fields(node, { ...context, explained: context.explained || !isExecuted(node) })
      case 'CreateFunctionStmt':
        this.#meet('do', context)
        break
      case 'CallStmt':
        this.#call(node['funccall'] as Node)
        break
      case 'DropStmt':
        for (const table of tablesDropped(node)) this.#add(kind, table, context)
        break
      case 'GrantStmt':
        for (const table of tablesGranted(node)) this.#add(kind, table, context)
        break
      case 'RenameStmt':
        for (const table of tablesRenamed(node)) this.#add(kind, table, context)
        break
    }
    this.#meet(kind, context)
    this.#fields(node, context)
  }

  /** INSERT, UPDATE, DELETE, MERGE: one table is changed, the others are read. */
  #change(kind: StatementKind, node: Node, context: Context): void {
    const { relation, ...others } = node
    const table = nameIn(relation as Node)
    const missing = (kind === 'update' || kind === 'delete') && whereMissing(node['whereClause'])
    this.#add(kind, table, context, missing)
    for (const [also, toEvery] of alsoDone(node)) this.#add(also, table, context, toEvery)
    this.#fields(others, context.explained ? context : { ...context, kind: 'select' })
  }

  #copy(node: Node, context: Context): void {
    const kind = node['is_from'] === true ? 'copy-in' : 'copy-out'
    const { filename } = node
    this.#meet(kind, context)
    if (node['is_program'] === true) this.#meet('copy-program', context)
    else if (typeof filename === 'string') this.#meet('copy-file', context)
    this.#fields(node, { ...context, kind })
  }

  #call(node: Node): void {
    const name = lastTwo(list(node['funcname']).map(stringConstant))
    this.#found.call(name)
    for (const kind of kindsOfFunction(name.name)) this.#found.add(kind)
    if (name.name !== 'set_config') return
    const setting = stringConstant(list(node['args'])[0])
    this.#found.add(setting === undefined || isRoleSetting(setting) ? 'set-role' : 'set')
  }

  /** @see PostgreSQL manual, "Using Composite Types in Queries": `x.f` is `f(x)` where `x` has no column `f` */
  #attributes(names: readonly unknown[]): void {
    for (const name of names.map(stringConstant)) {
      if (name === undefined) continue // a subscript, or a star
      this.#found.take(name)
      for (const kind of kindsOfAttribute(name)) this.#found.add(kind)
    }
  }

  #fields(node: Node, context: Context): void {
    if (typeof node['relname'] === 'string') return this.#table(node, context)
    const within = this.#with(node['withClause'] as Node | undefined, context)
    const into = node['intoClause'] as Node | undefined
    if (into !== undefined) this.#add('create', nameIn(into['rel'] as Node), context)
    for (const field in node) {
      if (field !== 'withClause' && field !== 'intoClause') this.#later(node[field], within)
    }
  }

  #table(node: Node, { kind, scope, explained }: Context): void {
    const name = nameIn(node)
    if (name.schema === null && isHidden(name.name, scope)) return
    this.#add(kind, name, { kind, scope, explained })
  }

  /** A query of WITH sees those before it; with RECURSIVE, all. */
  #with(clause: Node | undefined, context: Context): Context {
    if (clause === undefined) return context
    const tables = nodes(clause['ctes'], 'CommonTableExpr')
    const names = tables.map((table) => String(table['ctename']))
    const all = { ...context, scope: { names: new Set(names), outer: context.scope } }
    let before = context
    for (const [index, { ctequery }] of tables.entries()) {
      this.#later(ctequery, clause['recursive'] === true ? all : before)
      before = { ...context, scope: { names: new Set([names[index]!]), outer: before.scope } }
    }
    return all
  }

  #meet(kind: StatementKind, { explained }: Context): void {
    if (!explained || kind === 'explain') this.#met.add(kind)
  }

  #add(kind: StatementKind, table: Name, { explained }: Context, missing = false): void {
    this.#found.add(explained ? 'explain' : kind, table, missing && !explained)
  }
}

/** Fields begin with a small letter, types of nodes with a capital one. */
function isType(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 0x41 && first <= 0x5a
}

function isHidden(name: string, scope: Scope | null): boolean {
  for (let at = scope; at !== null; at = at.outer) if (at.names.has(name)) return true
  return false
}

const mergeKinds: Readonly<Record<string, StatementKind>> = {
  CMD_INSERT: 'insert',
  CMD_UPDATE: 'update',
  CMD_DELETE: 'delete',
}

/** What INSERT … ON CONFLICT and MERGE do besides, and whether to every row: neither ON nor AND looks at a column. */
function alsoDone(node: Node): [StatementKind, boolean][] {
  const conflict = (node['onConflictClause'] as Node | undefined)?.['action']
  const clauses = nodes(node['mergeWhenClauses'], 'MergeWhenClause')
  const isEvery = clauses.length > 0 && whereMissing(node['joinCondition'])
  const done = new Map<StatementKind, boolean>()
  for (const { commandType, condition } of clauses) {
    const kind = mergeKinds[String(commandType)]
    const toEvery = kind !== 'insert' && isEvery && whereMissing(condition)
    if (kind !== undefined) done.set(kind, toEvery || done.get(kind) === true)
  }
  if (conflict === 'ONCONFLICT_UPDATE') done.set('update', false)
  return [...done]
}

function settingKind({ name }: Node): StatementKind {
  if (typeof name !== 'string') return 'set' // RESET ALL
  if (isRoleSetting(name)) return 'set-role'
  return /^(?:TRANSACTION|SESSION CHARACTERISTICS)/.test(name) ? 'transaction' : 'set'
}

function isRoleSetting(name: string): boolean {
  return /^(?:role|session_authorization)$/i.test(name)
}

function lastTwo(parts: readonly (string | undefined)[]): Name {
  const [schema, name] = parts.length < 2 ? [undefined, parts[0]] : parts.slice(-2)
  return { schema: schema ?? null, name: name ?? '' }
}
