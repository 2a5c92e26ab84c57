export type PersonId = `person-${string}`
export type RequestId = `request-${string}`
export type DecisionId = `decision-${string}`
export type GrantId = `grant-${string}`
export type LockId = `lock-${string}`
export type ReviewId = `review-${string}`
export type CampaignId = `campaign-${string}`
export type EntryId = `entry-${string}`
export type BundleId = `bundle-${string}`
/** A statement that waits to be agreed to. */
export type QuestionId = `question-${string}`
export type SessionId = `session-${string}`
/** A user that the gateway makes at a target. */
export type DatabaseUserId = `dbuser-${string}`
export type SignInId = `signin-${string}`
export type BrowserSessionId = `browser-${string}`
export type BindingId = `binding-${string}`
export type TokenId = `token-${string}`

/** What made somebody known on a connection: each can be listed and revoked by its owner. */
export type CredentialId = BrowserSessionId | BindingId | TokenId

/** Randomness, handed in. */
export interface Random {
  /** A new id: `prefix-` and 16 characters of a-z2-7 (80 random bits). */
  id<Prefix extends string>(prefix: Prefix): `${Prefix}-${string}`
  /** `lengthBytes` random bytes from the system's generator. */
  bytes(lengthBytes: number): Uint8Array
}
