import { everyTable, type Name } from './facts.ts'
import type { Node } from './parse.ts'

/** Small questions to the parser's nodes. */

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The nodes of that type in a list. */
export function nodes(value: unknown, type: string): readonly Node[] {
  return list(value).flatMap((item) => {
    const node = (item as Readonly<Record<string, Node>> | null)?.[type]
    return node === undefined ? [] : [node]
  })
}

/** The text of a name or of a constant; undefined where it is anything else. */
export function stringConstant(value: unknown): string | undefined {
  const { String: name, A_Const: constant } = (value ?? {}) as Node
  const text = ((name ?? (constant as Node | undefined)?.['sval']) as Node | undefined)?.['sval']
  return typeof text === 'string' ? text : undefined
}

/** A RangeVar's. */
export function nameIn(relation: Node): Name {
  const { schemaname, relname } = relation
  return { schema: typeof schemaname === 'string' ? schemaname : null, name: String(relname) }
}

/** What is inside EXPLAIN is executed by ANALYZE. Of an option that is given twice, nobody relies on the order. */
export function isExecuted(explain: Node): boolean {
  return nodes(explain['options'], 'DefElem').some(
    ({ defname, arg }) => typeof defname === 'string' && defname.toLowerCase() === 'analyze' && !saysNo(arg as Node),
  )
}

/** @see PostgreSQL sources, defGetBoolean */
function saysNo(value: Node | undefined): boolean {
  if (value === undefined) return false
  const { Boolean: truth, Integer: number, String: text } = value as Record<string, Node | undefined>
  if (truth !== undefined) return truth['boolval'] !== true
  if (number !== undefined) return (number['ival'] ?? 0) === 0
  const said = text?.['sval']
  return typeof said === 'string' && /^(?:off|false)$/i.test(said)
}

/** Without WHERE, or with one that looks at no column, such as `WHERE true`: every row is meant. */
export function whereMissing(where: unknown): boolean {
  const todo = [where]
  while (todo.length > 0) {
    const value = todo.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'ColumnRef' || key === 'SubLink' || key === 'CurrentOfExpr') return false
      todo.push(inner)
    }
  }
  return true
}

const tableLike = new Set(
  ['TABLE', 'VIEW', 'MATVIEW', 'FOREIGN_TABLE', 'SEQUENCE', 'INDEX'].map((type) => `OBJECT_${type}`),
)
const onTable = new Set(['TRIGGER', 'RULE', 'POLICY'].map((type) => `OBJECT_${type}`))

/** The tables that a DROP names, or all of a schema; of a trigger, rule or policy, the table that it is on. */
export function tablesDropped({ removeType, objects, behavior }: Node): readonly Name[] {
  if (removeType === 'OBJECT_SCHEMA') return behavior === 'DROP_CASCADE' ? everyTableIn(objects) : []
  const on = onTable.has(String(removeType))
  if (!on && !tableLike.has(String(removeType))) return []
  return nodes(objects, 'List').map(({ items }) => {
    const parts = list(items).map((item) => stringConstant(item) ?? '')
    const path = on ? parts.slice(0, -1) : parts
    return { schema: path.at(-2) ?? null, name: path.at(-1) ?? '' }
  })
}

/** GRANT … ON ALL TABLES IN SCHEMA: of every table there. */
export function tablesGranted({ targtype, objtype, objects }: Node): readonly Name[] {
  const isOnTables = objtype === 'OBJECT_TABLE' || objtype === 'OBJECT_SEQUENCE'
  return targtype === 'ACL_TARGET_ALL_IN_SCHEMA' && isOnTables ? everyTableIn(objects) : []
}

/** ALTER SCHEMA … RENAME: each table there has another name then. */
export function tablesRenamed({ renameType, subname }: Node): readonly Name[] {
  return renameType === 'OBJECT_SCHEMA' ? [{ schema: String(subname), name: everyTable }] : []
}

/** @param schemas a list of names. */
function everyTableIn(schemas: unknown): readonly Name[] {
  return list(schemas).map((schema) => ({ schema: stringConstant(schema) ?? '', name: everyTable }))
}
