import type { Approvers } from '../policy/approval.ts'

/** What a statement does, told apart as far as rules need it. docs/guard.md tells people what each covers. */
export const statementKinds = [
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'truncate',
  'copy-in',
  'copy-out',
  'copy-program',
  'copy-file',
  'server-file',
  'large-object',
  'create',
  'alter',
  'drop',
  'grant',
  'role',
  'do',
  'call',
  'function-call',
  'set',
  'set-role',
  'show',
  'transaction',
  'prepare',
  'execute',
  'cursor',
  'lock',
  'vacuum',
  'explain',
  'notify',
  'utility',
  'unparsable',
] as const
export type StatementKind = (typeof statementKinds)[number]

/** Names that stand for several kinds. */
export const kindGroups = {
  read: ['select', 'copy-out'],
  write: ['insert', 'update', 'delete', 'merge', 'truncate', 'copy-in'],
  ddl: ['create', 'alter', 'drop', 'grant', 'role'],
} as const satisfies Readonly<Record<string, readonly StatementKind[]>>
export type KindGroup = keyof typeof kindGroups

/** From the mildest to the strictest. */
export const guardActions = ['allow', 'warn', 'ask', 'refuse'] as const
export type GuardAction = (typeof guardActions)[number]

/** Every condition that is there must hold. A rule has `tables` or `functions`, never both. */
export interface GuardRule {
  readonly name: string
  /** Null: whatever could be read. */
  readonly kinds: readonly StatementKind[] | null
  /** Globs over `schema.table` or `table`. */
  readonly tables: readonly string[] | null
  /** Globs over `schema.function` or `function`. */
  readonly functions: readonly string[] | null
  /** Only UPDATE and DELETE that have none, or one that looks at no column. */
  readonly whereMissing: boolean
  /** Only messages with more than one statement. */
  readonly several: boolean
  readonly action: GuardAction
  /** What the person reads; null: the rule's name has to do. */
  readonly message: string | null
}

export interface StatementGuard {
  /** In this order; the first that matches decides. */
  readonly rules: readonly GuardRule[]
  /** Of what no rule matches. */
  readonly otherwise: GuardAction
  /** How long a statement waits for an answer. */
  readonly askForMs: number
  /** Who answers; null: whoever may decide on the request that the grant came from. */
  readonly askers: Approvers | null
}
