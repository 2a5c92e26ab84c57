import type {
  BrowserSessionId,
  CampaignId,
  CredentialId,
  DecisionId,
  EntryId,
  GrantId,
  LockId,
  PersonId,
  QuestionId,
  RequestId,
  ReviewId,
  SessionId,
  SignInId,
} from './ids.ts'
import type { Instant } from './time.ts'

/** What a lock stops: everything that matches all the fields that are not null. At least one is set. */
export interface LockScope {
  readonly person: PersonId | null
  readonly resource: string | null
  readonly role: string | null
  /** Who is in it now. Absent is as null: once there were no locks by group and address. */
  readonly group?: string | null
  /** Of the client: an IP address, or a network such as `203.0.113.0/24`. */
  readonly address?: string | null
}

/**
 * One fact that nodes must act on, written in the same transaction as the state it tells of.
 * The change feed delivers each at least once, in order, to every node.
 */
export type Change =
  /** `seconded`: the word that was given since, and settles nothing alone. */
  | { readonly kind: 'request-opened'; readonly request: RequestId; readonly seconded?: DecisionId }
  /** A step of its approval is done, and others are waited for. */
  | { readonly kind: 'request-advanced'; readonly request: RequestId; readonly step: number }
  /** Others are called to a step. */
  | { readonly kind: 'request-escalated'; readonly request: RequestId; readonly step: number }
  | {
      readonly kind: 'request-closed'
      readonly request: RequestId
      readonly state: 'approved' | 'denied' | 'cancelled' | 'lapsed'
    }
  | {
      readonly kind: 'grant-started'
      readonly grant: GrantId
      readonly person: PersonId
      readonly resource: string
      readonly role: string
    }
  /** `cause` absent: somebody approved more time. */
  | {
      readonly kind: 'grant-moved'
      readonly grant: GrantId
      readonly expiresAt: Instant
      readonly cause?: 'first-use'
    }
  | {
      readonly kind: 'grant-ended'
      readonly grant: GrantId
      readonly cause: 'expired' | 'revoked' | 'handed-back'
      /** Who did it, as the person cut off may read it (an e-mail address); null for time. */
      readonly by: string | null
      readonly comment: string | null
    }
  /** Somebody took access as an emergency. */
  | { readonly kind: 'glass-broken'; readonly review: ReviewId; readonly request: RequestId }
  /** Nobody has looked at it yet. `reminder` counts from 1. */
  | { readonly kind: 'review-waiting'; readonly review: ReviewId; readonly reminder: number }
  | { readonly kind: 'review-closed'; readonly review: ReviewId }
  /** Standing access is looked at: it began, is due soon, or is over. */
  | { readonly kind: 'campaign-moved'; readonly campaign: CampaignId; readonly to: 'started' | 'due-soon' | 'finished' }
  /** A reviewer, or silence, ended somebody's access. */
  | { readonly kind: 'campaign-entry-ended'; readonly campaign: CampaignId; readonly entry: EntryId }
  /** A statement waits in a session until somebody agrees to it. */
  | { readonly kind: 'statement-asked'; readonly question: QuestionId }
  | {
      readonly kind: 'statement-answered'
      readonly question: QuestionId
      readonly state: 'approved' | 'refused' | 'lapsed' | 'given-up'
    }
  | { readonly kind: 'lock-placed'; readonly lock: LockId; readonly scope: LockScope; readonly reason: string }
  | { readonly kind: 'lock-lifted'; readonly lock: LockId }
  /** `browserSession` null: every sign-in of the person is void. */
  | { readonly kind: 'signed-out'; readonly person: PersonId; readonly browserSession: BrowserSessionId | null }
  | { readonly kind: 'credential-revoked'; readonly person: PersonId; readonly credential: CredentialId }
  /** Groups or standing changed: policies must be asked again. */
  | { readonly kind: 'person-changed'; readonly person: PersonId }
  /** `person` absent: an older gateway wrote it. */
  | { readonly kind: 'session-opened'; readonly session: SessionId; readonly person?: PersonId }
  | {
      readonly kind: 'session-killed'
      readonly session: SessionId
      readonly by: string
      readonly comment: string | null
    }
  | { readonly kind: 'session-ended'; readonly session: SessionId; readonly person?: PersonId }
  | { readonly kind: 'sign-in-answered'; readonly signIn: SignInId; readonly state: 'confirmed' | 'refused' }

/** Where changes arrive. Owned by the kernel because every waiting room needs it. */
export interface ChangeFeed {
  /** `listener` runs for each change committed after this call returns; it must not throw. */
  subscribe(listener: (change: Change) => void): Disposable
}
