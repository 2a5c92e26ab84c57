import type { Access } from '../access/access.ts'
import type { AccessStore } from '../access/store.ts'
import type { Checkpoints } from '../audit/checkpoints.ts'
import { auditEvent, type Actor } from '../audit/event.ts'
import { proveSlice } from '../audit/proof.ts'
import type { AuditStore } from '../audit/store.ts'
import { displayName, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { SigningKey } from '../recording/keys.ts'
import type { Session, SessionRow } from '../sessions/session.ts'
import { jsonFile, lineFiles, partName, textFile, type BundleFile } from './files.ts'
import { eventsAbout } from './events-about.ts'
import { pack, type Packing } from './pack.ts'
import { readme } from './readme.ts'
import { recordingFiles } from './recording-files.ts'
import { factsOf, idsOf, isLiving, peopleIn, personFacts, readStory, type Story, type Subject } from './story.ts'
import type { EvidenceReads } from './store.ts'

/** One archive about one request or grant, which can be checked without the gateway. */
export interface Bundle {
  /** For a file: `curfew-evidence-request-….tar`. */
  readonly fileName: string
  /** A tar archive, at the pace of whoever takes it. Nothing is read before, or after they have gone. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface Evidence {
  /** Whether this person may have bundles; with whole recordings only who may see all recordings. */
  mayExport(person: Person, whole: boolean): boolean
  /**
   * Writes into the audit log that it was made, has the log signed up to there, and then makes it.
   * @param wish `whole`: with the recordings themselves.
   * @throws Fault NOT_ALLOWED, REQUEST_UNKNOWN, GRANT_UNKNOWN, TOO_LARGE (more than 20,000 sessions)
   */
  bundle(person: Person, subject: Subject, wish: { readonly whole: boolean; readonly address: string }): Promise<Bundle>
}

export interface EvidenceDeps {
  readonly staff: Pick<Access, 'isReviewer' | 'isOperator'>
  readonly access: AccessStore
  readonly reads: EvidenceReads
  readonly audit: AuditStore
  readonly checkpoints: Pick<Checkpoints, 'sign'>
  readonly key: Pick<SigningKey, 'sign' | 'publicKeys'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly recordingsFolder: string
  /** The gateway's name. */
  readonly gateway: string
  readonly clock: Clock
}

const sessionsMax = 20_000
const pageSessions = 500

export function createEvidence(deps: EvidenceDeps): Evidence {
  const { staff, access, reads, checkpoints, key, clock } = deps
  const mayExport: Evidence['mayExport'] = (person, whole) =>
    staff.isReviewer(person) || (!whole && staff.isOperator(person))

  return {
    mayExport,

    async bundle(person, subject, { whole, address }) {
      if (!mayExport(person, whole)) {
        const whom = whole ? 'Whole recordings are for reviewers.' : 'Evidence is for reviewers and operators.'
        throw new Fault('NOT_ALLOWED', whom)
      }
      const story = await readStory(access, reads, subject)
      const sessions = await sessionIds(reads, story)
      const by: Actor = { id: person.id, name: displayName(person) }
      await noteExport(deps, story, by, { whole, address, sessions: sessions.size })
      const { sequence: head } = await deps.audit.head()
      await checkpoints.sign()
      const about: Packing['about'] = {
        ...{ gateway: deps.gateway, madeBy: { id: person.id, displayName: displayName(person) }, subject },
        ...{ request: story.request.id, grant: story.grant?.id ?? null, living: isLiving(story) },
        ...{ sessions: sessions.size, recordings: whole ? 'whole' : 'signatures' },
      }
      const madeAt = clock.now()
      const packing: Packing = { about, madeAt, sign: key.sign }
      return {
        fileName: `curfew-evidence-${subject.id}.tar`,
        bytes: pack(filesOf(deps, story, { sessions, whole, about, madeAt, head }), packing),
      }
    },
  }
}

interface Contents {
  readonly sessions: ReadonlySet<string>
  readonly whole: boolean
  readonly about: Packing['about']
  readonly madeAt: Instant
  /** Up to here the audit log is signed. */
  readonly head: number
}

/** What the bundle holds, in its order. Sessions that began since are left to the next one. */
async function* filesOf(deps: EvidenceDeps, story: Story, contents: Contents): AsyncGenerator<BundleFile> {
  const { sessions, whole, about, madeAt, head } = contents
  yield textFile('README.md', readme(about, madeAt))
  yield jsonFile('keys.json', deps.key.publicKeys())
  yield jsonFile('request.json', factsOf(story.request))
  if (story.extensions.length > 0) yield jsonFile('extensions.json', factsOf(story.extensions))
  yield jsonFile('decisions.json', factsOf(story.decisions))
  if (story.grant !== null) yield jsonFile('grant.json', factsOf(story.grant))
  if (story.review !== null) yield jsonFile('review.json', factsOf(story.review))
  const people = await Promise.all(peopleIn(story).map(async (id) => personFacts(id, await deps.person(id))))
  yield jsonFile('people.json', people)
  let part = 0
  for await (const page of sessionPages(deps.reads, story)) {
    const kept = page.filter(({ session }) => sessions.has(session.id))
    if (kept.length > 0) yield jsonFile(partName('sessions.json', (part += 1)), kept.map(sessionFacts))
  }
  for await (const page of sessionPages(deps.reads, story)) {
    const kept = page.filter(({ session }) => sessions.has(session.id))
    for (const row of kept) yield* recordingFiles(deps.recordingsFolder, row, whole)
  }
  const ids = [...idsOf(story), ...sessions]
  const events = eventsAbout(deps.audit, ids, { since: story.request.askedAt, upTo: head })
  yield* lineFiles('audit.jsonl', proveSlice(deps.audit, events))
}

function sessionFacts({ session, end, recording }: SessionRow): unknown {
  return factsOf({ ...session, end, recorded: recording !== null })
}

async function* sessionPages(reads: EvidenceReads, { grant }: Story): AsyncGenerator<readonly SessionRow[]> {
  let after: Session | null = null
  for (;;) {
    const page: readonly SessionRow[] = grant === null ? [] : await reads.sessionsOf(grant.id, after, pageSessions)
    yield page
    after = page.at(-1)?.session ?? after
    if (page.length < pageSessions) return
  }
}

async function sessionIds(reads: EvidenceReads, story: Story): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  for await (const page of sessionPages(reads, story)) {
    for (const { session } of page) ids.add(session.id)
    if (ids.size > sessionsMax) throw new Fault('TOO_LARGE', `The grant has more than ${sessionsMax} sessions.`)
  }
  return ids
}

/** Before anything is handed out; for whole recordings, as where they are exported one by one. */
async function noteExport(
  { audit, reads, clock }: EvidenceDeps,
  story: Story,
  by: Actor,
  { whole, address, sessions }: { whole: boolean; address: string; sessions: number },
): Promise<void> {
  const { request, grant } = story
  const data = { request: request.id, grant: grant?.id, recordings: whole, sessions, address }
  await audit.append([auditEvent('evidence.exported', clock.now(), by, data)])
  if (!whole) return
  for await (const page of sessionPages(reads, story)) {
    const recorded = page.filter(({ recording }) => recording !== null)
    const taken = recorded.map(({ session: { id, person, resource, role } }) =>
      auditEvent('recording.exported', clock.now(), by, {
        ...{ session: id, holder: person, resource, role, format: 'curfew', request: request.id, address },
      }),
    )
    await audit.append(taken)
  }
}
