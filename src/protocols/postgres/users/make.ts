import type { Instant } from '../../../kernel/time.ts'
import { isoTime } from '../../../kernel/time.ts'
import { StatementRefused, type Administrator, type MakingRole } from './administrator.ts'
import { readMark, writeMark, type Mark } from './names.ts'
import { identifier, literal } from './quote.ts'

/** A user as it is to be at the target. */
export interface UserPlan {
  readonly name: string
  readonly mark: Mark
  /** What the server keeps of its password. */
  readonly verifier: string
  readonly validUntil: Instant
}

/**
 * Makes a user, or brings back the one that this grant had: all of it or nothing.
 * @throws StatementRefused
 */
export async function makeUser(administrator: Administrator, plan: UserPlan, making: MakingRole): Promise<void> {
  const { name, mark, verifier } = plan
  const isThereAlready = await isThere(administrator, name, mark)
  const first = isThereAlready ? await bringBack(administrator, plan, making) : create(plan, making)
  await administrator.run('begin')
  // The file may give less by now than when it was made.
  if (isThereAlready) await revokeOthers(administrator, name, making.user.memberOf)
  for (const sql of [...first, ...statementsFor(plan, making)]) await administrator.run(sql)
  await administrator.setQuietly('curfew.verifier', verifier)
  await administrator.run(passwordStatement(name))
  await administrator.run('commit')
}

/** @throws StatementRefused when somebody else's user has the name. */
async function isThere(administrator: Administrator, name: string, { gateway, grant }: Mark): Promise<boolean> {
  const comment = await commentOf(administrator, name)
  if (comment === undefined) return false
  const found = readMark(comment)
  if (found?.gateway === gateway && found.grant === grant) return true
  throw new StatementRefused('42710', `there is a user ${name} that this gateway did not make`)
}

/** Undefined where there is no such user. */
export async function commentOf(administrator: Administrator, name: string): Promise<string | undefined> {
  const [row] = await administrator.run(
    `select coalesce(shobj_description(oid, 'pg_authid'), '') from pg_roles where rolname = ${literal(name)}`,
  )
  return row?.[0]
}

/** Takes what it is a member of away from a user, but for `kept`. */
export async function revokeOthers(administrator: Administrator, name: string, kept: readonly string[]): Promise<void> {
  const groups = await administrator.run(
    `select distinct g.rolname from pg_auth_members a join pg_roles g on g.oid = a.roleid ` +
      `join pg_roles m on m.oid = a.member where m.rolname = ${literal(name)}`,
  )
  for (const [group = ''] of groups) {
    if (!kept.includes(group)) await administrator.run(`revoke ${identifier(group)} from ${identifier(name)}`)
  }
}

function create({ name, validUntil }: UserPlan, { role }: MakingRole): readonly string[] {
  const replication = role.replication ? ' replication' : ''
  return [`create role ${identifier(name)} login inherit${replication} ${limits(role.sessionsMax, validUntil)}`]
}

/** Takes back also what it set for itself: it may, for all databases and for single ones. */
async function bringBack(
  administrator: Administrator,
  { name, validUntil }: UserPlan,
  { role }: MakingRole,
): Promise<readonly string[]> {
  const quoted = identifier(name)
  const [[replicates] = []] = await administrator.run(
    `select rolreplication from pg_roles where rolname = ${literal(name)}`,
  )
  const databases = await administrator.run(
    `select datname from pg_db_role_setting s join pg_database d on d.oid = setdatabase ` +
      `join pg_roles r on r.oid = setrole where rolname = ${literal(name)}`,
  )
  // Only where it changes: it takes a right that the administrator mostly does not have.
  const isAsToday = (replicates === 't') === role.replication
  const replication = isAsToday ? '' : role.replication ? ' replication' : ' noreplication'
  return [
    `alter role ${quoted} login inherit${replication} ${limits(role.sessionsMax, validUntil)}`,
    `alter role ${quoted} reset all`,
    ...databases.map(([database = '']) => `alter role ${quoted} in database ${identifier(database)} reset all`),
  ]
}

function statementsFor({ name, mark }: UserPlan, { user }: MakingRole): readonly string[] {
  const quoted = identifier(name)
  return [
    `comment on role ${quoted} is ${literal(writeMark(mark))}`,
    ...user.memberOf.map((group) => `grant ${identifier(group)} to ${quoted}`),
    ...Object.entries(user.settings).map(
      ([key, value]) => `alter role ${quoted} set ${settingName(key)} to ${settingValue(key, value)}`,
    ),
  ]
}

function limits(sessionsMax: number | null, validUntil: Instant): string {
  return `connection limit ${connectionLimit(sessionsMax)} valid until ${untilLiteral(validUntil)}`
}

/** The gateway counts sessions itself; this is behind it, with room for some that are ending and for what ends them. */
function connectionLimit(sessionsMax: number | null): number {
  return sessionsMax === null ? -1 : 2 * sessionsMax + 2
}

function untilLiteral(at: Instant): string {
  return literal(isoTime(at))
}

function settingName(key: string): string {
  return key.split('.').map(identifier).join('.')
}

const listSettings = new Set([
  'search_path',
  'datestyle',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
])

/** Of a list each part is a value of its own: as one it would be a single name with commas in it. */
function settingValue(key: string, value: string): string {
  if (!listSettings.has(key.toLowerCase())) return literal(value)
  return value
    .split(',')
    .map((part) => literal(part.trim().replace(/^"(.*)"$/, '$1')))
    .join(', ')
}

/**
 * The verifier is not in it, and when it fails it says no more than why: the text of what was executed, which the server
 * would add to its log, stays behind.
 */
function passwordStatement(name: string): string {
  const body = `begin
  execute format('alter role %I password %L', ${literal(name)}, current_setting('curfew.verifier'));
exception when others then
  raise exception using errcode = sqlstate, message = sqlerrm;
end`
  return `do ${literal(body)}`
}

export async function moveEnd(administrator: Administrator, name: string, validUntil: Instant): Promise<void> {
  await administrator.run(`alter role ${identifier(name)} valid until ${untilLiteral(validUntil)}`)
}
