import { join, resolve, sep } from 'node:path'
import { Fault } from '../kernel/fault.ts'
import type { Person } from '../identity/person.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import type { SessionRow } from '../sessions/session.ts'
import type { Visit } from './context.ts'
import type { Site } from './site.ts'

/** A session whose recording somebody may see, and where it lies. */
export interface RecordedSession {
  readonly row: SessionRow
  readonly file: string
}

/** Reviewers see all recordings, whoever reviews an emergency what was done in it, a person their own. */
async function maySee({ access }: Site['deps'], person: Person, { session }: SessionRow): Promise<boolean> {
  return session.person === person.id || access.isReviewer(person) || access.reviews.looksAt(person, session.grant)
}

/** A recording that this person may see. @throws Fault NOT_FOUND, also for a session without a recording. */
export async function recordedSession({ deps }: Site, { c, person }: Visit): Promise<RecordedSession> {
  const row = await deps.sessions.session((c.req.param('id') ?? '') as SessionRow['session']['id'])
  const seen = row !== undefined && (await maySee(deps, person, row))
  if (!seen || row.recording === null) throw new Fault('NOT_FOUND', 'There is no such recording that you may see.')
  const folder = resolve(deps.recordingsFolder)
  const file = join(folder, row.recording)
  if (!file.startsWith(folder + sep)) throw new Fault('NOT_FOUND', 'The recording lies outside its folder.')
  return { row, file }
}

/**
 * While there is still a page to say it on.
 * @param isIn whether what is wanted of it is there.
 * @throws Fault RECORDING_UNREADABLE, or NOT_FOUND when it is not.
 */
export async function checkReadable(file: string, isIn?: (recording: Recording) => Promise<boolean>): Promise<void> {
  await using recording = await openRecording(file)
  if (isIn !== undefined && !(await isIn(recording))) {
    throw new Fault('NOT_FOUND', 'The recording has nothing of that.')
  }
}

/** What the audit log says of it. */
export function noteOf({ session }: SessionRow) {
  return { session: session.id, holder: session.person, resource: session.resource, role: session.role }
}
