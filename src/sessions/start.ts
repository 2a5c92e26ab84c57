import type { Active } from '../access/states.ts'
import { asFault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import type { Recorder, Recordings } from '../recording/recorder.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import type { Ask } from './admission.ts'
import { sessionEvents } from './events.ts'
import { lostGrant, type GrantDeps } from './find-grant.ts'
import { noteFirstUse } from './grant-use.ts'
import type { Session, SessionStore } from './session.ts'

export interface StartDeps extends GrantDeps {
  readonly catalogue: Catalogue
  readonly recordings: Recordings
  readonly sessions: SessionStore
}

export interface Started {
  readonly recorder: Recorder
  /** The grant as it is with this session under it. */
  readonly used: Active
}

/**
 * Opens the recording of a session, then writes its start down; both are on the disk when it resolves.
 * @param onFailure called when the recording can no longer be written.
 * @throws Fault DISK_FULL, RECORDING_FAILED, STORE_FAILED; NO_GRANT, GRANT_USED_UP when the grant ended meanwhile
 */
export async function writeStart(
  deps: StartDeps,
  ask: Ask,
  session: Session,
  grant: Active,
  onFailure: (error: Error) => void,
): Promise<Started> {
  const { recorder, path } = await startRecording(deps, session, onFailure)
  try {
    return { recorder, used: await insertSession(deps, session, path, grant) }
  } catch (error) {
    await recorder.seal({ by: 'gate', code: 'STORE_FAILED', message: 'The session could not be written down.' })
    // The grant ended between the look at it and now; the database does not let a session in under it.
    throw asFault(error)?.code === 'GRANT_IN_WRONG_STATE' ? lostGrant(deps, ask, grant) : error
  }
}

function startRecording({ catalogue, recordings }: StartDeps, session: Session, onFailure: (error: Error) => void) {
  const mode = catalogue.role(session.resource, session.role)?.recording ?? 'strict'
  const { id, startedAt, ...rest } = session
  return recordings.start({ session: id, startedAt: isoTime(startedAt), ...rest }, mode, onFailure)
}

function insertSession(
  { sessions }: StartDeps,
  session: Session,
  recording: string | null,
  grant: Active,
): Promise<Active> {
  return sessions.transact(async (tx) => {
    const used = await noteFirstUse(tx, grant, session)
    await tx.insertSession(session, recording)
    await tx.record(sessionEvents.started(session, recording))
    await tx.announce({ kind: 'session-opened', session: session.id, person: session.person })
    return used
  })
}
