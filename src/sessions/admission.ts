import type { Fault } from '../kernel/fault.ts'
import type { Observable } from '../kernel/observable.ts'
import type { Instant } from '../kernel/time.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Identified, Client, Session, SessionEnd } from './session.ts'

/** What a protocol asks the gate. */
export interface Ask {
  readonly identified: Identified
  readonly resource: string
  readonly role: string
  readonly database: string | null
  /** What it opens reaches every database of the server, whichever it names, as replication does. Absent: it does not. */
  readonly reachesAllDatabases?: boolean
  readonly client: Client
}

/** Why the end is near: the grant's deadline, the rules or hours that close before it, or the gateway's own stop. */
export type WarningCause = 'deadline' | 'closing' | 'shutdown'

/**
 * The right to open one upstream. Only the gate makes one.
 * The holder listens to `cutOff`, says goodbye in its protocol's words, and calls `end` exactly once.
 */
export interface Admission {
  readonly session: Session
  /** Aborts with a Fault as its reason: why the session ends now. */
  readonly cutOff: AbortSignal
  /** When the grant ends. Moves when the grant is extended: the running session lives on. */
  readonly deadline: Observable<Instant>
  /** `listener` runs some minutes before the deadline (`access.warnBefore`), or when the gateway will stop, with the time left. */
  onWarning(listener: (leftMs: number, cause: WarningCause) => void): Disposable
  readonly recorder: Recorder
  /** Where its person asks for more time; absent: the grant cannot be extended. */
  readonly extendLink?: URL | undefined
  /** Why a client at another address than the session's own may not use it; undefined: it may. For sessions that outlive connections. */
  refusalFrom(address: string): Promise<Fault | undefined> | undefined
  /** The goodbye has been handed to the system: stops the clock of the cut latency. Harmless when there was no cut. */
  told(): void
  /** The connection is over: seals the recording and writes session end and audit event. */
  end(how: Pick<SessionEnd, 'by' | 'bytesFromClient' | 'bytesFromTarget'> & { readonly error?: unknown }): Promise<void>
  /** Runs `teardown` soon, in a slice of its own, after every session that is being cut was told. */
  afterTold(teardown: () => void): void
}

/**
 * A session that is allowed, while its recording and its start are still being written. Its holder may connect to the
 * target meanwhile and log in there, and nothing else: what is to pass needs the Admission. Its holder always waits for
 * `admitted`, and ends what that gives.
 */
export interface Opening extends Pick<Admission, 'session' | 'cutOff' | 'told'> {
  /**
   * Resolves when both are on the disk. Rejects with a Fault when they cannot be, or when the session was cut off before
   * they were; then it is over already, and `cutOff` has aborted.
   */
  readonly admitted: Promise<Admission>
}

export interface Gate {
  /**
   * Subscribes to changes, then checks locks, policy and grant.
   * @throws Fault NO_GRANT, LOCKED, NOT_ALLOWED, RESOURCE_UNKNOWN, ROLE_UNKNOWN, DATABASE_REFUSED, SHUTTING_DOWN, …
   */
  open(ask: Ask): Promise<Opening>
  /** As `open`, and waits until it is admitted. @throws Fault as `open`; DISK_FULL, RECORDING_FAILED, … */
  admit(ask: Ask): Promise<Admission>
}
