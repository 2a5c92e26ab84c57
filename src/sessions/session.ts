import type { AccessTx } from '../access/store.ts'
import type { Facts } from '../audit/facts.ts'
import type { BrowserSessionId, CredentialId, GrantId, PersonId, SessionId } from '../kernel/ids.ts'
import type { FaultCode } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'

/** Somebody known on one connection, and how. */
export interface Identified {
  readonly person: PersonId
  /** Written in notices and recordings: e-mail, name or subject. */
  readonly personName: string
  readonly credential: CredentialId
  /** The sign-in that the credential hangs on; null for tokens, which stand alone. */
  readonly browserSession: BrowserSessionId | null
  /** Serial number (hexadecimal) of the client certificate that stood for the credential; absent without one. */
  readonly certificate?: string
}

/** What the gateway can see of the program at the other end. */
export interface Client {
  readonly protocol: 'postgres' | 'ssh' | 'http'
  readonly address: string
  readonly port: number
  /** `application_name` or the like; never trusted, only shown. At most 64 characters. */
  readonly application: string
  readonly tls: boolean
}

export interface Session {
  readonly id: SessionId
  readonly person: PersonId
  readonly personName: string
  readonly credential: CredentialId
  readonly browserSession: BrowserSessionId | null
  /** As in `Identified`; only while the session is in memory, and in the audit log. */
  readonly certificate?: string
  readonly grant: GrantId
  readonly resource: string
  readonly role: string
  /** The database, in PostgreSQL's case. */
  readonly database: string | null
  readonly client: Client
  /** The gateway's name. */
  readonly node: string
  readonly startedAt: Instant
}

/** How a session ended. `by`: who closed first. */
export interface SessionEnd {
  readonly at: Instant
  readonly by: 'client' | 'target' | 'gate'
  /** Set when the gate or a failure ended it. */
  readonly code: FaultCode | null
  readonly message: string | null
  /** From the cause to the last byte of the goodbye handed to the system, in milliseconds; null unless the gate ended it. */
  readonly cutLatencyMs: number | null
  readonly bytesFromClient: number
  readonly bytesFromTarget: number
}

export interface SessionRow {
  readonly session: Session
  readonly end: SessionEnd | null
  /** Where the recording lies below the recordings folder; null when none was made. */
  readonly recording: string | null
}

export interface SessionReads {
  session(id: SessionId): Promise<SessionRow | undefined>
  /** Newest first; `person` narrows, `live` true: not ended. */
  sessions(filter: { person?: PersonId; live?: boolean; limit: number }): Promise<readonly SessionRow[]>
}

/** With the grant that a session begins and ends under: its first use and its last are written with them. */
export interface SessionTx extends SessionReads, Facts, Pick<AccessTx, 'grant' | 'updateGrant'> {
  insertSession(session: Session, recording: string | null): Promise<void>
  /** Ends it once; false if it had ended already. */
  endSession(id: SessionId, end: SessionEnd): Promise<boolean>
}

/** Where a list goes on: behind a session that started then. Several may start in one millisecond. */
export interface SessionPlace {
  readonly before: Instant
  readonly behind?: SessionId
}

export interface SessionWish {
  readonly person?: PersonId
  /** A part of the person's name, in any case. */
  readonly name?: string
  readonly resource?: string
  /** Started then or later. */
  readonly since?: Instant
  readonly place?: SessionPlace
  readonly limit: number
  /** So many sessions are looked at, at most, whether they fit or not. */
  readonly looksMax: number
}

export interface FoundSessions {
  readonly rows: readonly SessionRow[]
  /** Where to look further back; undefined at the end. */
  readonly next: SessionPlace | undefined
}

export interface SessionSearch {
  /** Of the sessions with a recording, those that fit, newest first. */
  searchRecorded(wish: SessionWish): Promise<FoundSessions>
}

export interface SessionStore extends SessionReads, SessionSearch {
  transact<T>(work: (tx: SessionTx) => Promise<T>): Promise<T>
}
