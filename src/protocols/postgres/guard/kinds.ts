import type { StatementKind } from '../../../resources/guard.ts'

/** Statements by the name of their node, where that alone says what they are. Those that say more are read in walk.ts. */
const byNode: Readonly<Record<string, StatementKind>> = {
  TruncateStmt: 'truncate',
  GrantStmt: 'grant',
  GrantRoleStmt: 'grant',
  AlterDefaultPrivilegesStmt: 'grant',
  ReassignOwnedStmt: 'grant',
  CreateRoleStmt: 'role',
  AlterRoleStmt: 'role',
  AlterRoleSetStmt: 'role',
  DropRoleStmt: 'role',
  CreateUserMappingStmt: 'role',
  AlterUserMappingStmt: 'role',
  DropUserMappingStmt: 'role',
  DropOwnedStmt: 'drop',
  DoStmt: 'do',
  CallStmt: 'call',
  DiscardStmt: 'set',
  VariableShowStmt: 'show',
  TransactionStmt: 'transaction',
  ConstraintsSetStmt: 'transaction',
  PrepareStmt: 'prepare',
  DeallocateStmt: 'prepare',
  ExecuteStmt: 'execute',
  DeclareCursorStmt: 'cursor',
  FetchStmt: 'cursor',
  ClosePortalStmt: 'cursor',
  LockStmt: 'lock',
  VacuumStmt: 'vacuum',
  ClusterStmt: 'vacuum',
  ReindexStmt: 'vacuum',
  CheckPointStmt: 'vacuum',
  RefreshMatViewStmt: 'vacuum',
  ExplainStmt: 'explain',
  ListenStmt: 'notify',
  NotifyStmt: 'notify',
  UnlistenStmt: 'notify',
  DefineStmt: 'create',
  IndexStmt: 'create',
  ViewStmt: 'create',
  RuleStmt: 'create',
  CompositeTypeStmt: 'create',
  ImportForeignSchemaStmt: 'create',
  RenameStmt: 'alter',
  CommentStmt: 'alter',
  SecLabelStmt: 'alter',
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
}

/** What a node is by its name; undefined if it is no statement. A statement that nobody has heard of is `utility`. */
export function kindOfNode(type: string): StatementKind | undefined {
  if (Object.hasOwn(byNode, type)) return byNode[type]
  if (!type.endsWith('Stmt')) return undefined
  if (type.startsWith('Create')) return 'create'
  if (type.startsWith('Alter')) return 'alter'
  return type.startsWith('Drop') ? 'drop' : 'utility'
}

/** Reach files of the server's machine. By the server's own rights, mostly for its superusers. */
const serverFile =
  /^(?:pg_read_file|pg_read_binary_file|pg_stat_file|pg_ls_\w+|pg_file_\w+|pg_logdir_ls|pg_current_logfile|lo_import|lo_export)$/
const largeObject = /^(?:lo_\w+|loread|lowrite)$/
/** Execute a text that they are given. */
const executing =
  /^(?:query_to_xml\w*|cursor_to_xml\w*|table_to_xml\w*|schema_to_xml\w*|database_to_xml\w*|ts_stat|ts_rewrite|dblink\w*|crosstab\w*|connectby|xpath_table)$/

/** What calling a function does besides. */
export function kindsOfFunction(name: string): readonly StatementKind[] {
  return [
    ...(serverFile.test(name) ? (['server-file'] as const) : []),
    ...(largeObject.test(name) ? (['large-object'] as const) : []),
    ...(executing.test(name) ? (['do'] as const) : []),
  ]
}

/** Of large objects, what takes one argument. Other names that begin so are columns. */
const largeObjectOfOne = /^lo_(?:close|creat|create|get|import|tell|tell64|unlink)$/

/** What `x.name` does besides, where it is no column but a call. */
export function kindsOfAttribute(name: string): readonly StatementKind[] {
  return kindsOfFunction(name).filter((kind) => kind !== 'large-object' || largeObjectOfOne.test(name))
}

/**
 * The functions that drivers call by number: the interface of large objects. Numbers of built-in functions never change.
 * @see PostgreSQL sources, pg_proc.dat
 */
export const functionByNumber: ReadonlyMap<number, string> = new Map([
  [715, 'lo_create'],
  [764, 'lo_import'],
  [765, 'lo_export'],
  [767, 'lo_import'],
  [952, 'lo_open'],
  [953, 'lo_close'],
  [954, 'loread'],
  [955, 'lowrite'],
  [956, 'lo_lseek'],
  [957, 'lo_creat'],
  [958, 'lo_tell'],
  [964, 'lo_unlink'],
  [1004, 'lo_truncate'],
  [3170, 'lo_lseek64'],
  [3171, 'lo_tell64'],
  [3172, 'lo_truncate64'],
])
