import { asFault } from '../../../kernel/fault.ts'
import type { Opening } from '../../../sessions/admission.ts'
import { connectTarget, type Target, type TargetDeps, type TargetWish } from '../target.ts'
import type { DatabaseUsers, LentUser } from './database-users.ts'

export interface Connected {
  /** With the login that it was opened with. */
  readonly wish: TargetWish
  readonly target: Target
  /** Null where everybody has the same login. */
  readonly user: LentUser | null
}

/** A standby knows of a new user when the primary's words have reached it. */
const standbyTriesMax = 20
const standbyWaitMs = 250

/**
 * Connects as the login that the session is to have: the role's, or the user of its grant.
 * @throws Fault as `connectTarget` and `DatabaseUsers.lend` do
 */
export async function connectAs(
  wish: TargetWish,
  opening: Opening,
  signal: AbortSignal,
  deps: TargetDeps & { readonly databaseUsers: DatabaseUsers },
): Promise<Connected> {
  const { resource, role } = wish
  if (role.user === null) return { wish, target: await connectTarget(wish, signal, deps), user: null }
  const admission = await opening.admitted // what is made at the target is for sessions that are
  const user = await deps.databaseUsers.lend(admission, { resource, role, user: role.user }, signal)
  const own = { ...wish, role: { ...role, login: user.name, password: user.password } }
  try {
    return { wish: own, target: await connectInTime(own, signal, deps), user }
  } catch (error) {
    user.giveBack()
    throw error
  }
}

async function connectInTime(wish: TargetWish, signal: AbortSignal, deps: TargetDeps): Promise<Target> {
  const { targetSession, others } = wish.resource
  const isPrimary = targetSession === 'primary' || targetSession === 'read-write'
  const triesMax = isPrimary || (targetSession === 'any' && others.length === 0) ? 1 : standbyTriesMax
  for (let tries = 1; ; tries++) {
    try {
      return await connectTarget(wish, signal, deps)
    } catch (error) {
      if (asFault(error)?.code !== 'UPSTREAM_REFUSED' || tries >= triesMax) throw error
    }
    await new Promise<void>((resolve) => deps.clock.after(standbyWaitMs, resolve))
    signal.throwIfAborted()
  }
}
