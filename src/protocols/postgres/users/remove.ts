import type { DatabaseUserOutcome } from '../../../sessions/database-users.ts'
import { StatementRefused, type Administrator } from './administrator.ts'
import { commentOf, revokeOthers } from './make.ts'
import { namePrefix, readMark, type Mark } from './names.ts'
import { identifier, literal } from './quote.ts'

export interface Removed {
  readonly outcome: DatabaseUserOutcome
  /** What it owns or has rights on, in the server's words; empty unless it was disabled. */
  readonly owns: string
}

const dependentObjectsStillExist = '2BP01'
const insufficientPrivilege = '42501'
const looksForEnd = 60
const lookMs = 100
const ownsCharsMax = 1000

/**
 * Takes a user's login and ends its connections, then drops it; one that owns something is left without any rights.
 * A user that this gateway did not make is not touched.
 * @throws StatementRefused
 */
export async function removeUser(administrator: Administrator, name: string, gateway: string): Promise<Removed> {
  const comment = await commentOf(administrator, name)
  if (comment === undefined || readMark(comment)?.gateway !== gateway) return { outcome: 'absent', owns: '' }
  const quoted = identifier(name)
  // A transaction in which the user changed itself would keep it from being changed.
  await terminateAll(administrator, name)
  await administrator.run(`alter role ${quoted} nologin password null valid until '1970-01-01 00:00:00+00'`)
  await endConnections(administrator, name)
  try {
    await administrator.run(`drop role ${quoted}`)
    return { outcome: 'dropped', owns: '' }
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.sqlstate !== dependentObjectsStillExist) throw error
    await revokeOthers(administrator, name, [])
    return { outcome: 'disabled', owns: error.detail.slice(0, ownsCharsMax) }
  }
}

/** @throws StatementRefused when one of them does not end. */
async function endConnections(administrator: Administrator, name: string): Promise<void> {
  const left = `select pid from pg_stat_activity where usename = ${literal(name)}`
  for (let count = 0; count < looksForEnd; count++) {
    const rows = await administrator.run(left)
    if (rows.length === 0) return
    if (count % 10 === 0) await terminateAll(administrator, name)
    await new Promise<void>((resolve) => administrator.clock.after(lookMs, resolve))
  }
  throw new StatementRefused('', 'a connection of the user does not end')
}

/** Whoever made a user is not yet one who may end its connections; but may let itself be one. */
async function terminateAll(administrator: Administrator, name: string): Promise<void> {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity where usename = ${literal(name)}`
  try {
    await administrator.run(sql)
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.sqlstate !== insufficientPrivilege) throw error
    const inherit = administrator.serverMajor >= 16 ? ' with inherit true' : ''
    await administrator.run(`grant ${identifier(name)} to current_user${inherit}`)
    await administrator.run(sql)
  }
}

/** A user at the target that this gateway made, once. */
export interface FoundUser {
  readonly name: string
  readonly mark: Mark
  /** Something is owned by it, or it has rights of its own. */
  readonly owns: boolean
}

/** The users at the target that bear this gateway's mark, for this resource. */
export async function findUsers(
  administrator: Administrator,
  gateway: string,
  resource: string,
): Promise<readonly FoundUser[]> {
  const rows = await administrator.run(
    `select rolname, shobj_description(oid, 'pg_authid'), exists (select from pg_shdepend where refobjid = r.oid ` +
      `and refclassid = 'pg_authid'::regclass and classid <> 'pg_auth_members'::regclass) ` +
      `from pg_roles r where starts_with(rolname, ${literal(namePrefix)}) and shobj_description(oid, 'pg_authid') is not null`,
  )
  return rows.flatMap(([name = '', comment = '', owns]) => {
    const mark = readMark(comment)
    return mark?.gateway === gateway && mark.resource === resource ? [{ name, mark, owns: owns === 't' }] : []
  })
}
